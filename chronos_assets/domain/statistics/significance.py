"""Whether a result could be luck: p-values and the probability of backtest overfitting.

Sources: [PS] Phipson & Smyth 2010; [LP] Lopez de Prado 2018, chapter 11; Hansen 2005; Holm 1979. The two permutation tests are in
`signal_significance` and `domain.simulation.permutation`, the intervals in `confidence_intervals`, the deflated Sharpe ratio in
`deflation`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Two results that differ by less (of 1, or of the result if it is greater) are equal.
EQUAL_WITHIN = 1e-9


@dataclass(frozen=True)
class PermutationResult:
    """One statistic against its permutations: `count` of `permutations` were at least as good.

    `block_bars`: bars that moved together, or inside which bars changed places (the test says which); None: each bar by itself.
    """

    statistic: float
    p_value: float
    count: int
    permutations: int
    permuted_mean: float
    seed: int
    block_bars: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return asdict(self)


def at_least(values: Floats, bound: float) -> npt.NDArray[np.bool_]:
    """Where `values` are at least `bound`, or below it by rounding only: the same sum added in another order differs in its last bits."""
    return values >= bound - EQUAL_WITHIN * max(1.0, abs(bound))


def permutation_result(statistic: float, permuted: Floats, seed: int, *, block_bars: int | None = None) -> PermutationResult:
    """`p = (count + 1) / (n + 1)` with count = permuted results at least as good [PS]; ties within rounding count."""
    count = int(at_least(permuted, statistic).sum())
    p_value = (count + 1) / (len(permuted) + 1)
    return PermutationResult(statistic, p_value, count, len(permuted), float(permuted.mean()), seed, block_bars)


def sign_test(better: int, worse: int) -> float | None:
    """Two-sided p-value of a sign test: `better` pairs one way and `worse` the other, ties left out (Conover 1999, section 3.4)."""
    pairs = better + worse
    if not pairs:
        return None
    tail = sum(math.comb(pairs, k) for k in range(min(better, worse) + 1))
    share: float = tail / 2 ** (pairs - 1)
    return min(1.0, share)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the same order (Holm 1979): the chance of any false alarm among them stays at the level."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = worst
    return adjusted


def probability_of_overfitting(returns: Floats, *, splits: int = 10) -> float | None:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation [LP, 11.6].

    `returns` is float64 [bars, trials]; the bars are cut into `splits` (even) blocks. The share of the half-and-half choices in which the
    trial with the best Sharpe ratio in one half ranks at or below the median of the other half. None for fewer than two trials or bars
    than blocks.
    """
    bars, trials = returns.shape
    if splits % 2 or splits < 2:
        raise ValueError("splits is an even number")
    if trials < 2 or bars < 2 * splits:
        return None
    edges = np.linspace(0, bars, splits + 1).astype(int)
    blocks = [returns[a:b] for a, b in itertools.pairwise(edges)]
    sums, squares = np.array([b.sum(0) for b in blocks]), np.array([(b**2).sum(0) for b in blocks])
    lengths = np.array([len(b) for b in blocks])
    below = 0
    choices = list(itertools.combinations(range(splits), splits // 2))
    for chosen in choices:
        inside = np.zeros(splits, dtype=bool)
        inside[list(chosen)] = True
        best = int(np.argmax(_sharpes(sums, squares, lengths, inside)))
        outside = _sharpes(sums, squares, lengths, ~inside)
        reached = at_least(outside, outside[best])
        ties = reached & at_least(-outside, -outside[best])
        rank = (~reached).sum() + (ties.sum() + 1) / 2  # ties share their mean rank
        below += bool(rank / (trials + 1) <= 0.5)
    return below / len(choices)


def _sharpes(sums: Floats, squares: Floats, lengths: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> Floats:
    """Sharpe ratio per bar of each trial over the chosen blocks; 0 without variation."""
    n = lengths[chosen].sum()
    mean = sums[chosen].sum(0) / n
    variance = np.maximum(squares[chosen].sum(0) / n - mean**2, 0.0)
    known = variance > 1e-12 * np.maximum(mean**2, np.finfo(np.float64).tiny)  # less is what the subtraction above rounds off
    return np.where(known, mean / np.sqrt(np.where(known, variance, 1.0)), 0.0)


def superior_ability(returns: Floats, *, block_rows: int, resamples: int = 1000, seed: int = 7) -> float | None:
    """p-value of Hansen's test for superior predictive ability (2005, "consistent"): does the best of the trials beat doing nothing?

    `returns` is float64 [rows, trials]; each trial is scaled to one standard deviation, so that a loud trial does not decide alone. The
    stationary bootstrap has a mean block of `block_rows`. `(count + 1) / (n + 1)` as for permutations [PS]. None for fewer than 20 rows or
    if no trial varies.
    """
    spread = returns.std(axis=0)
    varying = spread > EQUAL_WITHIN * np.maximum(np.abs(returns).max(axis=0), np.finfo(np.float64).tiny)
    if len(returns) < 20 or not varying.any():
        return None
    from arch.bootstrap import SPA

    losses = -returns[:, varying] / spread[varying]
    test = SPA(np.zeros(len(returns)), losses, block_size=max(1, block_rows), reps=resamples, seed=np.random.default_rng(seed))
    test.compute()
    return float((test.pvalues["consistent"] * resamples + 1) / (resamples + 1))
