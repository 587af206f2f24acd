"""`python -m benchmarks [PART ...]`: every ratio that has a bound, as one table; ends with 1 if one does not hold.

Parts: walkforward, ingest, export, simulation, lineage; all by default, in less than 20 minutes on two cores. Each part is a command of
its own that takes us and its peer in turns and gives ratios of medians. `--runs 3` runs all of it three times and takes the median of each
ratio. `--beside FOLDER` runs each part in another checkout, too, in turns with this one: a version that has this command.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import note

HERE = Path(__file__).resolve().parents[1]
# Part -> the module that measures it, and its options.
PARTS: dict[str, list[str]] = {
    "walkforward": ["benchmarks.walkforward.speed"],
    "ingest": ["benchmarks.ingest", "--repeat", "9"],
    "export": ["benchmarks.export.speed"],
    "simulation": ["benchmarks.simulation.speed"],
    "lineage": ["benchmarks.lineage.overhead"],
}


def python_of(checkout: Path) -> str:
    """The interpreter of a checkout: this one's is the one that runs."""
    return sys.executable if checkout == HERE else str(checkout / ".venv/bin/python")


def figures_of(part: str, options: list[str], checkout: Path) -> Iterator[dict[str, Any]]:
    """What the command of a part reports; what it says beside that goes to stderr."""
    command = [python_of(checkout), "-W", "ignore", "-m", *PARTS[part], *options, "--json"]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")


def machine() -> str:
    """Where this runs."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        model = next((line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--bars", type=Path, help="indicator CSV for the walk-forward; by default the demo's")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--beside", type=Path, help="another checkout, with its own .venv")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.parts) - set(PARTS)):
        parser.error(f"there is no part {', '.join(unknown)}")
    checkouts = [HERE] if asked.beside is None else [asked.beside.resolve(), HERE]
    bars = [] if asked.bars is None else ["--bars", str(asked.bars.resolve())]
    values: dict[str, dict[Path, list[float]]] = defaultdict(lambda: {checkout: [] for checkout in checkouts})
    bounds: dict[str, tuple[str, float]] = {}
    began = time.monotonic()
    print(f"{machine()}; {asked.runs} run(s)\n", flush=True)
    for run in range(asked.runs):
        for part in asked.parts or PARTS:
            for checkout in checkouts:
                note(f"-- {part}, run {run + 1}, {checkout}, after {time.monotonic() - began:.0f} s")
                for figure in figures_of(part, bars if part == "walkforward" else [], checkout):
                    values[figure["what"]][checkout].append(figure["value"])
                    bounds[figure["what"]] = (figure["bound"], figure["limit"])
    print("| step | " + " | ".join([*(["there"] if asked.beside else []), "here", "bound", "holds"]) + " |")
    print("|---" * (4 + (asked.beside is not None)) + "|")
    failed = 0
    for what, found in values.items():
        medians = [statistics.median(found[checkout]) if found[checkout] else float("nan") for checkout in checkouts]
        holds = medians[-1] <= bounds[what][1]
        failed += not holds
        print(f"| {what} | " + " | ".join(f"{value:.3g}" for value in medians) + f" | {bounds[what][0]} | {'yes' if holds else 'no'} |")
    print(f"\n{failed} of {len(values)} bounds do not hold; {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} at the end")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
