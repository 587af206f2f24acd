"""Round trips to a Postgres far away: `python -m benchmarks.faults.trips [--delay 0.2] [--times 1]`.

Commands run as processes of their own, and reach Postgres through a proxy on this machine that counts connections and round trips (the
client says something, the server answers), first without delay, then with `--delay` seconds for each trip. QuestDB is reached directly.
A listing may make 8 round trips, an export of a file that is published already 10, a new export 20, each over one connection; the login
is among them (four by SCRAM). Exit status 1 if one makes more. Seconds at the bottom of a column are those of `chronos --version`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.counting_proxy import CountingProxy, counting_proxy
from chronos_assets_tests.support.dagster_data import write_dataset
from chronos_assets_tests.support.walkforward_data import make_bars, publish

CHRONOS = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()"]
EXPORT = [sys.executable, "-c", "from chronos_assets.cli.export import main; main()"]
PUBLISHED = "known_1d_v1"
RUNS = """
INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)
SELECT gen_random_uuid(), %(slug)s, 't', '[]', '{}', '{"folds_planned": 3}', status
FROM unnest(ARRAY['completed', 'completed', 'running']) status
"""


@dataclass(frozen=True)
class Case:
    """One command, and how many trips it may make."""

    name: str
    command: list[str]
    most_trips: int | None


def cases(number: int) -> list[Case]:
    """The commands of one round; `number` names the dataset that is new in it."""
    return [
        Case("chronos --version", [*CHRONOS, "--version"], None),
        Case("chronos runs list", [*CHRONOS, "runs", "list"], 8),
        Case("chronos datasets list", [*CHRONOS, "datasets", "list"], 8),
        Case("export, unchanged", [*EXPORT, PUBLISHED], 10),
        Case("export, new", [*EXPORT, f"new{number}_1d_v1"], 20),
    ]


def measure(stores: Stores, case: Case, dsn: str, proxy: CountingProxy) -> tuple[int, int, float]:
    """Connections, round trips and seconds of one command."""
    proxy.reset()
    started = time.monotonic()
    environment = process_environment(stores.settings) | {"CHRONOS_POSTGRES_DSN": dsn}
    done = subprocess.run(case.command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"{case.name}: exit {done.returncode}: {done.stderr.strip()}")
    return proxy.connections, proxy.trips, seconds


def main() -> int:
    """Measure each command without and with the delay; status 1 if one makes more trips or connections than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds of one round trip")
    parser.add_argument("--times", type=int, default=1, help="how often each command is timed; the median is shown")
    arguments = parser.parse_args()
    wrong = number = 0
    with temporary_stores() as stores:
        exports = stores.settings.exports_dir
        write_dataset(exports, PUBLISHED)
        subprocess.run([*EXPORT, PUBLISHED], env=process_environment(stores.settings), capture_output=True, check=True, timeout=120)
        publish(stores, "listed_1d_v1", make_bars(30))
        with stores.postgres.connection() as connection:
            connection.execute(RUNS, {"slug": "listed_1d_v1"})
        for delay in (0.0, arguments.delay):
            with counting_proxy(stores.postgres._dsn, delay) as (dsn, proxy):
                found: dict[str, list[tuple[int, int, float]]] = {}
                for _ in range(arguments.times):
                    number += 1
                    write_dataset(exports, f"new{number}_1d_v1")
                    for case in cases(number):
                        found.setdefault(case.name, []).append(measure(stores, case, dsn, proxy))
                for case in cases(number):
                    took = found[case.name]
                    connections, trips = max(one[0] for one in took), max(one[1] for one in took)
                    ok = case.most_trips is None or (connections <= 1 and trips <= case.most_trips)
                    wrong += not ok
                    limit = "" if case.most_trips is None else f" of {case.most_trips}"
                    seconds = statistics.median(one[2] for one in took)
                    print(
                        f"{delay * 1000:4.0f} ms  {case.name:22} {connections} connections  {trips:3} trips{limit:6} {seconds:6.2f} s"
                        f"{'' if ok else '  TOO MANY'}",
                        flush=True,
                    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
