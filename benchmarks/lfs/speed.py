"""How fast Local Feature Selection is, how much memory it takes, and the ratio of both to plain NumPy.

    .venv/bin/python -m benchmarks.lfs.speed [--quick] [--only WORD]

Each case runs in a process of its own, whose peak memory is measured. Wall seconds are compared with the limit of the case, on a quiet
machine of two cores; CPU seconds and the ratio to NumPy carry over to a machine that others use. NumPy: the reference of the tests, which
makes the same sets with one N x N matrix per distinct set, on one thread; its sets must be equal. `--quick` measures 4 fits where a case
asks for 100, and leaves the largest cases out. Exit status 1 if a limit is passed or sets differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.walkforward.workplace import peak_memory_mb

THREADS, BETA_TRIALS = 2, 20


@dataclass(frozen=True)
class Case:
    """A problem, and what it may take. `fits`: the selection and its permutations."""

    name: str
    rows: int
    features: int
    kept: int
    passes: int
    fits: int = 1
    limit_seconds: float | None = None
    limit_mb: float | None = None
    large: bool = False
    numpy: bool = False


CASES = (
    Case("one pass", 2000, 50, 3, 1, limit_seconds=3),
    Case("a fit", 2000, 50, 3, 3, limit_seconds=15),
    Case("a fit and 99 permutations", 2000, 50, 3, 3, fits=100, limit_seconds=1500),
    Case("15 features per case", 2000, 50, 15, 3, limit_seconds=120, large=True),
    Case("99 permutations of a small one", 500, 20, 3, 3, fits=100, limit_seconds=30),
    Case("the memory of a large one", 5000, 200, 3, 2, limit_mb=400, large=True),
    Case("against NumPy, small", 500, 20, 3, 3, numpy=True),
    Case("against NumPy", 2000, 50, 3, 3, numpy=True, large=True),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--measure", nargs=2, metavar=("NUMBER", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        case = CASES[int(options.measure[0])]
        print(json.dumps(numpy_alone(case) if options.measure[1] == "numpy" else engine(case, quick=options.quick)))
        return 0
    passed = [
        report(n, case, quick=options.quick)
        for n, case in enumerate(CASES)
        if options.only in case.name and not (options.quick and case.large)
    ]
    return 0 if all(passed) else 1


def report(number: int, case: Case, *, quick: bool) -> bool:
    """Measure a case and print it; False if it passes its limits or differs from NumPy."""
    mine = measured(number, "engine", quick=quick)
    what = f"{case.rows:,} x {case.features}, K {case.kept}, T {case.passes}"
    line = (
        f"{case.name} ({what}): {mine['wall']:.2f} s wall on {THREADS} threads, {mine['cpu']:.2f} CPU s, {mine['distinct']:,} distinct sets"
    )
    line += f", peak {mine['peak_mb']:.0f} MB ({mine['added_mb']:.0f} above the libraries)"
    held = True
    if mine["fits"] < case.fits:
        line += f" (from {mine['fits']} fits)"
    if case.limit_seconds is not None:
        held = mine["wall"] <= case.limit_seconds
        line += f"; limit {case.limit_seconds:,.0f} s: {'held' if held else 'PASSED'}"
    if case.limit_mb is not None:
        held = held and mine["peak_mb"] <= case.limit_mb
        line += f"; limit {case.limit_mb:.0f} MB: {'held' if held else 'PASSED'}"
    if case.numpy:
        other = measured(number, "numpy", quick=quick)
        held = held and other["sets"] == mine["sets"]
        line += (
            f"; NumPy {other['cpu']:.2f} CPU s, {other['cpu'] / mine['cpu']:.0f} times as much, and {other['added_mb']:.0f} MB, "
            f"{other['added_mb'] / max(mine['added_mb'], 1):.0f} times; sets {'equal' if held else 'DIFFERENT'}"
        )
    print(line, flush=True)
    return held


def measured(number: int, what: str, *, quick: bool) -> dict[str, Any]:
    """A case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.lfs.speed", "--measure", str(number), what, *(["--quick"] if quick else [])]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return found


def reset_peak() -> float:
    """Forget the peak so far (Linux); returns the megabytes in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory_mb()


def problem(case: Case) -> tuple[np.ndarray, np.ndarray]:
    from chronos_assets.domain.lfs.cases import classes_of, standardized
    from chronos_assets_tests.support.lfs_case import interaction

    x, y = interaction(case.rows, case.features, 0)
    return standardized(x)[0], classes_of(y, 3)[0]


def engine(case: Case, *, quick: bool) -> dict[str, Any]:
    """The compiled engine: the selection, then permutations of it."""
    from chronos_assets.domain.lfs.permutations import PermutedClasses
    from chronos_assets.domain.profiles.lfs import LfsParameters
    from chronos_assets.learning.selectors.lfs import LfsEngine, select
    from chronos_assets_tests.support.lfs_case import sets_of

    select(np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2, LfsParameters())  # compiled, or loaded from its cache
    z, classes = problem(case)
    permuted = PermutedClasses(classes, "cyclic", 7, 1)
    fits, before = (min(case.fits, 4) if quick else case.fits), reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    threads = 1 if case.numpy else THREADS
    with LfsEngine(z, LfsParameters(max_kept=case.kept, iterations=case.passes, beta_trials=BETA_TRIALS), threads=threads) as working:
        found = working.select(classes)
        for r in range(1, fits):
            working.select(permuted(r))
    scale = case.fits / fits
    return {
        "wall": scale * (time.perf_counter() - wall),
        "cpu": scale * (time.process_time() - cpu),
        "fits": fits,
        "distinct": found.distinct_sets,
        "sets": [sorted(s) for s in sets_of(found)] if case.numpy else [],
        "peak_mb": peak_memory_mb(),
        "added_mb": peak_memory_mb() - before,
    }


def numpy_alone(case: Case) -> dict[str, Any]:
    """The same selection by the reference."""
    from chronos_assets_tests.support import lfs_reference

    z, classes = problem(case)
    before, cpu = reset_peak(), time.process_time()
    found = lfs_reference.select(z, classes, max_kept=case.kept, iterations=case.passes, beta_trials=BETA_TRIALS)
    return {"cpu": time.process_time() - cpu, "sets": [sorted(s) for s in found], "added_mb": peak_memory_mb() - before}


if __name__ == "__main__":
    sys.exit(main())
