"""The signal test: would thresholds fitted on shuffled targets have found signals as good? ([M], DEFINITIONS "Significance")

Targets are permuted within the rows that chose a fold's thresholds and within its test rows (whole blocks of the horizon where that
exceeds 1), the thresholds are fitted again each time, and the statistic is the mean return of all signals of all folds, per side and
for the better side. No signals count as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.kernel import jit
from chronos_assets.domain.statistics.significance import PermutationResult, permutation_result
from chronos_assets.domain.thresholds import EQUAL_WITHIN, choose_thresholds, least_cases

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FoldCases:
    """One fold: the cases its thresholds were chosen on and its test cases, each (predictions, returns as long signals), without nulls."""

    chosen_predictions: Floats
    chosen_returns: Floats
    test_predictions: Floats
    test_returns: Floats


def signal_test(
    folds: Sequence[FoldCases], profile: ThresholdProfile, *, horizon: int, permutations: int, seed: int
) -> dict[str, PermutationResult] | None:
    """p-values of `long`, `short` and `best` (the better side against the better side of each permutation); None without test cases."""
    if permutations < 1 or not any(len(fold.test_returns) for fold in folds):
        return None
    results = np.empty((permutations + 1, 2))
    chosen, tested = _Ragged.of([f.chosen_predictions for f in folds]), _Ragged.of([f.test_predictions for f in folds])
    descending, ascending = (np.concatenate([_order(sign * f.chosen_predictions) for f in folds]) for sign in (-1.0, 1.0))
    fixed = np.full((len(folds), 2), np.nan)
    if profile.method != "optimal":
        for k, fold in enumerate(folds):
            cuts = choose_thresholds(fold.chosen_predictions, fold.chosen_returns, profile)
            fixed[k] = [np.nan if cut is None else cut for cut in (cuts.long, cuts.short)]
    _permute(
        chosen.values,
        np.concatenate([f.chosen_returns for f in folds]),
        chosen.edges,
        descending,
        ascending,
        np.array([least_cases(len(f.chosen_returns), profile.min_fraction) if len(f.chosen_returns) else 1 for f in folds], dtype=np.int64),
        profile.method == "optimal",
        fixed,
        tested.values,
        np.concatenate([f.test_returns for f in folds]),
        tested.edges,
        max(1, horizon),
        np.random.default_rng(seed),
        results,
    )
    best = results.max(axis=1)
    columns = {"long": results[:, 0], "short": results[:, 1], "best": best}
    return {name: permutation_result(float(values[0]), values[1:], seed) for name, values in columns.items()}


@dataclass(frozen=True)
class _Ragged:
    """Arrays of different length one after the other: array k is `values[edges[k]:edges[k + 1]]`."""

    values: Floats
    edges: Ints

    @classmethod
    def of(cls, arrays: Sequence[Floats]) -> _Ragged:
        edges = np.concatenate([[0], np.cumsum([len(a) for a in arrays])]).astype(np.int64)
        return cls(np.ascontiguousarray(np.concatenate(arrays), dtype=np.float64), edges)


def _order(keys: Floats) -> Ints:
    return np.argsort(keys, kind="stable").astype(np.int64)


@jit
def _permute(  # noqa: PLR0917 - compiled functions take their arrays by position
    chosen: Floats,
    chosen_returns: Floats,
    chosen_edges: Ints,
    descending: Ints,
    ascending: Ints,
    least: Ints,
    optimal: bool,
    fixed: Floats,
    test: Floats,
    test_returns: Floats,
    test_edges: Ints,
    block: int,
    rng: Any,
    results: Floats,
) -> None:  # pragma: no cover - compiled
    """Fill `results` (shape [1 + permutations, 2]): mean return of long and short signals, row 0 with the targets as they are."""
    room = max(chosen.shape[0], test.shape[0]) + 1
    shuffled = np.empty(room)
    places = np.empty(room, dtype=np.int64)
    for r in range(results.shape[0]):
        sums = np.zeros(2)
        counts = np.zeros(2)
        for k in range(chosen_edges.shape[0] - 1):
            a, b = chosen_edges[k], chosen_edges[k + 1]
            long, short = fixed[k, 0], fixed[k, 1]
            if optimal:
                _shuffle(chosen_returns[a:b], block if r else 0, rng, places, shuffled)
                row = best_cut(chosen[a:b], shuffled, descending[a:b], least[k], 1.0)
                long = chosen[a + row] if row >= 0 else np.nan
                row = best_cut(chosen[a:b], shuffled, ascending[a:b], least[k], -1.0)
                short = chosen[a + row] if row >= 0 else np.nan
            a, b = test_edges[k], test_edges[k + 1]
            _shuffle(test_returns[a:b], block if r else 0, rng, places, shuffled)
            for i in range(b - a):
                p = test[a + i]
                if p >= long and not p <= short:
                    sums[0] += shuffled[i]
                    counts[0] += 1.0
                elif p <= short and not p >= long:
                    sums[1] -= shuffled[i]
                    counts[1] += 1.0
        for side in range(2):
            results[r, side] = sums[side] / counts[side] if counts[side] > 0.0 else 0.0


@jit
def best_cut(predictions: Floats, returns: Floats, order: Ints, least: int, sign: float) -> int:  # pragma: no cover - compiled
    """Row of the threshold that `domain.thresholds.optimal_cut` chooses, -1 where the side is off; `order` ranks the rows, best first."""
    n = order.shape[0]
    best = -np.inf
    for step in range(2):  # the best profit factor first, then the last cut that equals it
        gains = losses = 0.0
        found = -1
        for k in range(n):
            value = sign * returns[order[k]]
            if value > 0.0:
                gains += value
            elif value < 0.0:
                losses -= value
            if k + 1 < least or (k + 1 < n and predictions[order[k + 1]] == predictions[order[k]]):
                continue
            factor = gains / losses if losses > 0.0 else (np.inf if gains > 0.0 else 0.0)
            if step == 0:
                best = max(best, factor)
            elif factor == best or (not np.isinf(best) and factor >= best * (1.0 - EQUAL_WITHIN)):
                found = order[k]
        if step == 0 and not best > 1.0 + EQUAL_WITHIN:
            return -1
    return found


@jit
def _shuffle(values: Floats, block: int, rng: Any, places: Ints, out: Floats) -> None:  # pragma: no cover - compiled
    """Write `values` to `out` with its blocks of `block` rows in random order; `block` 0 leaves them as they are."""
    n = values.shape[0]
    if block == 0:
        out[:n] = values
        return
    blocks = (n + block - 1) // block
    for k in range(blocks):
        places[k] = k
    for k in range(blocks - 1, 0, -1):
        j = int(rng.random() * (k + 1))
        places[k], places[j] = places[j], places[k]
    filled = 0
    for k in range(blocks):
        start = places[k] * block
        for i in range(start, min(start + block, n)):
            out[filled] = values[i]
            filled += 1
