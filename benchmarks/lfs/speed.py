"""How fast Local Feature Selection is: one fit, its permutations, its memory, and the ratio to plain NumPy.

    .venv/bin/python -m benchmarks.lfs.speed [--big]

CPU seconds beside wall seconds: on a machine that others use, only the ratio to the bare library carries over. `--big` adds
5,000 x 200 and 15 features per case.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from chronos_assets.domain.lfs.cases import classes_of, standardized
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import LfsEngine
from chronos_assets_tests.support import lfs_reference
from chronos_assets_tests.support.lfs_case import interaction, sets_of

# rows, features, K, T, threads
CASES = [(500, 20, 3, 3, 2), (2000, 50, 3, 1, 2), (2000, 50, 3, 3, 2)]
BIG = [(2000, 50, 15, 3, 2), (5000, 200, 3, 2, 2)]
PEER = (500, 20, 3, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--big", action="store_true")
    options = parser.parse_args()
    fit(60, 3, 2, 2, 1)  # compiled, or loaded from its cache
    for case in CASES + (BIG if options.big else []):
        wall, cpu, distinct = fit(*case)
        rows, features, kept, passes, threads = case
        print(
            f"{rows:,} x {features}, K {kept}, T {passes}, {threads} threads: {wall:.2f} s, {cpu:.2f} CPU s, {distinct:,} sets; "
            f"99 permutations {100 * cpu / threads:.0f} s on {threads} idle cores; peak memory {peak_megabytes():.0f} MB",
            flush=True,
        )
    rows, features, kept, passes = PEER
    z, classes = problem(rows, features)
    started = time.process_time()
    wanted = lfs_reference.select(z, classes, max_kept=kept, iterations=passes, beta_trials=20)
    numpy_cpu = time.process_time() - started
    with LfsEngine(z, LfsParameters(max_kept=kept, iterations=passes)) as engine:
        started = time.process_time()
        found = engine.select(classes)
        cpu = time.process_time() - started
    equal = "equal" if sets_of(found) == wanted else "DIFFERENT"
    ratio = f"{numpy_cpu:.1f} CPU s, {numpy_cpu / cpu:.0f} times the engine's"
    print(f"plain NumPy on {rows} x {features}, K {kept}, T {passes}: {ratio}; sets {equal}")


def problem(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = interaction(rows, features, 0)
    return standardized(x)[0], classes_of(y, 3)[0]


def fit(rows: int, features: int, kept: int, passes: int, threads: int) -> tuple[float, float, int]:
    z, classes = problem(rows, features)
    wall, cpu = time.perf_counter(), time.process_time()
    with LfsEngine(z, LfsParameters(max_kept=kept, iterations=passes), threads=threads) as engine:
        found = engine.select(classes)
    return time.perf_counter() - wall, time.process_time() - cpu, found.distinct_sets


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
