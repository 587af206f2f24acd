"""`python -m benchmarks.nights`: nights of growth in a compressed clock. Each night every dataset gets bars, then `chronos backfill --all`.

Per night: CPU seconds of the command with all of its processes and of both servers, bytes by store, rows alive and dead, folds trained
and copied. At the end the slope of CPU and bytes over the last ten nights, per night and relative to their mean, and the last ten nights
beside the ten after the policy had filled. Dead rows gather for some eight nights until their table is made again, so bytes rise and fall.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import psutil

from benchmarks.nights.market import a_day_passes, write_file
from chronos_assets import services
from chronos_assets.testing import process_environment, temporary_servers

BACKFILL = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()", "backfill", "--all", "--json"]
SAMPLE_SECONDS = 0.1
LAST = 10


def run_night(environment: dict[str, str]) -> tuple[dict[str, Any], float]:
    """One night: its document, and the CPU seconds of the command and every process below it."""
    seen: dict[int, float] = {}
    with subprocess.Popen(BACKFILL, env=environment, stdout=subprocess.PIPE, stderr=None) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            for one in _family(root):
                try:
                    times = one.cpu_times()
                except psutil.Error:
                    continue
                seen[one.pid] = times.user + times.system
            time.sleep(SAMPLE_SECONDS)
        assert process.stdout is not None
        text = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the night ended with {process.returncode}: {text[-2000:].decode()}")
    return json.loads(text), sum(seen.values())


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def servers_seconds(pids: list[int]) -> float:
    """CPU seconds of the servers since they were started, those of their ended children included."""
    total = 0.0
    for pid in pids:
        for one in _family(psutil.Process(pid)):
            try:
                times = one.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def slope(values: list[float]) -> str:
    """Least squares over the nights, per night and relative to their mean."""
    if len(values) < 2:
        return "-"
    per_night = float(np.polyfit(np.arange(len(values)), values, 1)[0])
    return f"{per_night:+.4g} a night ({100 * per_night / np.mean(values):+.2f} % of {np.mean(values):.4g})"


def beside(values: list[float], filled: int) -> str:
    """Mean of the last nights beside that of as many after the policy had filled, which it has by night `filled`."""
    first, last = values[filled : filled + LAST], values[-LAST:]
    if len(values) < filled + 2 * LAST:
        return "too few nights to tell"
    return f"{np.mean(first):.4g} in nights {filled} to {filled + LAST - 1}, {np.mean(last):.4g} in the last {LAST}"


def main() -> None:
    """Print a line per night, then the slopes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--datasets", type=int, default=10)
    parser.add_argument("--keep-nights", type=int, default=7)
    parser.add_argument("--keep-months", type=int, default=2)
    parser.add_argument("--first-bars", type=int, default=400)
    parser.add_argument("--bars", type=int, default=2, help="Bars that each dataset gets a night.")
    asked = parser.parse_args()
    most = asked.first_bars + asked.bars * asked.nights
    own = {"manifest_settle_seconds": 0, "keep_nights": asked.keep_nights, "keep_months": asked.keep_months}
    with temporary_servers(durable=True, **own) as (settings, connections):
        pids = [one.pid for one in services.status(settings) if one.pid]
        environment = process_environment(settings)
        cpu: list[float] = []
        bytes_: list[float] = []
        print(
            f"{'night':>5} {'CPU s':>7} {'servers':>8} {'QuestDB':>9} {'Postgres':>9} {'files':>9} {'MB':>7} {'alive':>9} {'dead':>9} folds"
        )
        for night in range(asked.nights):
            for number in range(asked.datasets):
                write_file(settings.exports_dir, number, asked.first_bars + asked.bars * night, most)
            before = servers_seconds(pids)
            document, seconds = run_night(environment)
            servers, space, totals = servers_seconds(pids) - before, document["morning"]["space"], document["totals"]
            dead = sum(one["dead_rows"] for one in space["tables"])
            alive = sum(one["rows"] for one in space["tables"]) - dead
            stores = [space[f"{name}_bytes"] / 1e6 for name in ("questdb", "postgres", "files")]
            cpu.append(seconds + servers)
            bytes_.append(space["total_bytes"])
            print(
                f"{night:>5} {seconds:>7.1f} {servers:>8.1f} {stores[0]:>9.1f} {stores[1]:>9.1f} {stores[2]:>9.1f} {sum(stores):>7.1f} "
                f"{alive:>9,} {dead:>9,} {totals['folds_trained']} trained, {totals['folds_reused']} copied",
                flush=True,
            )
            a_day_passes(settings, connections)
        print(f"last {LAST} nights: CPU {slope(cpu[-LAST:])}, bytes {slope(bytes_[-LAST:])}")
        filled = asked.keep_nights + asked.keep_months
        print(f"CPU seconds {beside(cpu, filled)}; bytes {beside(bytes_, filled)}")


if __name__ == "__main__":
    main()
