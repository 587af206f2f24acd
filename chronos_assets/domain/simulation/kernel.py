"""The one loop that turns signals and bars into trades and equity, compiled by numba (a few seconds once, then cached on disk).

The rules, in the order in which the loop applies them to bar t:

1. An exit decided at the close of t-1 fills at the open of t. A reversal closes and enters at the same open.
2. An entry decided at the close of t-1 fills at the open of t. A limit order fills at its price, or at the open where that is better,
   on one of the bars it is valid for; a newer decision replaces it.
3. Stop, trailing stop and target are looked at from the entry bar on. Where a stop and the target both lie within the bar, the stop is
   taken. A level that the bar opens beyond fills at the open. Levels are measured from the raw fill; average true ranges are those of
   the deciding bar; a trailing stop follows the best High (Low) since entry up to the previous bar. In the bar of a limit fill below
   its open the High may be older than the fill, so only its close can reach the target and move the trailing stop.
4. Equity is marked at the close: capital, plus the pnl of closed trades, plus what the open position would bring raw, less its entry costs.
5. Decisions at the close. In the market: opposite threshold, sign flip, signal decay, time, the first that holds; only a reversal also
   enters. Flat: an entry where the prediction lies beyond exactly one threshold. The last bar decides nothing.

Bars on which none of this can happen are found by two tight loops (`next_signal` while flat, `next_event` in the market) and only marked;
every other bar goes through all steps. Both may stop at a bar too many, never at one too few.

A bar without prices fills nothing: entries lapse, exits wait for the next open there is, equity is marked at the last close. A NaN
prediction is no signal and decays nothing; a NaN threshold switches its side off. Nothing is entered once the closed trades have used
up the capital, nor where the average true range that a rule needs is not known yet.
"""

# ruff: noqa: PLR0917 - compiled functions take their arrays and numbers by position

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.compiled import bare, inline, jit
from chronos_assets.domain.simulation.exits import (
    END,
    OPPOSITE,
    STOPS,
    decided_exit,
    decision_bounds,
    last_free_bar,
    level_exit,
    levels_of,
    may_decide,
    trailing_level,
)

Floats = npt.NDArray[np.float64]

# Columns of the two trade tables that the loop fills
BARS_DECISION, BARS_ENTRY, BARS_EXIT, BARS_SIDE, BARS_REASON = 0, 1, 2, 3, 4
N_BARS_COLUMNS = 5
ENTRY_PRICE, EXIT_PRICE, UNITS, PNL, COSTS, EQUITY_AFTER, ENTRY_SIGNAL, EXIT_SIGNAL = 0, 1, 2, 3, 4, 5, 6, 7
N_VALUE_COLUMNS = 8


