"""Pure noise in the shapes that fool a careless test: windows that overlap, targets that overlap, volatility in clusters, trials alike."""

from __future__ import annotations

import itertools

import numpy as np

from chronos_assets.domain.simulation.engine import Signals as BarSignals
from chronos_assets.domain.simulation.prices import PriceBars, price_bars
from chronos_assets.domain.statistics.signal_significance import Cases, FoldCases
from chronos_assets.domain.statistics.trials import Signals

HALF_LIFE_BARS, VOLATILITY_SPREAD = 23, 0.6


def clustered_volatility(rng: np.random.Generator, bars: int) -> np.ndarray:
    """Volatility whose logarithm is an autoregression with a half-life of `HALF_LIFE_BARS`; float64 [bars], median 1."""
    return np.asarray(np.exp(VOLATILITY_SPREAD * persistent(rng, bars, 0.5 ** (1 / HALF_LIFE_BARS))))


def persistent(rng: np.random.Generator, bars: int, share: float) -> np.ndarray:
    """A standard normal autoregression of order 1, float64 [bars]."""
    from scipy.signal import lfilter

    shocks = rng.normal(size=bars) * np.sqrt(1 - share**2)
    shocks[0] /= np.sqrt(1 - share**2)
    return np.asarray(lfilter([1.0], [1.0, -share], shocks))


def overlapping_targets(rng: np.random.Generator, bars: int, horizon: int, volatility: np.ndarray | None = None) -> np.ndarray:
    """Sums of the `horizon` returns after each bar, float64 [bars]."""
    returns = rng.normal(size=bars + horizon)
    if volatility is not None:
        returns[: len(volatility)] *= volatility
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    return np.asarray(sums[horizon : horizon + bars] - sums[:bars])


def noise_folds(
    seed: int, *, horizon: int = 1, persistence: float = 0.0, clustered: bool = False, folds: int = 20, chosen: int = 130, tested: int = 24
) -> list[FoldCases]:
    """A rolling walk-forward over one series of targets: validation windows overlap, and each holds tests of folds before.

    Predictions know nothing of the targets. Half of them is common to all folds, half each model's own; with `clustered` they grow with
    the volatility of the targets.
    """
    rng = np.random.default_rng(seed)
    bars = chosen + folds * tested
    volatility = clustered_volatility(rng, bars) if clustered else np.ones(bars)
    targets = overlapping_targets(rng, bars, horizon, volatility)
    common = persistent(rng, bars, persistence)
    found = []
    for k in range(folds):
        predictions = (common + persistent(rng, bars, persistence)) * volatility
        edges = (k * tested, k * tested + chosen, k * tested + chosen + tested)
        windows = [np.arange(a, b) for a, b in itertools.pairwise(edges)]
        found.append(FoldCases(*(Cases(rows, predictions[rows], targets[rows]) for rows in windows)))
    return found


def clustered_market(bars: int, *, seed: int) -> tuple[PriceBars, BarSignals]:
    """Bars with clustered volatility, and predictions scaled by the volatility of their bar: they know it, and nothing else."""
    rng = np.random.default_rng(seed)
    size = 0.006 * clustered_volatility(rng, bars)
    gap, move = rng.normal(size=bars) * size / 3, rng.normal(size=bars) * size
    closes = 100 * np.exp(np.cumsum(gap + move))
    opens = closes / np.exp(move)
    highs = np.maximum(opens, closes) * np.exp(np.abs(rng.normal(size=bars)) * size / 3)
    lows = np.minimum(opens, closes) * np.exp(-np.abs(rng.normal(size=bars)) * size / 3)
    prediction = rng.normal(size=bars) * size / 0.006
    signals = BarSignals(prediction, np.full(bars, 1.5), np.full(bars, -1.5), np.zeros(bars, dtype=np.int64))
    return price_bars(np.arange(bars, dtype=np.int64) * 3600, opens, highs, lows, closes), signals


def noise_trials(seed: int, *, horizon: int, correlation: float, trials: int = 12, bars: int = 1_500) -> list[Signals]:
    """Signals of `trials` runs without skill on the same bars; their predictions persist and correlate with each other."""
    rng = np.random.default_rng(seed)
    targets = overlapping_targets(rng, bars, horizon)
    common = persistent(rng, bars, 0.9)
    found = []
    for _ in range(trials):
        predictions = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * persistent(rng, bars, 0.9)
        rows = np.flatnonzero(np.abs(predictions) >= 1.2)
        signs = np.sign(predictions[rows])
        found.append(Signals(rows * 3600, rows, signs, signs * targets[rows]))
    return found
