"""The average true range, which stops and sizes are measured in. Compiled, so apart from `prices`, which many only read."""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.compiled import jit
from chronos_assets.domain.simulation.prices import Floats


@jit
def average_true_range(highs: Floats, lows: Floats, closes: Floats, bars: int) -> Floats:  # pragma: no cover - compiled
    """Simple mean of the true range over the last `bars` bars that have prices, the current one included ([M]).

    float64 [bars]; NaN until so many are known; a bar without prices repeats the value before it. The first true range is High - Low.
    """
    n = closes.shape[0]
    out = np.full(n, np.nan)
    ring = np.empty(bars)
    seen = 0
    previous = np.nan
    value = np.nan
    for t in range(n):
        if not np.isnan(closes[t]):
            high, low = highs[t], lows[t]
            if not np.isnan(previous):
                high, low = max(high, previous), min(low, previous)
            ring[seen % bars] = high - low
            seen += 1
            previous = closes[t]
            if seen >= bars:
                value = 0.0
                for k in range(bars):
                    value += ring[k]
                value /= bars
        out[t] = value
    return out
