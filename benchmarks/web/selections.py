"""Feature selections over HTTP with a live Dagster: how equal requests, cancels and a Dagster that is down come out.

    .venv/bin/python -m benchmarks.web.selections [--rows 3000] [--requests 20]

Starts servers and `chronos dev` of its own. Prints how many runs of Dagster equal requests at once made, how long a cancel takes over HTTP
and by the command until the selection stops, and what is answered after Dagster was stopped. Ends with exit code 1 if one of them is wrong.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.manifest_files import load_manifest
from chronos_assets.storage.stores import open_stores
from chronos_assets.testing import process_environment, temporary_servers
from chronos_assets_tests.support.dagster_data import write_dataset
from chronos_assets_tests.support.dev_process import Dev, runs_of, until

SLUG, ROUTE = "selected_1d_v1", "/api/lfs/runs"
CANCEL_SECONDS = 2.0


def main() -> int:
    """Publish a dataset, start Dagster, request, cancel, and stop Dagster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--requests", type=int, default=20)
    asked = parser.parse_args()
    with temporary_servers(manifest_settle_seconds=0) as (settings, connections):
        publish(settings, connections, asked.rows)
        with tempfile.TemporaryDirectory() as folder, Dev(process_environment(settings), Path(folder) / "dev.log") as dev:
            dev.wait_until_up()
            api = re.findall(r"HTTP API +(\S+)/api", dev.text())[0]
            right = [at_once(dev, api, asked.requests), cancelled(api, settings, by="HTTP"), cancelled(api, settings, by="the command")]
            dev.process.terminate()
            dev.process.wait(120)
        right.append(without_dagster(settings))
    return 0 if all(right) else 1


def publish(settings: Settings, connections: Connections, rows: int) -> None:
    """A dataset with a manifest in the exports folder."""
    path = write_dataset(
        settings.exports_dir, SLUG, rows=rows, change=lambda manifest: manifest.update(lfs={"default": {"target": "TGT_A"}})
    )
    export_dataset(load_manifest(path), open_stores(connections, settings), settings)


def order(seed: int) -> dict[str, Any]:
    """A request that works for minutes."""
    return {"dataset": SLUG, "end_row": "all", "permutations": 999, "iterations": 3, "seed": seed}


def at_once(dev: Dev, api: str, count: int) -> bool:
    """Equal requests at the same moment: one selection, one run of Dagster; then it is cancelled."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: requests.post(api + ROUTE, json=order(1), timeout=120), range(count)))
    statuses, places = {answer.status_code for answer in answers}, {answer.headers.get("Location") for answer in answers}
    run_ids = {answer.json()["run"]["dagster_run_id"] for answer in answers} - {None}
    (place,) = places
    until(lambda: selecting(dev, place))
    launched = len(selecting(dev, place))
    print(f"{count} equal requests at once: statuses {statuses}, {len(places)} selection(s), {launched} run(s) of Dagster")
    requests.post(f"{api}{place}/cancel", timeout=60)
    until(lambda: requests.get(f"{api}{place}", timeout=60).json()["run"]["status"] == "cancelled")
    return statuses == {202} and launched == 1 and len(run_ids) == 1


def selecting(dev: Dev, place: str) -> list[dict[str, Any]]:
    """Runs of Dagster that make this selection; the sensor may run the dataset's lineage beside them."""
    tag = {"key": "chronos/lfs_id", "value": place.rpartition("/")[2]}
    return [run for run in runs_of(dev, SLUG) if tag in run["tags"]]


def cancelled(api: str, settings: Settings, *, by: str) -> bool:
    """A selection that works is cancelled; the time until it says so and works no more."""
    place = requests.post(api + ROUTE, json=order(2 if by == "HTTP" else 3), timeout=120).headers["Location"]
    until(lambda: (requests.get(f"{api}{place}", timeout=60).json()["run"]["progress"] or {}).get("permutations_done", 0) > 0)
    begun = time.monotonic()
    if by == "HTTP":
        requests.post(f"{api}{place}/cancel", timeout=60)
        asked = time.monotonic()
    else:
        command = [
            sys.executable,
            "-c",
            "from chronos_assets.cli.main import main; main()",
            "selections",
            "cancel",
            place.rpartition("/")[2],
        ]
        subprocess.run(command, env=process_environment(settings), check=True)
        asked = time.monotonic()
    until(lambda: requests.get(f"{api}{place}", timeout=60).json()["run"]["status"] == "cancelled")
    ended = time.monotonic()
    taken = ended - begun if by == "HTTP" else ended - asked
    print(f"cancelled by {by}: asked in {asked - begun:.2f} s, stopped {taken:.2f} s later (at most {CANCEL_SECONDS})")
    return taken <= CANCEL_SECONDS


def without_dagster(settings: Settings) -> bool:
    """With Dagster down a request is refused with the command, and leaves no row."""
    from benchmarks.web.__main__ import served

    with served(settings) as (url, _):
        before = requests.get(url + ROUTE, timeout=60).json()
        answer = requests.post(url + ROUTE, json=order(4), timeout=120)
        after = requests.get(url + ROUTE, timeout=60).json()
    problem = answer.json()
    print(f"without Dagster: {answer.status_code} {problem['code']}, {problem['hint']!r}, rows before {len(before)}, after {len(after)}")
    refused = (answer.status_code, problem["code"]) == (503, "dagster_unreachable") and "chronos lfs" in problem["hint"]
    return refused and len(before) == len(after)


if __name__ == "__main__":
    sys.exit(main())
