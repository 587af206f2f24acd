"""`python -m benchmarks.lineage.backfill [partitions]`: what `chronos backfill` costs where nothing changed.

All partitions once (new), then `--all` (nothing to run) and `--all --force` (every step of every partition runs, and finds its result
there). Beside the last, in the same run: the same use cases called plainly on ten of the partitions, one after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.lineage.overhead import plainly
from benchmarks.lineage.workplace import write_dataset
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.settings import Settings
from chronos_assets.testing import process_environment, temporary_servers

BACKFILL = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()", "backfill", "--all", "--json"]
PROFILE = {"train_size": 500, "test_size": 100, "model": {"rounds": 50, "early_stopping": 10}}
PLAIN = 10


def backfill(settings: Settings, *flags: str) -> tuple[dict[str, Any], float]:
    """What the command says, and its seconds."""
    started = time.monotonic()
    done = subprocess.run([*BACKFILL, *flags], env=process_environment(settings), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout), time.monotonic() - started


def main() -> None:
    """Print seconds of each backfill."""
    partitions = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections):
        slugs = [f"fill{number}_1h_v1" for number in range(partitions)]
        for number, slug in enumerate(slugs):
            write_dataset(settings.exports_dir, slug, rows=1_000, features=5, profile=PROFILE, seed=number)
        for words, flags in (("all new", ()), ("nothing changed", ()), ("nothing changed, --force", ("--force",))):
            document, seconds = backfill(settings, *flags)
            print(f"{words:<26} {seconds:7.2f} s   {seconds / partitions:6.3f} s per partition   {document['summary']}", flush=True)
        workplace = Workplace(settings, connections=connections)
        plainly(slugs[0], workplace)  # imports and compiles
        started = time.monotonic()
        for slug in slugs[:PLAIN]:
            plainly(slug, workplace)
        each = (time.monotonic() - started) / min(PLAIN, partitions)
        print(f"{'the use cases plainly':<26} {'':>12}{each:6.3f} s per partition (of {PLAIN})")


if __name__ == "__main__":
    main()
