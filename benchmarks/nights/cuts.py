"""`python -m benchmarks.nights.cuts [--kills 20]`: nights killed (SIGKILL) at random moments, each run again, against one never killed.

Two datasets hold the same bars. Each night both grow: the night of one is killed on its way and asked for again, that of the other is left
alone. Folds, predictions and simulated trades of both must then be the same, and every dataset equal to its file.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from typing import Any

from benchmarks.nights.market import write_file
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.runs import get_folds, list_runs, read_predictions
from chronos_assets.storage.simulations import list_simulations, read_trades
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import process_environment, temporary_servers

BACKFILL = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()", "backfill"]
FIRST_BARS, BARS, MOST_BARS = 300, 10, 3_000


def left(stores: Stores, slug: str) -> list[Any]:
    """What the current run of a dataset holds, without ids of its own."""
    run = list_runs(stores.postgres, slug)[0]
    folds = [(one.fold_number, one.fold_key, one.thresholds, one.metrics) for one in get_folds(stores.postgres, run.run_id)]
    predictions = read_predictions(stores, run.run_id).rows()
    simulations = list_simulations(stores.postgres, run.run_id)
    trades = [(one.mode, one.status, read_trades(stores, one.simulation_id).rows()) for one in simulations]
    return [run.status, folds, predictions, sorted(trades, key=str)]


def main() -> None:
    """Kill, run again, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance, wrong = random.Random(asked.seed), 0
    with temporary_servers(durable=True, manifest_settle_seconds=0, nightly_prune=False) as (settings, connections):
        stores, environment = open_stores(connections, settings), process_environment(settings)
        quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        killed, whole = (write_file(settings.exports_dir, number, FIRST_BARS, MOST_BARS, seed=0) for number in range(2))
        subprocess.run([*BACKFILL, killed, whole], check=True, **quiet)
        for kill in range(asked.kills):
            for number in range(2):
                write_file(settings.exports_dir, number, FIRST_BARS + BARS * (kill + 1), MOST_BARS, seed=0)
            started = time.monotonic()
            subprocess.run([*BACKFILL, whole], check=True, **quiet)
            usual = time.monotonic() - started
            with subprocess.Popen([*BACKFILL, killed], **quiet) as night:
                time.sleep(chance.uniform(0.2, 1.0) * usual)
                night.kill()
            subprocess.run([*BACKFILL, killed], check=True, **quiet)
            loaded = load_manifest(manifest_path(settings.exports_dir, killed))
            same = left(stores, killed) == left(stores, whole) and validate_dataset(killed, stores, loaded=loaded).passed
            wrong += not same
            print(f"kill {kill}: {'the same' if same else 'DIFFERS'}", flush=True)
    print(f"{asked.kills} kills, {wrong} nights that differ from one never killed")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
