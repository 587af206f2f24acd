"""Profit factor and the metrics of signals. Sums are exactly rounded (`math.fsum`), so no order of folds or workers changes them.

Sources: [AM] Aronson & Masters 2013, [M] Masters 2018; choices in DEFINITIONS, "Signals and fold metrics" and "Profit factor".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronos_assets.domain.targets import Floats, case_returns
from chronos_assets.domain.thresholds import Thresholds

# Names of the metrics of a side by version. Stored folds and summaries say theirs (none: 1) and are held to those names alone, so a new
# metric makes nothing wrong that was stored before it. A new metric is a new version here; a test compares the newest with `SignalMetrics`.
_FIRST_NAMES = frozenset({"n_signals", "hit_rate", "signal_sum", "mean", "median", "std", "profit_factor", "no_losses"})
# Version 2 added the cases that thresholds rest on, to folds and summaries.
METRIC_NAMES: dict[int, frozenset[str]] = {1: _FIRST_NAMES, 2: _FIRST_NAMES}
METRICS_VERSION = max(METRIC_NAMES)


def profit_factor(values: ArrayLike) -> tuple[float | None, bool]:
    """`(sum of gains / |sum of losses|, no_losses)` of returns or pnl [AM].

    No losses and some gains: `(inf, True)`. No values, or neither gains nor losses: `(None, False)`. What a value stands for (a bar or a
    trade) is the caller's to say.
    """
    array = np.asarray(values, dtype=np.float64)
    gains = math.fsum(array[array > 0])
    losses = -math.fsum(array[array < 0])
    if losses > 0:
        return gains / losses, False
    return (math.inf, True) if gains > 0 else (None, False)


@dataclass(frozen=True)
class SignalMetrics:
    """Metrics of a set of signals. `profit_factor` is infinite in memory if there were no losses, None if it has no value."""

    n_signals: int
    hit_rate: float | None
    signal_sum: float
    mean: float | None
    median: float | None
    std: float | None
    profit_factor: float | None
    no_losses: bool

    def as_json(self) -> dict[str, Any]:
        """The stored form: no infinity, `no_losses` says why there is no number."""
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in vars(self).items()}


def signal_metrics(returns: ArrayLike) -> SignalMetrics:
    """Metrics of signals by their returns (already negated for shorts): hit rate counts returns > 0, std divides by n - 1."""
    array = np.asarray(returns, dtype=np.float64)
    n = len(array)
    if not n:
        return SignalMetrics(0, None, 0.0, None, None, None, None, no_losses=False)
    total = math.fsum(array)
    mean = total / n
    std = math.sqrt(math.fsum((array - mean) ** 2) / (n - 1)) if n > 1 else None
    factor, no_losses = profit_factor(array)
    return SignalMetrics(n, int(np.count_nonzero(array > 0)) / n, total, mean, _median(array), std, factor, no_losses)


def _median(values: Floats) -> float:
    """The bits of `np.median` of shape (n,), n > 0, no NaN, at a tenth of its cost: a fold has some ten values, and asks three times."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, [middle, -1])[middle]) + 0.0  # never -0.0
    part = np.partition(values, [middle - 1, middle, -1])
    return float(part[middle - 1] + part[middle] + 0.0) / 2.0


@dataclass(frozen=True)
class SideReturns:
    """Returns of the long and of the short signals of some bars, shorts negated."""

    long: Floats
    short: Floats

    @property
    def both(self) -> Floats:
        """Returns of all signals."""
        return np.concatenate([self.long, self.short])

    def metrics(self) -> dict[str, SignalMetrics]:
        """Metrics of `long`, `short` and `both`."""
        return {"long": signal_metrics(self.long), "short": signal_metrics(self.short), "both": signal_metrics(self.both)}

    def as_json(self) -> dict[str, dict[str, Any]]:
        """The stored form of `metrics()`."""
        return {side: m.as_json() for side, m in self.metrics().items()}


def side_returns(predictions: Floats, targets: Floats, thresholds: Thresholds, *, binary: bool) -> SideReturns:
    """Returns of the signals that `thresholds` give on these bars; bars with a null (NaN) target are not scored."""
    long, short = thresholds.signals(predictions)
    return returns_by_side(long, short, targets, binary=binary)


def returns_by_side(long: NDArray[np.bool_], short: NDArray[np.bool_], targets: Floats, *, binary: bool) -> SideReturns:
    """Returns of given signals; bars with a null (NaN) target are not scored."""
    known = ~np.isnan(targets)
    returns = case_returns(targets, binary=binary)
    return SideReturns(returns[long & known], -returns[short & known])
