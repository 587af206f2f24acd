"""`python -m benchmarks.faults.dagster [kills] [seed]`: `chronos dev` at work, and one of its processes killed at a random moment.

Each round appends bars to every dataset, waits a random time, and kills the daemon, the webserver, a code server, a run worker, or `chronos
dev` itself; where Dagster ended, `chronos dev` is started again. Then all must come right by itself: every run has ended, no partition
is lost, and the registry says of every dataset what its file holds, with every row in QuestDB equal to it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from dagster import DagsterInstance, RunsFilter

from chronos_assets.cli.supervisor import session_members
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.liveness import ACTIVE
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.settings import Settings
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import process_environment, temporary_servers
from chronos_assets_tests.support.dagster_data import bars, write_dataset

DEV = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "dev"]
DATASETS = 3
DAGSTER = "chronos_assets.orchestration.dev_processes"  # on the command line of the keeper whose session is all of Dagster
FIRST_ROWS = 250
LIMIT_SECONDS = 900  # on a machine that does much else
WORDS = {  # what stands on the command line of each
    "daemon": ("dagster._daemon", "dagster-daemon"),
    "webserver": ("dagster_webserver", "dagster-webserver"),
    "code server": ("dagster api grpc", "dagster code-server", "code_server_cli"),
    "run worker": ("execute_run",),
}
TARGETS = (*WORDS, "chronos dev")


class Dev:
    """`chronos dev` and the session of its children."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.home / "campaign.log"
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it, and wait until it says so."""
        self.starts += 1
        with self.log.open("ab") as output:
            began = output.tell()
            self.process = subprocess.Popen(DEV, env=process_environment(self.settings), stdout=output, stderr=output)
        until(lambda: b"Ctrl-C stops all" in self.log.read_bytes()[began:] or self.process.poll() is not None, "chronos dev is up")
        self.session = next(c.pid for c in psutil.Process(self.process.pid).children() if DAGSTER in c.cmdline())

    def kill(self, target: str, random_: random.Random) -> bool:
        """SIGKILL one process of that kind (there are two code servers, one within the other); False if there is none at the moment."""
        if target == "chronos dev":
            self.process.kill()
            return True
        found = [p for p in session_members(self.session) if any(word in command(p) for word in WORDS[target])]
        if found:
            random_.choice(found).kill()
        return bool(found)

    def carry_on(self) -> None:
        """Start again where Dagster has ended of the kill; it may take a while to end."""
        if self.process.poll() is not None:
            until(lambda: not session_members(self.session), "nothing of the old session is left")
            self.start()

    def stop(self) -> None:
        """End it as a terminal does."""
        self.process.terminate()
        self.process.wait(120)


def command(process: psutil.Process) -> str:
    """Its command line, empty if it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def until(condition: object, what: str, seconds: float = LIMIT_SECONDS) -> float:
    """Wait for `condition()`; the seconds it took."""
    assert callable(condition)
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return time.monotonic() - started


def came_right(instance: DagsterInstance, stores: Stores, slugs: list[str], rows: int) -> bool:
    """Whether no run is under way and the registry holds `rows` bars of each dataset."""
    if instance.get_runs(RunsFilter(statuses=ACTIVE), limit=1):
        return False
    records = [find_dataset(stores.postgres, slug) for slug in slugs]
    return all(record is not None and record.row_count == rows for record in records)


def wait_right(dev: Dev, instance: DagsterInstance, stores: Stores, slugs: list[str], rows: int, *, what: str) -> float:
    """Wait until it came right, starting `chronos dev` again where it ended; the seconds it took.

    A server that does not answer this process at the moment (a machine that was held up) is asked again within the same limit.
    """

    def right() -> bool:
        dev.carry_on()
        try:
            return came_right(instance, stores, slugs, rows)
        except ServiceUnavailableError:
            return False

    return until(right, what)


def append(exports: Path, slugs: list[str], rows: int) -> None:
    """Give every file `rows` bars, at once."""
    for slug in slugs:
        temporary = exports / f"{slug}.part"
        temporary.write_bytes(bars(rows).write_csv().encode())
        temporary.replace(exports / f"{slug}.csv")


def main() -> None:
    """Kill, wait until all is right, count."""
    kills, seed = (int(sys.argv[1]) if len(sys.argv) > 1 else 20), (int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    random_ = random.Random(seed)
    done: Counter[str] = Counter()
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (own, connections):
        settings = own.model_copy(update={"manifest_settle_seconds": 0.5, "manifest_poll_seconds": 2, "dagster_port": 3977})
        slugs = [f"kill{number}_1d_v1" for number in range(DATASETS)]
        for slug in slugs:
            write_dataset(settings.exports_dir, slug, rows=FIRST_ROWS, change=lambda m: m.update(on_change="grow"))
        stores, dev, rows = open_stores(connections, settings), Dev(settings), FIRST_ROWS
        try:
            with open_instance(settings, captured_output=False) as instance:
                wait_right(dev, instance, stores, slugs, FIRST_ROWS, what="the first bars are published")
                while done.total() < kills:
                    rows += 5
                    append(settings.exports_dir, slugs, rows)
                    time.sleep(random_.uniform(0.5, 18))
                    target = random_.choice(TARGETS)
                    if not dev.kill(target, random_):
                        target = "chronos dev"
                        dev.kill(target, random_)
                    done[target] += 1
                    seconds = wait_right(dev, instance, stores, slugs, rows, what=f"all is right after killing the {target}")
                    assert set(instance.get_dynamic_partitions("dataset")) == set(slugs)
                    for slug in slugs:
                        loaded = load_manifest(manifest_path(settings.exports_dir, slug))
                        report = validate_dataset(slug, stores, loaded=loaded)
                        assert report.passed, report
                    print(f"kill {done.total():>2}: {target:<12} all right after {seconds:6.1f} s", flush=True)
                ended = Counter(run.status.value for run in instance.get_runs())
        finally:
            dev.stop()
    print(f"seed {seed}: {dict(done)}; chronos dev started {dev.starts} times; runs {dict(ended)}; none left under way, no partition lost,")
    print("every registered dataset equal to its file, row by row")


if __name__ == "__main__":
    main()
