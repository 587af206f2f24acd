"""When a prediction is a signal: two thresholds per fold, each side chosen on its own.

Long if `prediction >= long`, short if `prediction <= short`; a bar beyond both gives no signal. None switches a side off.
Sources: [AM] Aronson & Masters 2013, [M] Masters 2018; choices in DEFINITIONS, "Thresholds".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.targets import Floats

Method = Literal["optimal", "percentile", "zero"]
# Two profit factors that differ by less are equal: they are ratios of sums of the same numbers, added in another order.
EQUAL_WITHIN = 1e-12


@dataclass(frozen=True)
class Thresholds:
    """The two thresholds of a fold, how they were chosen, and on how many cases. A side that is None is off."""

    long: float | None
    short: float | None
    method: Method
    data: str
    n_cases: int

    def as_json(self) -> dict[str, Any]:
        """The stored form `{long, short, method, data, n_cases}`."""
        return dict(vars(self))

    def cases(self, predictions: Floats) -> dict[str, int | None]:
        """How many of the cases that chose the thresholds each side keeps: what it rests on; None for a side that is off."""
        return {
            "long": None if self.long is None else int(np.count_nonzero(predictions >= self.long)),
            "short": None if self.short is None else int(np.count_nonzero(predictions <= self.short)),
        }

    def signals(self, predictions: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """`(long, short)` as boolean arrays; a bar beyond both thresholds is in neither."""
        nobody = np.zeros(len(predictions), dtype=np.bool_)
        long = nobody if self.long is None else predictions >= self.long
        short = nobody if self.short is None else predictions <= self.short
        return long & ~short, short & ~long


def choose_thresholds(predictions: Floats, returns: Floats, profile: ThresholdProfile) -> Thresholds:
    """Thresholds by `profile.method` over cases (prediction, return as a long signal), both float64 of shape (cases,), no NaN.

    `zero` gives 0 for both sides: a prediction of exactly 0 lies beyond both and so gives no signal, which is `> 0` and `< 0`.
    """
    n = len(predictions)
    if profile.method == "zero":
        long, short = 0.0, 0.0
    elif not n:
        return Thresholds(None, None, profile.method, profile.data, 0)
    elif profile.method == "percentile":
        long, short = (float(np.percentile(predictions, q)) for q in (profile.long_percentile, profile.short_percentile))
    else:
        best_long = optimal_cut(predictions, returns, profile.min_fraction)
        best_short = optimal_cut(-predictions, -returns, profile.min_fraction)
        return Thresholds(best_long, None if best_short is None else 0.0 - best_short, profile.method, profile.data, n)
    return Thresholds(long, short, profile.method, profile.data, n)


def least_cases(n: int, min_fraction: float) -> int:
    """`max(1, ceil(min_fraction * n))`, the product taken exactly on the decimal as written (0.07 * 100 is 7, not 7.000000000000001)."""
    return max(1, math.ceil(Fraction(Decimal(repr(min_fraction))) * n))


def optimal_cut(predictions: Floats, returns: Floats, min_fraction: float) -> float | None:
    """The smallest prediction kept by the cut with the best profit factor among cases kept from the top; None if the best is <= 1.

    Cuts lie at observed predictions, keep at least `least_cases` cases, and never split ties. Equal profit factors: more cases.
    O(n log n): one sort and cumulative sums.
    """
    n = len(predictions)
    if not n:
        return None
    order = np.argsort(-predictions, kind="stable")
    ranked, gained = predictions[order], returns[order]
    gains = np.cumsum(np.where(gained > 0, gained, 0.0))
    losses = np.cumsum(np.where(gained < 0, -gained, 0.0))
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    allowed = last_of_tie & (np.arange(1, n + 1) >= least_cases(n, min_fraction))
    factors = np.where(allowed, _ratios(gains, losses), -np.inf)
    best = float(factors.max())
    if not best > 1.0 + EQUAL_WITHIN:
        return None
    equal = factors == best if math.isinf(best) else factors >= best * (1.0 - EQUAL_WITHIN)
    return float(ranked[np.flatnonzero(equal)[-1]])


def _ratios(gains: Floats, losses: Floats) -> Floats:
    """Profit factors; infinite without losses, and 0 if there are neither gains nor losses."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = gains / losses
    return np.where(losses > 0, factors, np.where(gains > 0, np.inf, 0.0))
