"""What happened on the way of an equity curve: its worst drawdowns, and its Sharpe ratio over a moving window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.statistics.returns import NO_VARIATION, bar_returns, drawdown_pct

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SHORTEST_WINDOW = 20


@dataclass(frozen=True)
class Drawdown:
    """One stretch below the running maximum. `recovered_unix` is None if the curve ends below it; `bars` counts those below."""

    begun_unix: int
    deepest_unix: int
    recovered_unix: int | None
    depth_pct: float
    bars: int


def worst_drawdowns(equity: Floats, times: Ints, capital: float, count: int = 5) -> list[Drawdown]:
    """The `count` deepest stretches below the running maximum, the deepest first; the starting capital counts as a maximum.

    `equity` float64 [bars], `times` int64 UTC seconds. A stretch begins at the bar of its maximum (the first bar if that was the capital).
    """
    depth = drawdown_pct(equity, capital)
    below = np.concatenate([[False], depth > 0.0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        deepest = start + int(np.argmax(depth[start:end]))
        recovered = int(times[end]) if end < len(times) else None
        found.append(Drawdown(int(times[max(0, start - 1)]), int(times[deepest]), recovered, float(depth[deepest]), end - start))
    return sorted(found, key=lambda one: (-one.depth_pct, one.begun_unix))[:count]


def rolling_window(bars: int, per_year: float | None) -> int:
    """Half a year of bars, at least 20 and at most a quarter of all."""
    return max(SHORTEST_WINDOW, min(round((per_year or 0.0) / 2), bars // 4))


def rolling_sharpe(equity: Floats, window: int, per_year: float | None) -> Floats:
    """Sharpe ratio of the last `window` per-bar returns at each bar, annualised as the whole one is; float64 [bars].

    NaN before the window is full, if its returns do not vary, and everywhere if equity was at or below zero.
    """
    found = np.full(len(equity), np.nan)
    returns = bar_returns(equity)
    if returns is None or per_year is None or len(returns) < window:
        return found
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    squares = np.concatenate([[0.0], np.cumsum(returns**2)])
    mean = (sums[window:] - sums[:-window]) / window
    variance = np.maximum((squares[window:] - squares[:-window]) - window * mean**2, 0.0) / (window - 1)
    spread = np.sqrt(variance)
    varies = spread > max(NO_VARIATION, 1e-9 * float(spread.max(initial=0.0)))  # differences of sums leave rounding behind
    found[window:][varies] = mean[varies] / spread[varies] * math.sqrt(per_year)
    return found
