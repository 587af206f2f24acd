"""p-values of Local Feature Selection if the target knows nothing: do they claim as often as they say?

    .venv/bin/python -m benchmarks.lfs.null [--sets 300] [--permutations 19]

Four cases: complete and cyclic permutations, on independent rows and on first-order autoregressions of 0.97 (features and target).
`solo` is the share of features with p_solo <= 0.05, `family` the share of data sets whose least p_unbiased is <= 0.05; both should be at
most 0.05 (ties count against a feature, so they may be less). Exit status 1 if a share that should hold lies more than three binomial
standard deviations above 0.05, or if complete permutations of autoregressions do not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

from chronos_assets.domain.lfs.cases import classes_of, standardized
from chronos_assets.domain.lfs.permutations import PermutedClasses, p_values
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import LfsEngine
from chronos_assets_tests.support.lfs_case import ar

ROWS, FEATURES, SIZE = 60, 3, 0.05
PARAMETERS = LfsParameters(max_kept=2, iterations=2, beta_trials=20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--permutations", type=int, default=19)
    options = parser.parse_args()
    spread = math.sqrt(SIZE * (1 - SIZE) / options.sets)
    most = SIZE + 3 * spread
    print(f"{options.sets} data sets of {ROWS} x {FEATURES}, {options.permutations} permutations; bound for a share: {most:.3f}")
    failed = False
    for dependent in (False, True):
        for kind in ("complete", "cyclic"):
            started = time.process_time()
            solo, family = shares(kind, dependent=dependent, sets=options.sets, permutations=options.permutations)
            data = "AR(0.97)" if dependent else "independent"
            should_hold = not (dependent and kind == "complete")
            holds = solo <= most and family <= most
            failed = failed or holds != should_hold
            verdict = "as it says" if holds else "too often"
            print(
                f"{data:<12} {kind:<9} solo {solo:.3f}  family {family:.3f}  {verdict}  ({time.process_time() - started:.0f} CPU s)",
                flush=True,
            )
    return int(failed)


def shares(kind: str, *, dependent: bool, sets: int, permutations: int) -> tuple[float, float]:
    """Share of p_solo <= 0.05 over all features, and of data sets whose least p_unbiased is <= 0.05."""
    solo, family = [], []
    for seed in range(sets):
        rng = np.random.default_rng([seed, dependent])
        x, y = (ar((ROWS, FEATURES), rng), ar((ROWS,), rng)) if dependent else (rng.normal(size=(ROWS, FEATURES)), rng.normal(size=ROWS))
        classes, _ = classes_of(y, 3)
        permuted = PermutedClasses(classes, kind, seed, horizon=1)  # type: ignore[arg-type]
        with LfsEngine(standardized(x)[0], PARAMETERS) as engine:
            counts = engine.select(classes).counts(FEATURES)
            null = np.stack([engine.select(permuted(r)).counts(FEATURES) for r in range(1, permutations + 1)])
        found = p_values(counts, null)
        assert found is not None
        solo.append(float((found[0] <= SIZE).mean()))
        family.append(float(found[1].min() <= SIZE))
    return float(np.mean(solo)), float(np.mean(family))


if __name__ == "__main__":
    sys.exit(main())
