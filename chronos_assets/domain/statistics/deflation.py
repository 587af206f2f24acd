"""Choosing among many runs, honestly: grids of parameters, and how much the best of many trials owes to chance.

Source: [LP] Lopez de Prado, Advances in Financial Machine Learning (2018), and Bailey & Lopez de Prado, The Deflated Sharpe Ratio (2014).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from chronos_assets.domain.targets import Floats

EULER_GAMMA = 0.5772156649015329
MOST_TRIALS = 10_000


def grid(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of `axes` (dotted key -> values) as nested changes: `{"model.eta": [0.1]}` gives `{"model": {"eta": 0.1}}`."""
    for values in itertools.product(*axes.values()):
        changes: dict[str, Any] = {}
        for key, value in zip(axes, values, strict=True):
            place = changes
            *parents, last = key.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        yield changes


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with nested `changes` put in."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return result


@dataclass(frozen=True)
class DeflatedSharpe:
    """A run's Sharpe ratio per signal, the best that chance alone would give among as many trials, and the probability to beat it."""

    sharpe: float
    expected_best_of_chance: float
    probability: float
    trials: int


def expected_best_sharpe(sharpes: Sequence[float]) -> float:
    """The greatest Sharpe ratio to expect from as many skill-less trials with the spread of `sharpes` [LP]."""
    trials = len(sharpes)
    if trials < 2:
        return 0.0
    normal = NormalDist()
    spread = float(np.std(np.asarray(sharpes, dtype=np.float64), ddof=1))
    first, second = normal.inv_cdf(1 - 1 / trials), normal.inv_cdf(1 - 1 / (trials * math.e))
    return spread * ((1 - EULER_GAMMA) * first + EULER_GAMMA * second)


def deflated_sharpe(returns: Floats, sharpes: Sequence[float]) -> DeflatedSharpe | None:
    """Probability that the Sharpe ratio of `returns` (one per signal) is above the best that chance gives among `sharpes` [LP].

    Skewness and kurtosis of the returns are allowed for. None where there are fewer than three returns or they do not vary.
    """
    n = len(returns)
    if n < 3 or float(np.std(returns)) == 0.0:
        return None
    sharpe = sharpe_per_signal(returns)
    z = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    benchmark = expected_best_sharpe(sharpes)
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if variance <= 0:
        return None
    probability = NormalDist().cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(variance))
    return DeflatedSharpe(sharpe, benchmark, probability, len(sharpes))


def sharpe_per_signal(returns: Floats) -> float:
    """Mean over standard deviation (n - 1) of signal returns; 0 where it has no value."""
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / spread if spread > 0 else 0.0
