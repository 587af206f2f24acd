"""`python -m benchmarks.nights.kills [--kills 30]`: prunes with compaction, killed at random moments, while others read and write.

Two datasets grow night by night. Beside each prune three readers count the rows of the newest runs and one dataset is exported and trained.
After each kill: every reader has seen whole runs only, and after a prune that may end, every run that is kept validates, and no file or
row of another is left that a policy of one night lets go. Prints what was seen, and exits 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time

from benchmarks.nights.market import write_file
from chronos_assets.errors import NotPublishedError
from chronos_assets.pipeline.upkeep.compaction import table_spaces
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.storage.runs import count_predictions, get_folds, list_runs
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import process_environment, temporary_servers

CHRONOS = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()"]
PRUNE = [*CHRONOS, "prune", "--keep", "nights=1", "--keep", "months=0"]
FIRST_BARS, BARS, MOST_BARS = 300, 10, 3_000


class Readers:
    """Threads that count the predictions of a run again and again; every count is the run's whole number."""

    def __init__(self, stores: Stores, run_id: str) -> None:
        self.stores, self.run_id = stores, run_id
        self.due = sum(fold.test_end_idx - fold.test_start_idx for fold in get_folds(stores.postgres, run_id))
        self.counts = 0
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(3)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            found = count_predictions(self.stores, [self.run_id]).get(self.run_id, 0)
            self.counts += 1
            if found != self.due:
                self.wrong.append(f"run {self.run_id}: {found} of {self.due} rows")


def main() -> None:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance, lost = random.Random(asked.seed), []
    with temporary_servers(durable=True, manifest_settle_seconds=0, nightly_prune=False) as (settings, connections):
        stores, environment = open_stores(connections, settings), process_environment(settings)
        quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        slugs = [write_file(settings.exports_dir, number, FIRST_BARS, MOST_BARS) for number in range(2)]
        subprocess.run([*CHRONOS, "backfill", "--all"], check=True, **quiet)
        started = time.monotonic()
        subprocess.run(PRUNE, check=True, **quiet)
        usual = time.monotonic() - started
        for kill in range(asked.kills):
            for number in range(2):
                write_file(settings.exports_dir, number, FIRST_BARS + BARS * (kill + 1), MOST_BARS)
            subprocess.run([*CHRONOS, "backfill", slugs[0]], check=True, **quiet)
            newest = list_runs(stores.postgres, slugs[0])[0].run_id
            with Readers(stores, newest) as readers, subprocess.Popen([*CHRONOS, "backfill", slugs[1]], **quiet) as beside:
                with subprocess.Popen(PRUNE, **quiet) as prune:
                    time.sleep(chance.uniform(0.3, 1.2) * usual)
                    prune.kill()
                beside.wait()
            lost += readers.wrong
            if beside.returncode:
                lost.append(f"kill {kill}: the night beside it ended with {beside.returncode}")
            subprocess.run(PRUNE, check=True, **quiet)
            lost += [f"kill {kill}: {words}" for words in _differences(stores, slugs)]
            dead = {one.table: one.dead_rows for one in table_spaces(stores) if one.is_due}
            print(
                f"kill {kill}: {readers.counts} counts while it ran, {len(lost)} wrong so far, tables due for compaction {dead}", flush=True
            )
    print("\n".join(lost) or f"{asked.kills} kills: nothing was lost")
    sys.exit(bool(lost))


def _differences(stores: Stores, slugs: list[str]) -> list[str]:
    """What is wrong with the runs that are kept."""
    found = []
    for slug in slugs:
        for run in list_runs(stores.postgres, slug):
            try:
                report = validate_run(run.run_id, stores)
            except NotPublishedError:
                continue
            found += [f"{slug}: run {run.run_id}: {check.name}" for check in report.checks if check.passed is False]
    return found


if __name__ == "__main__":
    main()
