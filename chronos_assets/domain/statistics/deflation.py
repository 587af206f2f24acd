"""How much the best of many trials owes to chance.

Source: [LP] Lopez de Prado, Advances in Financial Machine Learning (2018), and Bailey & Lopez de Prado, The Deflated Sharpe Ratio (2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.statistics.trials import Trial, clusters, sharpe_per_signal, varies
from chronos_assets.domain.targets import Floats

EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio per observation, the best that chance gives among as many trials, and the probability to be above that.

    `trials` were made, `different_trials` of them are not nearly the same; `observations` are worth `effective_observations`.
    """

    sharpe: float
    expected_best_of_chance: float
    probability: float
    trials: int
    different_trials: int
    observations: int
    effective_observations: float

    def as_json(self) -> dict[str, Any]:
        """The form that is shown."""
        return asdict(self)


@dataclass(frozen=True)
class ReturnMoments:
    """What a deflation asks of returns: Sharpe ratio per observation, skewness, kurtosis (3 for normal ones), their number, and the
    independent observations that they are worth."""

    sharpe: float
    skewness: float
    kurtosis: float
    observations: int
    effective_observations: float


@dataclass(frozen=True)
class Chance:
    """The best t statistic to expect by chance among `trials`, of which `different_trials` are not nearly the same."""

    best: float
    trials: int
    different_trials: int


def chance_among(trials: Sequence[Trial]) -> Chance:
    """What chance alone makes of the best of `trials`, newest first."""
    labels = clusters(trials)
    return Chance(best_of_chance([trial.t_statistic for trial in trials], labels), len(trials), len(set(labels.tolist())))


def moments_of(returns: Floats, effective: float) -> ReturnMoments | None:
    """What a deflation asks of `returns`, worth `effective` independent observations.

    None for fewer than three effective observations, or returns that do not vary.
    """
    if effective < 3 or not varies(returns):
        return None
    z = (returns - returns.mean()) / returns.std()
    return ReturnMoments(sharpe_per_signal(returns), float(np.mean(z**3)), float(np.mean(z**4)), len(returns), effective)


def deflated(moments: ReturnMoments, chance: Chance) -> DeflatedSharpe | None:
    """Probability that a Sharpe ratio is above the best that chance gives among the trials made [LP].

    Skewness and kurtosis of the returns are allowed for. None if they leave the ratio no positive variance.
    """
    sharpe, root = moments.sharpe, math.sqrt(moments.effective_observations - 1)
    variance = 1 - moments.skewness * sharpe + (moments.kurtosis - 1) / 4 * sharpe**2
    if variance <= 0:
        return None
    probability = NormalDist().cdf((sharpe * root - chance.best) / math.sqrt(variance))
    counted = (chance.trials, chance.different_trials, moments.observations, moments.effective_observations)
    return DeflatedSharpe(sharpe, chance.best / root, probability, *counted)


def deflated_sharpe(returns: Floats, effective: float, chance: Chance) -> DeflatedSharpe | None:
    """`deflated` of the moments of `returns`; None if either is."""
    moments = moments_of(returns, effective)
    return None if moments is None else deflated(moments, chance)


def best_of_chance(t_statistics: Sequence[float], labels: npt.NDArray[np.int64]) -> float:
    """The greatest t statistic to expect of trials without skill that differ as much from each other as these do [LP].

    Reckoned over all trials, and over the means of clusters of nearly equal ones; the greater counts. Over all trials alone, a hundred
    copies of one trial would hide how far the others lie apart; over clusters alone, the choice inside a cluster would be free.
    """
    values = np.asarray(t_statistics, dtype=np.float64)
    means = np.bincount(labels, weights=values) / np.maximum(1, np.bincount(labels)) if len(values) else values
    return max(_best_of(values), _best_of(means))


def _best_of(values: Floats) -> float:
    """Expected maximum of as many normal values with the spread of `values`; 0 for fewer than two."""
    count = len(values)
    if count < 2:
        return 0.0
    normal = NormalDist()
    first, second = normal.inv_cdf(1 - 1 / count), normal.inv_cdf(1 - 1 / (count * math.e))
    return float(np.std(values, ddof=1)) * ((1 - EULER_GAMMA) * first + EULER_GAMMA * second)
