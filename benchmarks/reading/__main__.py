"""How fast runs are listed from stores of 10,000 runs with 30 folds of 24 bars each, made by real inserts: processes, and page by page.

    .venv/bin/python -m benchmarks.reading [--runs 10000] [--folds 30] [--bars 24] [--times 5]

Prints wall and CPU seconds of `chronos runs list`, of its first page and of one in the middle, and of `chronos --version`, which is what a
process costs that reads nothing. Then milliseconds of a page of 50 for every sort key, at the beginning and deep in the list, and of a walk
through all of them, which has to meet every run once. Exits with 1 if a list takes a process more than `MOST_SECONDS`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.web.store import Size, fill_predictions, fill_registry
from chronos_assets import services
from chronos_assets.settings import Settings
from chronos_assets.storage.listing import RUNS
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import process_environment, temporary_servers
from chronos_assets.views.runs import NEWEST_FIRST, list_runs, list_runs_with_space

MOST_SECONDS = 1.0
LIMIT = 50
CHRONOS = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()"]


def main() -> int:
    """Fill a registry, read it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 10_000), ("folds", 30), ("bars", 24), ("times", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with temporary_servers(durable=True) as (settings, connections):
        begun = time.perf_counter()
        stores, size = open_stores(connections, settings), Size(runs=asked.runs, folds=asked.folds)
        fill_registry(stores, size)
        fill_predictions(stores, size, asked.bars)
        seconds = time.perf_counter() - begun
        print(f"{asked.runs} runs x {asked.folds} folds x {asked.bars} bars in {seconds:.0f} s; load {os.getloadavg()[0]:.1f}")
        stores = open_reading(services.connect(settings, start=False), settings)
        slowest = processes(settings, middle_run(stores, asked.runs), asked.times)
        pages(stores, asked.runs)
    if slowest > MOST_SECONDS:
        print(f"too slow: {slowest:.2f} s, at most {MOST_SECONDS:g} s")
    return int(slowest > MOST_SECONDS)


def middle_run(stores: Stores, runs: int) -> str:
    """The id of the run in the middle of the list."""
    cursor, seen = None, 0
    while True:
        page = list_runs(stores.postgres, {}, limit=500, cursor=cursor)
        seen += len(page.items)
        if seen >= runs // 2 or page.cursor is None:
            return page.items[-1].run_id
        cursor = page.cursor


def processes(settings: Settings, before: str, times: int) -> float:
    """Print what whole processes take; the largest median of the lists in wall seconds."""
    listing = ["runs", "list", "--limit", str(LIMIT)]
    medians = []
    for words in (["--version"], listing, [*listing, "--before", before], [*listing, "--before", before, "--json"]):
        wall, cpu = [], []
        for _ in range(times):
            used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([*CHRONOS, *words], env=process_environment(settings), check=True, capture_output=True)
            wall.append(time.perf_counter() - begun)
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
        shown = " ".join(word if word != before else "RUN_ID" for word in words)
        print(f"chronos {shown:<50} wall {statistics.median(wall):6.2f} s (best {min(wall):.2f})   CPU {statistics.median(cpu):5.2f} s")
        if words != ["--version"]:
            medians.append(statistics.median(wall))
    return max(medians)


def pages(stores: Stores, runs: int) -> None:
    """Print what pages take in this process, whose connection is open."""
    postgres = stores.postgres
    print(f"{'a page as `runs list` shows it':<58} {milliseconds(lambda: list_runs_with_space(stores, None, limit=LIMIT)):8.1f} ms")
    for sort in [sign + key for key in RUNS.sorts for sign in ("-", "")]:
        first = milliseconds(lambda sort=sort: list_runs(postgres, {}, sort=sort, limit=LIMIT))
        cursor = None
        for _ in range(max(1, runs // 1000)):
            cursor = list_runs(postgres, {}, sort=sort, limit=500, cursor=cursor).cursor or cursor
        deep = milliseconds(lambda sort=sort, cursor=cursor: list_runs(postgres, {}, sort=sort, limit=LIMIT, cursor=cursor))
        print(f"page of {LIMIT} by {sort:<24} first {first:8.1f} ms   in the middle {deep:8.1f} ms")
    begun, seen, cursor = time.perf_counter(), [], None
    while True:
        page = list_runs(postgres, {}, sort=NEWEST_FIRST, limit=LIMIT, cursor=cursor)
        seen += [run.run_id for run in page.items]
        if (cursor := page.cursor) is None:
            break
    seconds = time.perf_counter() - begun
    assert len(seen) == len(set(seen)) == page.total, (len(seen), len(set(seen)), page.total)
    print(f"all {len(seen)} runs in pages of {LIMIT}: {seconds:.1f} s, each run once")


def milliseconds(read: Callable[[], object], times: int = 5) -> float:
    """The median of `read`, warm."""
    read()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        read()
        taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
