"""Intervals of return, profit factor, Sharpe ratio and drawdown by the stationary bootstrap (Politis & Romano 1994)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.compiled import jit
from chronos_assets.domain.statistics import stationary_bootstrap
from chronos_assets.domain.statistics.returns import NO_VARIATION
from chronos_assets.domain.statistics.trials import varies

Floats = npt.NDArray[np.float64]

STATISTICS = ("total_return_pct", "profit_factor_bar", "sharpe", "max_drawdown_pct")
# Bars drawn in one bootstrap at most: beyond it fewer resamples are taken, and the result says how many.
MOST_BARS = 200_000_000


def bootstrap_intervals(
    returns: Floats | None, per_year: float | None, *, resamples: int, confidence: float, block_bars: float | None, seed: int
) -> dict[str, Any] | None:
    """Percentile intervals over resamples of per-bar `returns` (float64 [bars - 1]); None if there is nothing to resample.

    Each of `STATISTICS` is `{low, high}`. None stands for a bound that is infinite (a profit factor without losses) or for a statistic
    that most resamples do not have. The mean block is that of Politis & White (2004) unless given.
    """
    if returns is None or per_year is None or resamples < 1 or len(returns) < 3 or not varies(returns):
        return None
    resamples = max(1, min(resamples, MOST_BARS // len(returns)))
    block = block_bars or mean_block(returns)
    paths = stationary_bootstrap.resamples(returns, block, resamples, seed=seed)
    values = np.array([resampled_statistics(path, per_year=per_year) for path in paths])
    tail = (1.0 - confidence) / 2.0
    bounds = {name: _interval(values[:, k], tail) for k, name in enumerate(STATISTICS)}
    return {**bounds, "confidence": confidence, "resamples": resamples, "block_bars": block, "seed": seed}


def mean_block(returns: Floats) -> float:
    """`optimal_block` from the autocorrelation, held between 1 and a third of the bars."""
    with np.errstate(all="ignore"):
        length = stationary_bootstrap.optimal_block(returns)
    return min(max(length, 1.0), len(returns) / 3.0) if math.isfinite(length) else 1.0


@jit
def resampled_statistics(returns: Floats, per_year: float) -> Floats:  # pragma: no cover - compiled
    """The four `STATISTICS` of one path of per-bar returns; NaN if one has no value."""
    n = returns.shape[0]
    equity = peak = 1.0
    gains = losses = total = worst = 0.0
    for k in range(n):
        r = returns[k]
        total += r
        if r > 0.0:
            gains += r
        else:
            losses -= r
        equity *= 1.0 + r
        peak = max(peak, equity)
        worst = max(worst, 1.0 - equity / peak)
    mean = total / n
    squares = 0.0
    for k in range(n):
        squares += (returns[k] - mean) ** 2
    spread = math.sqrt(squares / (n - 1))
    factor = np.nan
    if losses > 0.0:
        factor = gains / losses
    elif gains > 0.0:
        factor = np.inf
    ratio = mean / spread * math.sqrt(per_year) if spread > NO_VARIATION * abs(mean) else np.nan
    return np.array([100.0 * (equity - 1.0), factor, ratio, 100.0 * worst])


def _interval(values: Floats, tail: float) -> dict[str, float | None]:
    known = np.sort(values[~np.isnan(values)])
    if len(known) < max(2, len(values) // 2):
        return {"low": None, "high": None}
    return {"low": _quantile(known, tail), "high": _quantile(known, 1.0 - tail)}


def _quantile(ordered: Floats, share: float) -> float | None:
    """Linear interpolation as numpy's, but None if it meets infinity."""
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    value = low if low == high else low + (place - math.floor(place)) * (high - low)
    return float(value) if math.isfinite(value) else None
