"""Power cuts while folds are stored: what the disk had at that moment, mounted, must hold every file that a committed row names.

    uv run python -m benchmarks.faults.power --times 20             the product as it is
    uv run python -m benchmarks.faults.power --times 3 --unsynced   the control: fsync does nothing, so files must be found lost

The artifacts lie on a file system of their own in an image file (ext4, `noauto_da_alloc`, a commit every 10 minutes), so that only what was
synced is in the image. A `chronos walkforward` is stopped at a random moment, the image is copied as it is, the process is killed, and the
copy takes the place of the disk: its journal is replayed by the mount, as after a power cut. Rows and predictions are not cut; they are in
servers that sync by themselves. Then validation must name exactly the lost files, and the same command must train exactly those folds.
Needs root, for mounts.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.walkforward.kills import SIZES
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.runs import get_folds
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish

OPTIONS = "loop,noauto_da_alloc,commit=600"
IMAGE_MB = 128
FILES = "files of every fold are what was stored"
HERE = "files of every fold are here"
UNSYNCED = "import os; os.fsync = os.fdatasync = lambda handle: None; "
MAIN = "from chronos_assets.cli.main import main; main()"


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    run("mount", "-o", OPTIONS, image, folder)
    try:
        yield
    finally:
        run("umount", "-l", folder)


def start(stores: Stores, slug: str, *, unsynced: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", (UNSYNCED if unsynced else "") + MAIN, "walkforward", slug, *SIZES, "--json"]
    return subprocess.Popen(command, env=process_environment(stores.settings), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def run_ids(stores: Stores, slug: str) -> list[str]:
    with stores.postgres.connection() as connection:
        found = connection.execute("SELECT run_id::text AS run_id FROM walkforward_runs WHERE dataset_id = %s", [slug]).fetchall()
    return [row["run_id"] for row in found]


def stored(stores: Stores, slug: str) -> int:
    return sum(len(get_folds(stores.postgres, run_id)) for run_id in run_ids(stores, slug))


def cut(stores: Stores, slug: str, image: Path, copy: Path, chance: random.Random, *, unsynced: bool) -> int:
    """Stop a run after it has stored a random number of folds, and copy the disk as it is; the number of folds stored by then."""
    wanted = chance.randint(1, 120)
    with start(stores, slug, unsynced=unsynced) as process:
        while process.poll() is None and stored(stores, slug) < wanted:
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # a sync that was under way ends
        count = stored(stores, slug)
        run("cp", "--sparse=always", image, copy)
        process.kill()
    return count


def trial(stores: Stores, slug: str, folder: Path, chance: random.Random, *, unsynced: bool) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    image, copy = folder / "disk.img", folder / "cut.img"
    for path in (image, copy):
        path.unlink(missing_ok=True)
    run("truncate", "-s", f"{IMAGE_MB}M", image)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    publish(stores, slug, make_bars(500, seed=chance.getrandbits(32)))
    stores.settings.artifacts_dir.mkdir(parents=True, exist_ok=True)
    with mounted(image, stores.settings.artifacts_dir):
        counts["folds stored before the cut"] += cut(stores, slug, image, copy, chance, unsynced=unsynced)
    with mounted(copy, stores.settings.artifacts_dir):
        lost = 0
        for run_id in run_ids(stores, slug):
            folds = get_folds(stores.postgres, run_id)
            states = FoldArtifacts(stores.artifacts).states(fold.files for fold in folds)
            lost += sum(state != "whole" for state in states)
            checks = {check.name: check for check in validate_run(run_id, stores).checks}
            named = (checks[FILES].found, checks[HERE].passed is None)
            assert named == (states.count("damaged"), "missing" in states), (named, states)
        counts["folds whose files the cut took"] += lost
        with start(stores, slug, unsynced=False) as process:
            document = json.loads(process.communicate()[0])
        assert process.returncode == 0, document
        assert document["folds_present"] == document["folds_planned"], document
        counts["runs that were whole after the same command"] += validate_run(document["run_id"], stores).passed
    counts["cuts"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unsynced", action="store_true", help="the control: nothing is synced")
    arguments = parser.parse_args()
    chance, started = random.Random(arguments.seed), time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    with temporary_stores(durable=True) as stores:
        for number in range(arguments.times):
            counts += trial(stores, f"power{number}_1d_v1", stores.settings.home, chance, unsynced=arguments.unsynced)
    kind = "unsynced" if arguments.unsynced else "as it is"
    print(json.dumps({"campaign": "power", "kind": kind, "seconds": round(time.monotonic() - started), **dict(sorted(counts.items()))}))
    lost = counts["folds whose files the cut took"]
    sys.exit(
        os.EX_OK if bool(lost) == arguments.unsynced and counts["cuts"] == counts["runs that were whole after the same command"] else 1
    )


if __name__ == "__main__":
    main()
