"""Markets of any length for the benchmarks: a random walk with gaps and ranges, and predictions that know nothing."""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.simulation.engine import Signals
from chronos_assets.domain.simulation.prices import PriceBars, price_bars


def random_market(
    bars: int, *, seed: int, threshold: float = 2.0, volatility: float = 0.004, pull: float = 0.001
) -> tuple[PriceBars, Signals]:
    """Hourly bars, prices kept around 100 by a weak `pull`, and one prediction per bar with mirrored thresholds."""
    rng = np.random.default_rng(seed)
    gap, move = rng.normal(0, volatility / 2, bars), rng.normal(0, volatility, bars)
    logs = np.empty(bars)
    level = 0.0
    for t in range(bars):
        level += gap[t] + move[t] - pull * level
        logs[t] = level
    closes = 100 * np.exp(logs)
    opens = closes / np.exp(move)
    highs = np.maximum(opens, closes) * np.exp(np.abs(rng.normal(0, volatility / 3, bars)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(rng.normal(0, volatility / 3, bars)))
    prediction = rng.normal(size=bars)
    signals = Signals(prediction, np.full(bars, threshold), np.full(bars, -threshold), np.zeros(bars, dtype=np.int64))
    return price_bars(np.arange(bars, dtype=np.int64) * 3600, opens, highs, lows, closes), signals
