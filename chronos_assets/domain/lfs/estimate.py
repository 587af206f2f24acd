"""How long a selection takes, roughly: counts of operations times what each took on one core of a server of 2024."""

from __future__ import annotations

import math

from chronos_assets.domain.profiles.lfs import LfsParameters

SUM_NS, DISTANCE_NS, WEIGHT_NS, RANK_NS = 0.4, 0.15, 2.2, 30.0
# Share of the cases whose set is of its own, by the most that a case keeps; measured on independent features.
DISTINCT_OF_THREE, DISTINCT_OF_MORE = 0.3, 1.0


def estimate_seconds(parameters: LfsParameters, *, cases: int, features: int, permutations: int, threads: int) -> float:
    """Seconds that one selection and its permutations take on `threads` threads, all passes together."""
    kept = min(parameters.max_kept, features)
    possible = sum(math.comb(features, size) for size in range(1, min(kept, 4) + 1))
    distinct = min(possible, (DISTINCT_OF_THREE if kept <= 3 else DISTINCT_OF_MORE) * cases)
    sums = SUM_NS * features
    weights = distinct * (WEIGHT_NS + DISTANCE_NS * kept)
    ranks = min(parameters.beta_trials, 3 * kept) * RANK_NS
    nanoseconds = cases**2 * (parameters.iterations * (sums + ranks) + (parameters.iterations - 1) * weights)
    return 1e-9 * nanoseconds * (1 + permutations) / max(threads, 1)


def in_words(seconds: float) -> str:
    """`about 20 s`, `about 7 min` or `about 3.5 h`."""
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
