"""What was tried on the same bars and target: every run as one trial, small enough to keep for ever, and how many of them differ.

A trial holds how its signals did and its signal returns summed in buckets of time. The buckets of two trials fit together whatever their
windows were, so that trials can be compared after their runs are gone.
Source: [LP] Lopez de Prado, Advances in Financial Machine Learning (2018); Bailey & Lopez de Prado, The Deflated Sharpe Ratio (2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.statistics.returns import NO_VARIATION
from chronos_assets.domain.targets import Floats

Ints = npt.NDArray[np.int64]

MOST_BUCKETS = 512
# Trials whose signal returns correlate at least so are one trial that was made several times.
SAME_FROM = 0.95
# Trials that are compared with each other; the rest count as different.
MOST_COMPARED = 2_000


@dataclass(frozen=True)
class Signals:
    """Signals of a run in bar order: `times` (unix seconds), `rows` of the dataset, `signs` (+1 long, -1 short), `returns`."""

    times: Ints
    rows: Ints
    signs: Floats
    returns: Floats


@dataclass(frozen=True)
class Trial:
    """One run: its signals, their Sharpe ratio, and their returns summed in `sums`, bucket k from `(first + k) * width_seconds` on."""

    signals: int
    effective_signals: float
    sharpe: float
    width_seconds: int
    first: int
    sums: tuple[float, ...]

    @property
    def t_statistic(self) -> float:
        """Standard normal if the signals know nothing: Sharpe ratio times the root of the effective observations."""
        return self.sharpe * math.sqrt(self.effective_signals)

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return vars(self) | {"sums": list(self.sums)}


def trial_of(signals: Signals, *, horizon: int, interval_seconds: int) -> Trial:
    """A run's trial. The bucket is the least power of two of the bar's interval that needs `MOST_BUCKETS` buckets at most."""
    if not len(signals.rows):
        return Trial(0, 0.0, 0.0, interval_seconds, 0, ())
    width = interval_seconds
    while int(signals.times[-1]) // width - int(signals.times[0]) // width >= MOST_BUCKETS:
        width *= 2
    buckets = signals.times // width
    sums = np.bincount(buckets - buckets[0], weights=signals.returns)
    effective = effective_signals(signals.rows, signals.signs, horizon)
    return Trial(len(signals.rows), effective, sharpe_per_signal(signals.returns), width, int(buckets[0]), tuple(sums.tolist()))


def sharpe_per_signal(returns: Floats) -> float:
    """Mean over standard deviation (n - 1) of returns; 0 if they do not vary by more than rounding."""
    if not varies(returns):
        return 0.0
    return float(np.mean(returns)) / float(np.std(returns, ddof=1))


def varies(returns: Floats) -> bool:
    """Whether returns differ by more than rounding."""
    return len(returns) > 1 and float(np.std(returns)) > NO_VARIATION * float(np.abs(returns).max())


def effective_signals(rows: Ints, signs: Floats, horizon: int) -> float:
    """Independent observations that `len(rows)` signals are worth if their targets look `horizon` bars ahead.

    Targets k bars apart share `1 - k / horizon` of their returns, so the sum of the signals' returns has the variance
    `sum over i, j of s_i s_j max(0, 1 - |row_i - row_j| / horizon)`. Signals of one side on every bar are worth bars / horizon; never more
    than their number. `rows` rise, `signs` are +1 or -1.
    """
    n = len(rows)
    if n == 0:
        return 0.0
    sides = np.zeros(int(rows[-1] - rows[0]) + 1)
    sides[rows - rows[0]] = signs
    variance = float(n)
    for lag in range(1, min(horizon, len(sides))):
        variance += 2 * (1 - lag / horizon) * float(sides[lag:] @ sides[:-lag])
    return n * n / max(variance, float(n))


def effective_bars(returns: Floats) -> float:
    """Independent observations that per-bar `returns` are worth: bars times variance over long-run variance (Newey & West 1987).

    Bartlett weights up to `floor(4 (bars / 100)^(2 / 9))` lags; never more than the bars.
    """
    n = len(returns)
    if not varies(returns):
        return float(n)
    centred = returns - returns.mean()
    lags = min(n - 1, math.floor(4 * (n / 100) ** (2 / 9)))
    variance = float(centred @ centred)
    long_run = variance + sum(2 * (1 - k / (lags + 1)) * float(centred[k:] @ centred[:-k]) for k in range(1, lags + 1))
    return n * min(1.0, variance / long_run) if long_run > 0 else float(n)


def clusters(trials: Sequence[Trial]) -> Ints:
    """Number of the cluster of each trial: average linkage over 1 - correlation, cut at `SAME_FROM`. Newest trials come first."""
    compared = list(trials[:MOST_COMPARED])
    labels = np.arange(len(trials), dtype=np.int64)
    if len(compared) < 2:
        return labels
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.clip(1.0 - _correlations(_aligned(compared)), 0.0, 2.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    found = fcluster(tree, 1.0 - SAME_FROM, criterion="distance").astype(np.int64) - 1
    labels[: len(compared)] = found
    labels[len(compared) :] = np.arange(len(trials) - len(compared)) + found.max() + 1
    return labels


def _aligned(trials: Sequence[Trial]) -> Floats:
    """Sums of all trials on the buckets of the coarsest one, float64 [trials, buckets], 0 without signals."""
    width = max(trial.width_seconds for trial in trials)
    places = [(trial.first + np.arange(len(trial.sums))) * trial.width_seconds // width for trial in trials]
    known = [place for place in places if len(place)]
    if not known:
        return np.zeros((len(trials), 1))
    start, end = min(int(p[0]) for p in known), max(int(p[-1]) for p in known) + 1
    table = np.zeros((len(trials), end - start))
    for row, place, trial in zip(table, places, trials, strict=True):
        np.add.at(row, place - start, np.asarray(trial.sums))
    return table


def _correlations(table: Floats) -> Floats:
    """Correlation of every pair of rows; a row without variation correlates with none but those equal to it."""
    centred = table - table.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    flat = norms <= NO_VARIATION * np.maximum(np.abs(table).max(axis=1), np.finfo(np.float64).tiny)
    scaled = np.where(flat[:, None], 0.0, centred / np.where(flat, 1.0, norms)[:, None])
    together = scaled @ scaled.T
    return np.where(flat[:, None] & flat[None, :], 1.0, together)
