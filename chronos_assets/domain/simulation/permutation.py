"""The trade test: the same rules and predictions on bars whose price changes were shuffled ([M], DEFINITIONS "Significance").

A bar's change is whole: its gap from the close before, and its High, Low and Close from its open, all as ratios, move together. The
first bar and the open of the second stay, so every permutation ends at the same last close: who is always long or buys and holds earns the
same in all of them. Bars without prices keep their places. Bars before the simulation, which only feed the average true range, are not
shuffled.

Volatility comes in clusters, and predictions often grow with it. A shuffle over all bars then moves wild bars away from the signals that
met them, so that luck looks like skill (9 % at a nominal 5 %); moving whole blocks does the same. So bars change places within blocks
only, cut again for every permutation and as short as volatility keeps its level: signals meet bars as wild as before, and only what comes
next is shuffled. If volatility does not cluster, there is one block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chronos_assets.domain.compiled import jit
from chronos_assets.domain.simulation import kernel
from chronos_assets.domain.simulation.engine import Signals
from chronos_assets.domain.simulation.kernel import trade_bars
from chronos_assets.domain.simulation.prices import Floats, PriceBars
from chronos_assets.domain.simulation.ranges import average_true_range
from chronos_assets.domain.simulation.rules import Rules
from chronos_assets.domain.statistics.significance import PermutationResult, permutation_result

# Bars simulated in one test at most.
MOST_BARS = 200_000_000
# Within a shorter block there is little to shuffle.
LEAST_BLOCK_BARS = 10
# Lags over which an autocorrelation is averaged, and the longest one looked at.
SMOOTHED_LAGS, MOST_LAGS = 10, 2_000


def trade_test(
    bars: PriceBars, signals: Signals, rules: Rules, *, lead: int, permutations: int, seed: int, block_bars: int | None = None
) -> PermutationResult | None:
    """Total return (percent) against that on `permutations` shuffles of the bars from `lead` on, within blocks of `block_bars`.

    `bars` begin `lead` bars before the simulation; `signals` cover the simulation only. Without `block_bars` the block is
    `volatility_block` of the closes; the result says which. On very long series fewer permutations are made (`MOST_BARS`); the result
    says how many. None if nothing is to be permuted.
    """
    priced = bars.priced[lead:]
    if permutations < 1 or priced.sum() < 3:
        return None
    block = min(block_bars or volatility_block(np.diff(np.log(bars.closes[lead:][priced]))), int(priced.sum()) - 1)
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
        block,
        np.random.default_rng(seed),
        results,
    )
    return permutation_result(observed, results, seed, block_bars=block)


def volatility_block(returns: Floats) -> int:
    """Bars over which volatility keeps its level: the half-life of the autocorrelation of absolute `returns` (float64 [bars]).

    The autocorrelation is averaged over `SMOOTHED_LAGS` lags; the block ends where that mean falls below half of its first value, at
    `LEAST_BLOCK_BARS` or later. All bars if the first mean is within two standard errors of zero (Bartlett: 1 / sqrt(bars) per lag).
    """
    size = np.abs(returns) - np.abs(returns).mean()
    n = len(size)
    lags = min(n // 4, MOST_LAGS)
    power = float(size @ size)
    if lags < 2 * SMOOTHED_LAGS or power == 0.0:
        return max(1, n)
    spectrum = np.fft.rfft(size, 2 * n)
    correlation = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[1 : lags + 1] / power
    smooth = np.convolve(correlation, np.full(SMOOTHED_LAGS, 1.0 / SMOOTHED_LAGS), mode="valid")
    if smooth[0] < 2.0 / np.sqrt(n * SMOOTHED_LAGS):
        return n
    below = np.flatnonzero(smooth < 0.5 * smooth[0])
    return max(LEAST_BLOCK_BARS, int(below[0]) if below.size else lags)


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
    block: int,
    rng: Any,
    results: Floats,
) -> float:  # pragma: no cover - compiled
    """Fill `results` with the total return (percent) of each shuffle within blocks; returns that of the bars as they are."""
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
            _shuffle_within(order, block, rng)
            level = np.log(closes[places[0]])
            for k in range(1, count):
                t, j = places[k], order[k]
                # The first open stays too: the gap of the bar that came to the front goes to the place of the bar that left it.
                level += change[1 if k == 1 else order[1] if j == 1 else j, 0]
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


@jit
def _shuffle_within(order: Any, block: int, rng: Any) -> None:  # pragma: no cover - compiled
    """Shuffle `order` (all but its first entry) within blocks of `block`, the first cut at random; `block` of all entries is one block."""
    count = order.shape[0]
    for k in range(count):
        order[k] = k
    start = 1
    end = count if block >= count - 1 else 2 + int(rng.random() * block)
    while start < count:
        end = min(end, count)
        for k in range(end - 1, start, -1):
            j = start + int(rng.random() * (k - start + 1))
            order[k], order[j] = order[j], order[k]
        start, end = end, end + block
