"""One simulation from its inputs: signals and bars in, trades and equity out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.profiles.simulation import EXIT_REASONS
from chronos_assets.domain.simulation import kernel
from chronos_assets.domain.simulation.prices import Floats, PriceBars
from chronos_assets.domain.simulation.ranges import average_true_range
from chronos_assets.domain.simulation.rules import SIDES, Rules
from chronos_assets.errors import RefusedError

NO_FOLD = -1
# Tables are made for one trade per so many bars; if there are more, the loop runs again with room for all of them.
USUAL_BARS_PER_TRADE = 4


@dataclass(frozen=True)
class Signals:
    """What the run says about each bar, [bars] each; NaN if there is no prediction or the side is off; fold -1 between tests."""

    prediction: Floats
    long_threshold: Floats
    short_threshold: Floats
    fold: npt.NDArray[np.int64]

    def span(self, start: int, end: int) -> Signals:
        """The bars `[start, end)`."""
        return Signals(self.prediction[start:end], self.long_threshold[start:end], self.short_threshold[start:end], self.fold[start:end])


@dataclass(frozen=True)
class Simulation:
    """What the loop made of its inputs: equity at every close (float64 [bars]), and the trade tables behind `trades` and `position`."""

    rules: Rules
    bars: PriceBars
    signals: Signals
    equity: Floats
    trade_index: npt.NDArray[np.int64]
    trade_value: Floats

    @cached_property
    def position(self) -> Floats:
        """Signed units held at every close, float64 [bars]."""
        return kernel.hold_positions(self.trade_index, self.trade_value, len(self.bars))

    @cached_property
    def trades(self) -> pl.DataFrame:
        """The trades, one row each, in order; `return_pct` and `cumul_return_pct` are in percent."""
        return _trades(self.bars, self.signals, self.rules, self.trade_index, self.trade_value)


def simulate(bars: PriceBars, signals: Signals, rules: Rules, *, atr: Floats | None = None) -> Simulation:
    """Run the rules over `bars`, all of which lie in the simulation; `atr` is that of each bar, reckoned with the bars before the first.

    Raises `RefusedError` if there is no bar, or none with prices.
    """
    n = len(bars)
    if n == 0 or (np.isnan(bars.opens[0]) and not bars.priced.any()):
        raise RefusedError("none of the bars to simulate has prices", code="no_prices", found=f"{n} bars")
    equity = np.empty(n)
    inputs = (
        rules,
        bars.opens,
        bars.highs,
        bars.lows,
        bars.closes,
        np.ascontiguousarray(signals.prediction),
        np.ascontiguousarray(signals.long_threshold),
        np.ascontiguousarray(signals.short_threshold),
        ranges_of(bars, rules) if atr is None else np.ascontiguousarray(atr),
        equity,
    )
    tables = kernel.trade_tables(n // USUAL_BARS_PER_TRADE + 1)
    count = kernel.trade_bars(*inputs, *tables)
    if count > len(tables[0]):
        tables = kernel.trade_tables(count)
        kernel.trade_bars(*inputs, *tables)
    return Simulation(rules, bars, signals, equity, tables[0][:count], tables[1][:count])


def ranges_of(bars: PriceBars, rules: Rules) -> Floats:
    """Average true range at each bar if a rule needs it, else an empty array."""
    if not rules.needs_atr:
        return np.empty(0)
    return average_true_range(bars.highs, bars.lows, bars.closes, rules.atr_bars)


def _trades(bars: PriceBars, signals: Signals, rules: Rules, index: npt.NDArray[np.int64], value: Floats) -> pl.DataFrame:
    decided, entered, left = (index[:, c] for c in (kernel.BARS_DECISION, kernel.BARS_ENTRY, kernel.BARS_EXIT))
    entry, units, pnl = (value[:, c] for c in (kernel.ENTRY_PRICE, kernel.UNITS, kernel.PNL))
    sides = (index[:, kernel.BARS_SIDE] < 0).astype(np.uint32)
    return pl.DataFrame(
        {
            "trade_no": np.arange(1, len(index) + 1, dtype=np.int64),
            "side": pl.Series(SIDES, dtype=pl.String).gather(sides),
            "fold": signals.fold[decided],
            "exit_reason": pl.Series(EXIT_REASONS, dtype=pl.String).gather(index[:, kernel.BARS_REASON].astype(np.uint32)),
            "decision_bar": decided,
            "entry_bar": entered,
            "exit_bar": left,
            "decision_timestamp_unix": bars.times[decided],
            "entry_timestamp_unix": bars.times[entered],
            "exit_timestamp_unix": bars.times[left],
            "entry_price": entry,
            "exit_price": value[:, kernel.EXIT_PRICE],
            "position_size": units,
            "pnl": pnl,
            "costs": value[:, kernel.COSTS],
            "return_pct": 100.0 * pnl / (units * entry),
            "cumul_return_pct": 100.0 * (value[:, kernel.EQUITY_AFTER] / rules.capital - 1.0),
            "entry_signal": value[:, kernel.ENTRY_SIGNAL],
            "exit_signal": value[:, kernel.EXIT_SIGNAL],
        }
    )
