"""Long campaigns against the export, one command each; the suite runs a small seeded sample of them.

    uv run python -m benchmarks.faults.exports kills --times 200      SIGKILL at random moments
    uv run python -m benchmarks.faults.exports syscalls               SIGKILL at the Nth write, rename, send, N = 1 to the end (strace)
    uv run python -m benchmarks.faults.exports restarts --times 50    QuestDB killed and started again while rows go out
    uv run python -m benchmarks.faults.exports cuts --times 100       Postgres connections cut before, during and after COMMIT
    uv run python -m benchmarks.faults.exports crowd --times 20       16 exporters on one slug
    uv run python -m benchmarks.faults.exports disk                   no space for QuestDB (needs root: a small tmpfs), or the exporter

Servers of their own in a temporary home. After each fault: nothing or all of it is registered, one readable error, and one more export ends
equal to a clean run. Prints one JSON line of counts; any broken promise ends the campaign with its story.
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
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_assets import services
from chronos_assets.errors import ChronosError
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets_tests.support import export_faults as faults
from chronos_assets_tests.support.export_case import ExportCase, make_case


@dataclass
class Ground:
    """Where a campaign happens."""

    settings: Settings
    connections: services.Connections
    stores: Stores
    random: random.Random
    counts: collections.Counter[str]
    made: int = 0

    def case(self, rows: int = 60, **extra: Any) -> ExportCase:
        self.made += 1
        return make_case(self.stores, self.settings.exports_dir, f"c{self.made}_1d_v1", rows=rows, **extra)

    def variables(self) -> dict[str, str]:
        return faults.environment(self.settings, self.connections, self.settings.exports_dir)


@contextmanager
def ground(seed: int, **settings: Any) -> Iterator[Ground]:
    with temporary_servers(durable=True, **settings) as (own, connections):
        yield Ground(own, connections, open_stores(connections, own), random.Random(seed), collections.Counter())


def settle(at: Ground, case: ExportCase, exporter: subprocess.Popen[str] | None = None) -> None:
    """Look at what a fault left, then export once more and look again."""
    if exporter is not None:
        _, stderr = exporter.communicate(timeout=300)
        at.counts[f"exit {exporter.returncode}"] += 1
        if exporter.returncode not in {0, -signal.SIGKILL, 128 + signal.SIGKILL}:
            faults.assert_one_readable_error(stderr)
            at.counts[stderr.split("error: ")[1].split("(")[0].split(";")[0].strip()[:70]] += 1
    at.counts[faults.assert_nothing_half_done(case)] += 1
    faults.assert_retry_ends_clean(case)
    at.counts["ended clean"] += 1


def kills(arguments: argparse.Namespace) -> Ground:
    """One slug, killed again and again: it grows now and then, so that every kind of attempt is cut.

    Moments are spread over the time that a whole export takes, measured first. Batches are small: rows go out for a good part of it.
    """
    with ground(arguments.seed) as at:
        slowly = ["--batch-rows", "5"]
        case = at.case(rows=1_500)
        started = time.monotonic()
        assert faults.start_exporter(case, at.variables(), arguments=slowly).wait(300) == 0
        whole_seconds = time.monotonic() - started
        case = at.case(rows=1_500)
        for number in range(arguments.times):
            if number % 4 == 3:
                case.append(at.random.randint(1, 500), seed=number)
            if number % 10 == 9:
                case = at.case(rows=1_500)
            flags = ["--replace"] if number % 7 == 6 else []
            exporter = faults.start_exporter(case, at.variables(), arguments=[*slowly, *flags])
            try:
                exporter.wait(at.random.uniform(0.3, 1.1) * whole_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(exporter.pid, signal.SIGKILL)
                exporter.wait(60)
                at.counts[faults.reached(case)] += 1
            if number % 3 == 2:
                settle(at, case, exporter)
            else:
                exporter.communicate()
                at.counts[f"exit {exporter.returncode}"] += 1
                at.counts[faults.assert_nothing_half_done(case)] += 1
        settle(at, case)
        return at


def syscalls(arguments: argparse.Namespace) -> Ground:
    """strace kills the exporter, all of it in one thread, at the Nth of its writes, renames and sends; N rises until it completes."""
    with ground(arguments.seed) as at:
        number = arguments.first
        while number <= arguments.last:
            case = at.case(rows=12)
            inject = f"inject={TRACED}:signal=SIGKILL:when={number}"
            before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={TRACED}", "-e", inject]
            exporter = faults.start_exporter(
                case, at.variables(), before=before, arguments=["--batch-rows", "4"], command=faults.SINGLE_THREADED
            )
            exporter.wait(300)
            code = exporter.returncode
            if code:
                at.counts[faults.reached(case)] += 1
            settle(at, case, exporter)
            if code == 0:
                at.counts[f"completes from N = {number}"] += 1
                break
            number += 1
        return at


TRACED = "write,writev,pwrite64,rename,renameat,renameat2,fsync,fdatasync,ftruncate,unlink,sendto,sendmsg"


def restarts(arguments: argparse.Namespace) -> Ground:
    """QuestDB's process is killed while an export is under way, and started again at once."""
    with ground(arguments.seed) as at:
        for _ in range(arguments.times):
            case = at.case(rows=3_000)
            exporter = faults.start_exporter(case, at.variables(), arguments=["--batch-rows", "5"])
            while exporter.poll() is None and not list_attempts(at.stores.postgres, case.slug):
                time.sleep(0.02)
            time.sleep(at.random.uniform(0.0, 2.0))
            status = next(s for s in services.status(at.settings) if s.name == "questdb")
            at.counts["killed while an export ran" if exporter.poll() is None else "killed after the export"] += 1
            os.kill(int(status.pid or 0), signal.SIGKILL)
            services.start(at.settings)
            settle(at, case, exporter)
        return at


