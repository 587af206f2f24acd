"""Local Feature Selection against two oracles: HiGHS for the path, a plain NumPy reference for the sets of every case.

    .venv/bin/python -m benchmarks.lfs.oracles [--programs 8000] [--problems 200]

Exit status 1 if any differs.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from scipy.optimize import linprog

from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import select
from chronos_assets.learning.selectors.lfs_kernel import walk
from chronos_assets_tests.support import lfs_reference
from chronos_assets_tests.support.lfs_case import linear_programs, random_problem, sets_of

DEMANDS_PER_PROGRAM = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=8000, help="linear programs against HiGHS")
    parser.add_argument("--problems", type=int, default=200, help="selections against the reference, three of four with ties")
    options = parser.parse_args()
    programs = -(-options.programs // DEMANDS_PER_PROGRAM)
    wrong = sum(differing_programs(seed) for seed in range(programs))
    print(f"path against HiGHS: {programs * DEMANDS_PER_PROGRAM:,} linear programs, {wrong} different")
    select(*_warm())
    seconds, cases, different, ties = [0.0, 0.0], 0, 0, 0
    for seed in range(options.problems):
        z, classes, parameters = random_problem(seed)
        started = time.process_time()
        wanted = lfs_reference.select(z, classes, **parameters)
        between = time.process_time()
        found = sets_of(select(z, classes, LfsParameters(**parameters)))
        seconds = [seconds[0] + between - started, seconds[1] + time.process_time() - between]
        cases += len(wanted)
        different += sum(a != b for a, b in zip(wanted, found, strict=True))
        ties += seed % 4 != 0
    print(f"engine against reference: {options.problems} problems ({ties} with ties), {cases:,} cases, {different} different")
    print(f"CPU seconds of plain NumPy over the engine's on these small problems: {seconds[0] / seconds[1]:.1f}")
    return 1 if wrong or different else 0


def differing_programs(seed: int) -> int:
    """How many of the program's demands on b have another optimum than the compiled path says."""
    a, b, k = linear_programs(seed)
    longest = len(a) * len(a) + len(a) + 1
    events, reached = np.empty((longest, 2), np.int64), np.empty(longest)
    inside: set[int] = set()
    costs = []
    count = walk(a, b, min(k, len(a)), np.empty(len(a), np.bool_), events, reached)
    for leaves, enters in events[:count]:
        inside = (inside - {int(leaves)}) | {int(enters)}
        costs.append(float(a[sorted(inside)].sum()))
    wrong = 0
    for q in range(1, DEMANDS_PER_PROGRAM + 1):
        needed = q / (DEMANDS_PER_PROGRAM + 1) * float(np.sort(b)[::-1][:k].sum())
        solved = linprog(a, A_ub=np.vstack([-b, np.ones_like(a), -np.ones_like(a)]), b_ub=[-needed, k, -1], bounds=(0, 1), method="highs")
        after = next(p for p in range(count) if reached[p] >= needed - 1e-12)
        share = 0.0 if after == 0 else (needed - reached[after]) / (reached[after] - reached[after - 1])
        best = costs[after] + share * (costs[after] - costs[after - 1])
        wrong += abs(best - solved.fun) > 1e-7
    return wrong


def _warm() -> tuple[np.ndarray, np.ndarray, LfsParameters]:
    z, classes, parameters = random_problem(0)
    return z, classes, LfsParameters(**parameters)


if __name__ == "__main__":
    sys.exit(main())
