"""The signal test: would thresholds fitted on shuffled targets have found signals as good? ([M], DEFINITIONS "Significance")

The targets of bars are shuffled, every fold's thresholds are fitted again on the rows that the run fitted them on, and the statistic is
the mean return of all signals of all folds, per side and for the better side. No signals count as 0.

Windows of folds overlap: a bar is tested by one fold and helps to choose the thresholds of later ones. So each permutation is drawn once
for all bars and every window reads it. A permutation exchanges bars within a segment of time only: a test window (or as many in a row as
hold `LEAST_BLOCKS` blocks), and stretches of the same length before the first test. A segment is short, so volatility and drift hardly
change inside it, and a side that takes every bar of every test has the same mean in all permutations.

Targets that look `horizon` bars ahead overlap too. They move in blocks of `BLOCK_HORIZONS` horizons from a random first cut: blocks of one
horizon tear a third of the dependence apart, and the test then rejects too often if predictions persist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.compiled import jit
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.statistics.significance import PermutationResult, permutation_result
from chronos_assets.domain.thresholds import EQUAL_WITHIN, choose_thresholds, least_cases

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_BLOCKS = 10
BLOCK_HORIZONS = 3


@dataclass(frozen=True)
class Cases:
    """Bars with a known target: their `rows` in the dataset (rising), predictions, and returns as long signals; each of shape (cases,)."""

    rows: Ints
    predictions: Floats
    returns: Floats


@dataclass(frozen=True)
class FoldCases:
    """One fold: the cases that its thresholds were chosen on, and its test cases."""

    chosen: Cases
    test: Cases


def signal_test(
    folds: Sequence[FoldCases], profile: ThresholdProfile, *, horizon: int, permutations: int, seed: int
) -> dict[str, PermutationResult] | None:
    """p-values of `long`, `short` and `best` (the better side against the better side of each permutation); None without test cases."""
    if permutations < 1 or not any(len(fold.test.rows) for fold in folds):
        return None
    results = np.empty((permutations + 1, 2))
    block = block_of(horizon)
    bars = _Bars.of(folds)
    chosen, tested = _Windows.of([f.chosen for f in folds], bars), _Windows.of([f.test for f in folds], bars)
    descending, ascending = (np.concatenate([_order(sign * f.chosen.predictions) for f in folds]) for sign in (-1.0, 1.0))
    _permute(
        bars.returns,
        segments(bars.rows, [f.test.rows for f in folds], least=LEAST_BLOCKS * block),
        block,
        (chosen.bars, chosen.predictions, chosen.edges),
        (descending, ascending),
        np.array([least_cases(len(f.chosen.rows), profile.min_fraction) if len(f.chosen.rows) else 1 for f in folds], dtype=np.int64),
        profile.method == "optimal",
        _fixed_thresholds(folds, profile),
        (tested.bars, tested.predictions, tested.edges),
        np.random.default_rng(seed),
        results,
    )
    columns = {"long": results[:, 0], "short": results[:, 1], "best": results.max(axis=1)}
    return {
        name: permutation_result(float(values[0]), values[1:], seed, block_bars=block if horizon > 1 else None)
        for name, values in columns.items()
    }


def block_of(horizon: int) -> int:
    """Bars that move together: 1, or `BLOCK_HORIZONS` times a horizon above 1."""
    return 1 if horizon <= 1 else BLOCK_HORIZONS * horizon


def segments(rows: Ints, tests: Sequence[Ints], *, least: int) -> Ints:
    """Edges of the segments of time, as positions in `rows` (rising row numbers), the first 0 and the last `len(rows)`.

    A segment begins where a test window begins or ends and the one before holds `least` bars; the time before the first test is cut
    every `least` bars counted back from it.
    """
    windows = [test for test in tests if len(test)]
    cuts = np.searchsorted(rows, np.array([edge for test in windows for edge in (test[0], test[-1] + 1)], dtype=np.int64))
    first = int(cuts.min())
    edges = [0]
    for cut in [*range(first % least, first, least), *sorted(set(cuts.tolist()))]:
        if cut - edges[-1] >= least or cut == first:
            edges.append(cut)
    if len(rows) - edges[-1] < least and len(edges) > 2 and edges[-1] > first:
        edges.pop()  # too little is left after the last cut
    return np.unique(np.array([*edges, len(rows)], dtype=np.int64))


@dataclass(frozen=True)
class _Bars:
    """Every bar that any window uses, once: `rows` rising, and its return."""

    rows: Ints
    returns: Floats

    @classmethod
    def of(cls, folds: Sequence[FoldCases]) -> _Bars:
        windows = [cases for fold in folds for cases in (fold.chosen, fold.test)]
        rows, first = np.unique(np.concatenate([cases.rows for cases in windows]), return_index=True)
        return cls(rows.astype(np.int64), np.concatenate([cases.returns for cases in windows])[first])


@dataclass(frozen=True)
class _Windows:
    """Windows one after the other: window k is `[edges[k]:edges[k + 1]]` of `bars` (positions in `_Bars`) and of `predictions`."""

    bars: Ints
    predictions: Floats
    edges: Ints

    @classmethod
    def of(cls, windows: Sequence[Cases], bars: _Bars) -> _Windows:
        edges = np.concatenate([[0], np.cumsum([len(cases.rows) for cases in windows])]).astype(np.int64)
        places = np.searchsorted(bars.rows, np.concatenate([cases.rows for cases in windows])).astype(np.int64)
        return cls(places, np.ascontiguousarray(np.concatenate([cases.predictions for cases in windows]), dtype=np.float64), edges)


def _fixed_thresholds(folds: Sequence[FoldCases], profile: ThresholdProfile) -> Floats:
    """Long and short threshold of every fold (NaN: off) by a rule that does not look at returns; all NaN for `optimal`."""
    fixed = np.full((len(folds), 2), np.nan)
    if profile.method != "optimal":
        for k, fold in enumerate(folds):
            cuts = choose_thresholds(fold.chosen.predictions, fold.chosen.returns, profile)
            fixed[k] = [np.nan if cut is None else cut for cut in (cuts.long, cuts.short)]
    return fixed


def _order(keys: Floats) -> Ints:
    return np.argsort(keys, kind="stable").astype(np.int64)


@jit
def _permute(  # noqa: PLR0917 - compiled functions take their arrays by position
    returns: Floats,
    segment_edges: Ints,
    block: int,
    chosen: tuple[Ints, Floats, Ints],
    orders: tuple[Ints, Ints],
    least: Ints,
    optimal: bool,
    fixed: Floats,
    test: tuple[Ints, Floats, Ints],
    rng: Any,
    results: Floats,
) -> None:  # pragma: no cover - compiled
    """Fill `results` (shape [1 + permutations, 2]): mean return of long and short signals, row 0 with the targets as they are."""
    chosen_bars, chosen_predictions, chosen_edges = chosen
    test_bars, test_predictions, test_edges = test
    descending, ascending = orders
    n = returns.shape[0]
    shuffled = returns.copy()
    window = np.empty(chosen_bars.shape[0])
    cuts = np.empty(n + 2, dtype=np.int64)
    places = np.empty(n + 1, dtype=np.int64)
    for r in range(results.shape[0]):
        if r > 0:
            for s in range(segment_edges.shape[0] - 1):
                _shuffle(returns, segment_edges[s], segment_edges[s + 1], block, rng, cuts, places, shuffled)
        sums = np.zeros(2)
        counts = np.zeros(2)
        for k in range(chosen_edges.shape[0] - 1):
            long, short = fixed[k, 0], fixed[k, 1]
            if optimal:
                a, b = chosen_edges[k], chosen_edges[k + 1]
                for i in range(a, b):
                    window[i - a] = shuffled[chosen_bars[i]]
                row = best_cut(chosen_predictions[a:b], window, descending[a:b], least[k], 1.0)
                long = chosen_predictions[a + row] if row >= 0 else np.nan
                row = best_cut(chosen_predictions[a:b], window, ascending[a:b], least[k], -1.0)
                short = chosen_predictions[a + row] if row >= 0 else np.nan
            for i in range(test_edges[k], test_edges[k + 1]):
                p = test_predictions[i]
                if p >= long and not p <= short:
                    sums[0] += shuffled[test_bars[i]]
                    counts[0] += 1.0
                elif p <= short and not p >= long:
                    sums[1] -= shuffled[test_bars[i]]
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
def _shuffle(  # noqa: PLR0917 - compiled functions take their arrays by position
    values: Floats, start: int, end: int, block: int, rng: Any, cuts: Ints, places: Ints, out: Floats
) -> None:  # pragma: no cover - compiled
    """Write `values[start:end]` to `out[start:end]` with its blocks of `block` bars in random order, the first cut at random."""
    cuts[0] = start
    count = 0
    cut = start + 1 + int(rng.random() * block)
    while cut < end:
        count += 1
        cuts[count] = cut
        cut += block
    count += 1
    cuts[count] = end
    for k in range(count):
        places[k] = k
    for k in range(count - 1, 0, -1):
        j = int(rng.random() * (k + 1))
        places[k], places[j] = places[j], places[k]
    filled = start
    for k in range(count):
        for i in range(cuts[places[k]], cuts[places[k] + 1]):
            out[filled] = values[i]
            filled += 1
