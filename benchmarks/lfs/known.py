"""Local Feature Selection on data whose answer is known: an interaction, two regimes, and the centred XOR that it does not find.

.venv/bin/python -m benchmarks.lfs.known
"""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.lfs.cases import classes_of, standardized
from chronos_assets.domain.lfs.permutations import PermutedClasses, p_values
from chronos_assets.domain.lfs.shares import membership, share_over_time
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import LfsEngine
from chronos_assets_tests.support.lfs_case import interaction, regimes, run


def main() -> None:
    x, y = interaction(2000, 50, 0)
    for iterations in (1, 3):
        _, pct = run(x, y, max_kept=3, iterations=iterations)
        first = np.argsort(-pct)[:3]
        print(f"interaction f0 * f1, 2,000 x 50, T {iterations}: " + ", ".join(f"f{v} {pct[v]:.1f} %" for v in first))
    for seed in range(4):
        x, y = regimes(seed)
        found, pct = run(x, y, bins=2, max_kept=2, iterations=3)
        halves = 100 * share_over_time(membership(found.chosen, 8), 2)
        print(
            f"regimes, seed {seed}: f0 {pct[0]:.1f} % ({halves[0, 0]:.0f}/{halves[1, 0]:.0f} by half), "
            f"f1 {pct[1]:.1f} % ({halves[0, 1]:.0f}/{halves[1, 1]:.0f}), largest noise {pct[2:].max():.1f} %"
        )
    for rows, features, kept, iterations in ((200, 10, 3, 1), (200, 10, 3, 3), (200, 10, 6, 3), (400, 20, 3, 3)):
        right, least = 0, []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            x = rng.normal(size=(rows, features))
            classes, _ = classes_of(np.sign(x[:, 0] * x[:, 1]), 2)
            parameters = LfsParameters(bins=2, max_kept=kept, iterations=iterations)
            permuted = PermutedClasses(classes, "complete", seed, 1)
            with LfsEngine(standardized(x)[0], parameters) as engine:
                counts = engine.select(classes).counts(features)
                null = np.stack([engine.select(permuted(r)).counts(features) for r in range(1, 20)])
            p = p_values(counts, null)
            assert p is not None
            right += set(np.argsort(-counts)[:2].tolist()) == {0, 1}
            least.append(float(p[1][2:].min()))
        print(
            f"centred XOR, {rows} x {features}, K {kept}, T {iterations}: top two right in {right} of 5; "
            f"least unbiased p of a noise feature {min(least):.2f} (19 permutations)"
        )


if __name__ == "__main__":
    main()