def cuts(arguments: argparse.Namespace) -> Ground:
    """First exports and growths, their connection cut around the COMMIT of the publication."""
    with ground(arguments.seed) as at:
        for number in range(arguments.times):
            case = at.case()
            if number % 2:
                case.export()
                case.append(2)
            moment: Any = ("before", "during", "after")[number % 3]
            outcome = faults.cut_at_commit(case, at.connections, at.settings, moment)
            at.counts[f"cut {moment} COMMIT: {outcome}"] += 1
            settle(at, case)
        return at


def crowd(arguments: argparse.Namespace) -> Ground:
    """Sixteen exporters of one file at once; every other round they all grow a published dataset."""
    with ground(arguments.seed) as at:
        for number in range(arguments.times):
            case = at.case()
            if number % 2:
                case.export()
                case.append(3)
            exporters = [faults.start_exporter(case, at.variables(), arguments=["--json"]) for _ in range(arguments.exporters)]
            wrote = 0
            for exporter in exporters:
                stdout, stderr = exporter.communicate(timeout=600)
                at.counts[f"exit {exporter.returncode}"] += 1
                if exporter.returncode:
                    faults.assert_one_readable_error(stderr)
                wrote += json.loads(stdout).get("rows_written", 0) > 0
            at.counts[f"{wrote} of {arguments.exporters} wrote"] += 1
            record = find_dataset(at.stores.postgres, case.slug)
            assert record is not None
            assert record.revision == 1 + number % 2, record
            settle(at, case)
        return at


def disk(arguments: argparse.Namespace) -> Ground:
    """No space: first for the exporter's own files, then for QuestDB, which gets a small tmpfs."""
    with ground(arguments.seed) as at:
        case = at.case(rows=4_000)
        case.save()
        limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "limited"]
        exporter = faults.start_exporter(case, at.variables(), before=limited)
        settle(at, case, exporter)
        counts = at.counts
    with tempfile.TemporaryDirectory(prefix="chronos-disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={arguments.megabytes}m", "tmpfs", folder], check=True)
        try:
            _fill_questdb(arguments, Path(folder), counts)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    at.counts = counts
    return at


def _fill_questdb(arguments: argparse.Namespace, folder: Path, counts: collections.Counter[str]) -> None:
    """Export until QuestDB has no space; give it some; go on."""
    with ground(arguments.seed) as at:
        questdb_data = at.settings.home / "questdb"
        services.stop(at.settings)
        subprocess.run(["cp", "-a", f"{questdb_data}/.", str(folder)], check=True)
        subprocess.run(["mount", "--bind", str(folder), str(questdb_data)], check=True)
        try:
            at.connections = services.start(at.settings)
            kept, failed = _until_it_fails(at)
            counts[f"{len(kept)} exports before the disk was full"] += 1
            counts[failed[1].code] += 1
            assert find_dataset(at.stores.postgres, failed[0].slug) is None
            subprocess.run(["mount", "-o", f"remount,size={arguments.megabytes * 8}m", str(folder)], check=True)
            faults.assert_retry_ends_clean(failed[0])  # the same command, and nothing else
            for case in kept:
                assert faults.assert_nothing_half_done(case) == "registered in full"
            counts["ended clean after space was given"] += 1
        finally:
            services.stop(at.settings)
            subprocess.run(["umount", "-l", str(questdb_data)], check=True)


def _until_it_fails(at: Ground) -> tuple[list[ExportCase], tuple[ExportCase, ChronosError]]:
    kept = []
    for _ in range(200):
        case = at.case(rows=20_000)
        try:
            case.export()
        except ChronosError as error:
            return kept, (case, error)
        kept.append(case)
    raise AssertionError("the disk was never full")


CAMPAIGNS: dict[str, Callable[[argparse.Namespace], Ground]] = {
    "kills": kills,
    "syscalls": syscalls,
    "restarts": restarts,
    "cuts": cuts,
    "crowd": crowd,
    "disk": disk,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=CAMPAIGNS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, help="syscalls: the N to begin with")
    parser.add_argument("--last", type=int, default=10_000, help="syscalls: the N to end with, where it does not complete before")
    parser.add_argument("--exporters", type=int, default=16)
    parser.add_argument("--megabytes", type=int, default=300, help="disk: size of QuestDB's disk")
    arguments = parser.parse_args()
    started = time.monotonic()
    at = CAMPAIGNS[arguments.campaign](arguments)
    print(
        json.dumps(
            {
                "campaign": arguments.campaign,
                "times": arguments.times,
                "seed": arguments.seed,
                "seconds": round(time.monotonic() - started),
                **dict(sorted(at.counts.items())),
            }
        )
    )
    sys.exit(0)


if __name__ == "__main__":
    main()