def trade_tables(rows: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Trade tables with room for `rows` trades."""
    return np.empty((rows, N_BARS_COLUMNS), dtype=np.int64), np.empty((rows, N_VALUE_COLUMNS))


@inline
def units_of(rules: Any, cash: float, fill: float, atr: float) -> float:  # pragma: no cover - compiled
    """Units of a new position, 0 if none can be taken."""
    price = abs(fill)
    if cash <= 0.0 or price == 0.0:
        return 0.0
    if rules.sizing == 0:
        return rules.size  # type: ignore[no-any-return]
    if rules.sizing == 1:
        return rules.size / price  # type: ignore[no-any-return]
    if rules.sizing == 2:
        return rules.size * cash / price  # type: ignore[no-any-return]
    most = rules.max_leverage * cash / price
    return min(rules.size * cash / atr, most) if atr > 0.0 else most  # type: ignore[no-any-return]


@inline
def cost_of(rules: Any, units: float, price: float) -> float:  # pragma: no cover - compiled
    """Commission and slippage of one fill."""
    return units * abs(price) * rules.cost_fraction + rules.cost_fixed  # type: ignore[no-any-return]


@inline
def next_signal(
    rules: Any, prediction: Floats, long_threshold: Floats, short_threshold: Floats, start: int, end: int
) -> int:  # pragma: no cover - compiled
    """The first bar of `[start, end)` beyond a threshold of a side that may be entered, else `end`."""
    long, short = rules.allow_long, rules.allow_short
    for t in range(start, end):
        p = prediction[t]
        if ((p >= long_threshold[t]) & long) | ((p <= short_threshold[t]) & short):
            return t
    return end


@bare
def next_event(
    rules: Any,
    side: float,
    opens: Floats,
    worst: Floats,
    reach: Floats,
    prediction: Floats,
    opposite_threshold: Floats,
    entry_signal: float,
    stop: float,
    target: float,
    best: float,
    trail_share: float,
    trail_distance: float,
    start: int,
    end: int,
) -> tuple[int, float]:  # pragma: no cover - compiled
    """The first bar of `[start, end)` that has no prices, reaches a level, or may decide an exit, else `end`; and the best price before it.

    Prices and predictions are compared times `side` (exact: it is 1 or -1), so that one comparison serves both sides.
    """
    exits = rules.exits
    bounds = decision_bounds(exits, entry_signal)
    trailing = exits.trail_fraction > 0.0 or exits.trail_atr > 0.0
    level, aim = side * stop, side * target
    for t in range(start, end):
        if trailing:
            level = max(side * stop, side * trailing_level(side, best, trail_share, trail_distance))
        hit = (side * worst[t] <= level) | (side * reach[t] >= aim) | np.isnan(opens[t])
        if hit | may_decide(exits, side, prediction[t], opposite_threshold[t], bounds):
            return t, best
        if trailing:
            best = side * max(side * best, side * reach[t])
    return end, best


@bare
def last_known(opens: Floats, closes: Floats, start: int, end: int, before: float) -> float:  # pragma: no cover - compiled
    """The close of the last bar of `[start, end)` that has prices, else `before`."""
    for t in range(end - 1, start - 1, -1):
        if not np.isnan(opens[t]):
            return closes[t]  # type: ignore[no-any-return]
    return before


@inline
def mark_bars(
    equity: Floats, closes: Floats, start: int, end: int, cash: float, signed_units: float, fill: float, entry_cost: float
) -> None:  # pragma: no cover - compiled
    """Mark an open position at each close of `[start, end)`, all of which have prices."""
    for t in range(start, end):
        equity[t] = cash + (signed_units * (closes[t] - fill) - entry_cost)


@bare
def trade_bars(  # noqa: PLR0912, PLR0915 - one pass over the bars, in the order of the rules above
    rules: Any,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    prediction: Floats,
    long_threshold: Floats,
    short_threshold: Floats,
    atr: Floats,
    equity: Floats,
    trade_index: npt.NDArray[np.int64],
    trade_value: Floats,
) -> int:  # pragma: no cover - compiled
    """Fill `equity` (shape [bars]) and the trade tables (shape [rows, columns]); returns the number of trades.

    A bar whose open is NaN has no prices. `equity` may have length 0: then only the trades are written. `atr` may have length 0 if no
    rule needs it. Trades beyond the rows of the tables are made and counted, and not written.
    """
    n = opens.shape[0]
    mark = equity.shape[0] == n
    trades, entered, order_bar, quiet_until, leaving = 0, 0, 0, 0, 0
    cash = rules.capital  # capital and the pnl of every closed trade
    side, order = 0.0, 0.0  # +1 long, -1 short, 0 none: of the position, of the order that waits
    units = fill = entry_cost = entry_signal = limit = best = range_ = 0.0
    stop = target = trail_share = trail_distance = 0.0
    last_close = exit_signal = np.nan
    t = -1
    while t < n - 1:
        t += 1
        # Bars on which nothing can happen are only marked
        flat = side == 0.0 and order == 0.0
        if flat:
            ahead = next_signal(rules, prediction, long_threshold, short_threshold, max(t, quiet_until), n - 1)
            if mark:
                for k in range(t, ahead):
                    equity[k] = cash
            if rules.limit_order:
                last_close = last_known(opens, closes, t, ahead + 1, last_close)
            t = ahead
        elif leaving == 0 and order == 0.0:
            end = last_free_bar(rules.exits, entered, n)
            worse, better, opposite = (lows, highs, short_threshold) if side > 0.0 else (highs, lows, long_threshold)
            ahead, best = next_event(
                rules,
                side,
                opens,
                worse,
                better,
                prediction,
                opposite,
                entry_signal,
                stop,
                target,
                best,
                trail_share,
                trail_distance,
                t,
                end,
            )
            if ahead > t:
                if mark:
                    mark_bars(equity, closes, t, ahead, cash, units * side, fill, entry_cost)
                last_close = closes[ahead - 1]
                t = ahead
        open_, p = opens[t], prediction[t]
        closed, exit_price = 0, 0.0  # an exit inside this bar, or at its close
        if flat:
            pass
        elif not np.isnan(open_):
            if leaving != 0:
                cost = entry_cost + cost_of(rules, units, open_)
                pnl = units * side * (open_ - fill) - cost
                cash += pnl
                _close(trade_index, trade_value, trades, t, leaving, open_, pnl, cost, cash, exit_signal)
                trades, side, leaving = trades + 1, 0.0, 0
            inside = False  # filled beyond the open: the bar's best price may be older than the fill
            if order != 0.0:
                price = open_
                hit = True
                if rules.limit_order and (open_ - limit) * order > 0.0:
                    price, inside = limit, True
                    hit = lows[t] <= limit if order > 0.0 else highs[t] >= limit
                if hit:
                    range_ = atr[order_bar] if rules.needs_atr else np.nan
                    units = units_of(rules, cash, price, range_)
                    if 0.0 < units < np.inf:
                        side, fill, best, entered, entry_signal = order, price, price, t, prediction[order_bar]
                        entry_cost = cost_of(rules, units, fill)
                        stop, target, trail_share, trail_distance = levels_of(rules.exits, side, fill, range_)
                        _open(trade_index, trade_value, trades, order_bar, t, side, fill, units, entry_signal)
                if hit or t >= order_bar + rules.limit_bars:
                    order = 0.0
            if side != 0.0:
                worst, reach = (lows[t], highs[t]) if side > 0.0 else (highs[t], lows[t])
                if inside:
                    reach = closes[t]
                trail = -side * np.inf
                if rules.exits.trail_fraction > 0.0 or rules.exits.trail_atr > 0.0:  # a true range of 0 trails at the best price itself
                    trail = trailing_level(side, best, trail_share, trail_distance)
                closed, exit_price = level_exit(side, open_, worst, reach, stop, trail, target, inside)
                if (reach - best) * side > 0.0:
                    best = reach
                if closed != 0:
                    exit_signal = prediction[t - 1]
            last_close = closes[t]
        elif not rules.limit_order or t >= order_bar + rules.limit_bars:
            order = 0.0
        if t == n - 1 and side != 0.0 and closed == 0:
            closed, exit_price, exit_signal = END, last_close, p
        if closed != 0:
            cost = entry_cost + cost_of(rules, units, exit_price)
            pnl = units * side * (exit_price - fill) - cost
            cash += pnl
            _close(trade_index, trade_value, trades, t, closed, exit_price, pnl, cost, cash, exit_signal)
            trades, side, leaving = trades + 1, 0.0, 0
            if closed in STOPS:
                quiet_until = t + rules.exits.cooldown_bars
        if mark:
            equity[t] = cash if side == 0.0 else cash + (units * side * (last_close - fill) - entry_cost)
        if t == n - 1:
            break
        # Decisions at the close of t
        signal = (1.0 if p >= long_threshold[t] else 0.0) - (1.0 if p <= short_threshold[t] else 0.0)
        if side != 0.0:
            if leaving == 0:
                leaving = decided_exit(rules.exits, side, signal, p, entry_signal, t - entered + 1)
                exit_signal = p
            if leaving != OPPOSITE or signal != -side:
                continue
        elif t < quiet_until:
            continue
        if (signal > 0.0 and rules.allow_long) or (signal < 0.0 and rules.allow_short):
            if (rules.needs_atr and not np.isfinite(atr[t])) or (rules.limit_order and np.isnan(last_close)):
                continue
            order, order_bar = signal, t
            limit = last_close - signal * abs(last_close) * rules.limit_fraction
    return trades


@jit
def hold_positions(trade_index: npt.NDArray[np.int64], trade_value: Floats, bars: int) -> Floats:  # pragma: no cover - compiled
    """Signed units at every close (float64 [bars]): those of a trade from the bar of its entry up to the one before its exit."""
    position = np.zeros(bars)
    for k in range(trade_index.shape[0]):
        position[trade_index[k, BARS_ENTRY] : trade_index[k, BARS_EXIT]] = trade_index[k, BARS_SIDE] * trade_value[k, UNITS]
    return position


@bare
def _open(
    trade_index: npt.NDArray[np.int64],
    trade_value: Floats,
    row: int,
    decided: int,
    entered: int,
    side: float,
    fill: float,
    units: float,
    entry_signal: float,
) -> None:  # pragma: no cover - compiled
    if row >= trade_index.shape[0]:
        return
    trade_index[row, BARS_DECISION] = decided
    trade_index[row, BARS_ENTRY] = entered
    trade_index[row, BARS_SIDE] = int(side)
    trade_value[row, ENTRY_PRICE] = fill
    trade_value[row, UNITS] = units
    trade_value[row, ENTRY_SIGNAL] = entry_signal


@bare
def _close(
    trade_index: npt.NDArray[np.int64],
    trade_value: Floats,
    row: int,
    left: int,
    reason: int,
    exit_price: float,
    pnl: float,
    costs: float,
    cash: float,
    exit_signal: float,
) -> None:  # pragma: no cover - compiled
    if row >= trade_index.shape[0]:
        return
    trade_index[row, BARS_EXIT] = left
    trade_index[row, BARS_REASON] = reason
    trade_value[row, EXIT_PRICE] = exit_price
    trade_value[row, PNL] = pnl
    trade_value[row, COSTS] = costs
    trade_value[row, EQUITY_AFTER] = cash
    trade_value[row, EXIT_SIGNAL] = exit_signal
