"""The trade test: the same rules and predictions on bars whose price changes were shuffled ([M], DEFINITIONS "Significance").

A bar's change is whole: its gap from the close before, and its High, Low and Close from its open, all as ratios, move together. The
first bar stays, so every permutation ends at the same last close and buy and hold earns the same in all of them. Bars without prices
keep their places. Bars before the simulation, which only feed the average true range, are not shuffled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chronos_assets.domain.simulation import kernel
from chronos_assets.domain.simulation.engine import Signals
from chronos_assets.domain.simulation.kernel import jit, trade_bars
from chronos_assets.domain.simulation.prices import Floats, PriceBars
from chronos_assets.domain.simulation.ranges import average_true_range
from chronos_assets.domain.simulation.rules import Rules
from chronos_assets.domain.statistics.significance import PermutationResult, permutation_result

# Bars simulated in one test at most.
MOST_BARS = 200_000_000


def trade_test(bars: PriceBars, signals: Signals, rules: Rules, *, lead: int, permutations: int, seed: int) -> PermutationResult | None:
    """Total return (percent) against that on `permutations` shuffles of the bars from `lead` on.

    `bars` begin `lead` bars before the simulation; `signals` cover the simulation only. On very long series fewer permutations are made
    (`MOST_BARS`); the result says how many. None where nothing is to be permuted.
    """
    if permutations < 1 or bars.priced[lead:].sum() < 3:
        return None
    results = np.empty(max(1, min(permutations, MOST_BARS // len(bars))))
    observed = permuted_totals(
        rules,
        bars.opens,
        bars.highs,
        bars.lows,
        bars.closes,
        np.ascontiguousarray(signals.prediction),
        np.ascontiguousarray(signals.long_threshold),
        np.ascontiguousarray(signals.short_threshold),
        lead,
        np.random.default_rng(seed),
        results,
    )
    return permutation_result(observed, results, seed)


@jit
def permuted_totals(  # noqa: PLR0917 - compiled functions take their arrays by position
    rules: Any,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    prediction: Floats,
    long_threshold: Floats,
    short_threshold: Floats,
    lead: int,
    rng: Any,
    results: Floats,
) -> float:  # pragma: no cover - compiled
    """Fill `results` with the total return (percent) of each shuffle; returns that of the bars as they are."""
    n = opens.shape[0]
    places = np.empty(n, dtype=np.int64)
    count = 0
    for t in range(lead, n):
        if not np.isnan(opens[t]):
            places[count] = t
            count += 1
    change = np.empty((count, 4))  # gap, high, low, close as logarithms
    for k in range(1, count):
        t = places[k]
        change[k, 0] = np.log(opens[t] / closes[places[k - 1]])
        change[k, 1] = np.log(highs[t] / opens[t])
        change[k, 2] = np.log(lows[t] / opens[t])
        change[k, 3] = np.log(closes[t] / opens[t])
    o, h, l, c = opens.copy(), highs.copy(), lows.copy(), closes.copy()  # noqa: E741 - the field's letters
    nothing = np.empty(0)
    index = np.empty((n - lead, kernel.N_BARS_COLUMNS), dtype=np.int64)
    value = np.empty((n - lead, kernel.N_VALUE_COLUMNS))
    order = np.arange(count)
    observed = 0.0
    for r in range(-1, results.shape[0]):
        if r >= 0:
            for k in range(count - 1, 1, -1):
                j = 1 + int(rng.random() * k)
                order[k], order[j] = order[j], order[k]
            level = np.log(closes[places[0]])
            for k in range(1, count):
                t, j = places[k], order[k]
                level += change[j, 0]
                o[t] = np.exp(level)
                h[t] = np.exp(level + change[j, 1])
                l[t] = np.exp(level + change[j, 2])
                level += change[j, 3]
                c[t] = np.exp(level)
        ranges = average_true_range(h, l, c, rules.atr_bars)[lead:] if rules.needs_atr else nothing
        trades = trade_bars(
            rules,
            o[lead:],
            h[lead:],
            l[lead:],
            c[lead:],
            prediction,
            long_threshold,
            short_threshold,
            ranges,
            nothing,
            index,
            value,
        )
        total = 100.0 * (value[trades - 1, kernel.EQUITY_AFTER] / rules.capital - 1.0) if trades > 0 else 0.0
        if r < 0:
            observed = total
        else:
            results[r] = total
    return observed
