"""The trade rules of DEFINITIONS once more, in plain Python: one bar after the other, lists and words, nothing taken from the product.

Written from the text, not from the loop; slow and readable on purpose. `replay` gives the trades and the equity that the rules ask for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Bar = tuple[float, float, float, float]  # open, high, low, close; NaN in all four where the bar has no prices


@dataclass
class Trade:
    """One trade; prices are raw fills."""

    side: str
    decision_bar: int
    entry_bar: int
    entry_price: float
    units: float
    entry_signal: float
    stop: float | None
    target: float | None
    trail: tuple[str, float] | None  # ("percent", share of the best price) or ("range", price difference)
    best: float
    exit_bar: int = -1
    exit_price: float = math.nan
    reason: str = ""
    exit_signal: float = math.nan
    pnl: float = math.nan
    costs: float = math.nan
    cumul_return_pct: float = math.nan

    @property
    def sign(self) -> int:
        """+1 for a long, -1 for a short."""
        return 1 if self.side == "long" else -1


class Replay:
    """One simulation. `profile` is a profile as plain JSON, `ranges` the average true range at each bar (NaN where unknown)."""

    def __init__(  # noqa: PLR0917 - a market is so many columns
        self, bars: list[Bar], prediction: list[float], longs: list[float], shorts: list[float], profile: dict[str, Any], mode: str
    ):
        self.bars, self.prediction, self.longs, self.shorts = bars, prediction, longs, shorts
        self.profile, self.mode, self.exits, self.costs = profile, mode, profile["exits"], profile["costs"]
        self.ranges = average_ranges(bars, profile["atr_bars"])
        levels = [self.exits[name] for name in ("stop_loss", "trailing_stop", "take_profit")]
        self.needs_range = profile["sizing"]["method"] == "volatility" or any(level and level["atr"] for level in levels)
        self.cash: float = profile["capital"]
        self.trades: list[Trade] = []
        self.equity: list[float] = []
        self.held: Trade | None = None
        self.order: tuple[str, int, float] | None = None  # side, deciding bar, limit
        self.leave: tuple[str, float] | None = None  # reason and signal of an exit that waits for an open
        self.last_stop: int | None = None
        self.close = math.nan

    def run(self) -> Replay:
        """Walk all bars."""
        for t, bar in enumerate(self.bars):
            priced = not math.isnan(bar[0])
            if priced:
                self.at_open(t, bar)
                self.close = bar[3]
            elif self.order is not None and (self.profile["entry"]["order"] == "market" or t - self.order[1] >= self.valid_bars):
                self.order = None
            if t == len(self.bars) - 1 and self.held is not None:
                self.end(t, "end_of_data", self.close, self.prediction[t])
            self.equity.append(self.cash + self.floating())
            if t < len(self.bars) - 1:
                self.decide(t)
        return self

    @property
    def valid_bars(self) -> int:
        return int(self.profile["entry"]["valid_bars"])

    def fee(self, units: float, price: float) -> float:
        """What one fill costs."""
        fraction = self.costs["commission_fraction"] + self.costs["slippage_fraction"]
        return float(units * price * fraction + self.costs["commission_fixed"])

    def floating(self) -> float:
        """Raw value of the open position less its entry costs."""
        held = self.held
        return 0.0 if held is None else held.units * held.sign * (self.close - held.entry_price) - self.fee(held.units, held.entry_price)

    def at_open(self, t: int, bar: Bar) -> None:
        """Fills of what was decided before, then the levels inside the bar."""
        open_, high, low, close = bar
        if self.held is not None and self.leave is not None:
            self.end(t, self.leave[0], open_, self.leave[1])
        older = False  # the bar's extremes may be older than the fill
        if self.order is not None:
            side, decided, limit = self.order
            price: float | None = open_
            if self.profile["entry"]["order"] == "limit" and (open_ > limit if side == "long" else open_ < limit):
                reached = low <= limit if side == "long" else high >= limit
                price, older = (limit, True) if reached else (None, False)
            if price is not None:
                self.enter(t, side, decided, price)
            if price is not None or t - decided >= self.valid_bars:
                self.order = None
        if self.held is not None:
            self.inside(t, bar, (close, close) if older else (high, low), older=older)

    def inside(self, t: int, bar: Bar, reached: tuple[float, float], *, older: bool) -> None:
        """Stop, trailing stop and target; the stop where both lie in the bar; a gap fills at the open."""
        held, (open_, high, low, _) = self.held, bar
        assert held is not None
        long = held.side == "long"
        stops = [(held.stop, "stop_loss")] if held.stop is not None else []
        if held.trail is not None:
            kind, size = held.trail
            distance = held.best * size if kind == "percent" else size
            trail = held.best - held.sign * distance
            if held.stop is None or (trail > held.stop if long else trail < held.stop):
                stops = [(trail, "trailing_stop")]
        for level, reason in stops:
            if low <= level if long else high >= level:
                gap = not older and (open_ < level if long else open_ > level)
                self.last_stop = t
                self.end(t, reason, open_ if gap else level, self.prediction[t - 1])
                return
        best = reached[0] if long else reached[1]
        if held.target is not None and (best >= held.target if long else best <= held.target):
            gap = not older and (open_ > held.target if long else open_ < held.target)
            self.end(t, "take_profit", open_ if gap else held.target, self.prediction[t - 1])
            return
        held.best = max(held.best, best) if long else min(held.best, best)

    def enter(self, t: int, side: str, decided: int, price: float) -> None:
        """A new position, unless the closed trades have used up the capital."""
        if self.cash <= 0:
            return
        sizing, range_ = self.profile["sizing"], self.ranges[decided]
        most = sizing["max_leverage"] * self.cash / price
        units = {
            "fixed_units": sizing["units"],
            "fixed_amount": sizing["amount"] / price,
            "fixed_fraction": sizing["fraction"] * self.cash / price,
            "volatility": min(sizing["risk_fraction"] * self.cash / range_, most) if range_ > 0 else most,
        }[sizing["method"]]
        sign = 1 if side == "long" else -1

        def distance(name: str) -> float | None:
            level = self.exits[name]
            if level is None:
                return None
            return float(price * level["percent"] / 100 if level["percent"] else range_ * level["atr"])

        stop, target, trailing = distance("stop_loss"), distance("take_profit"), self.exits["trailing_stop"]
        trail = None
        if trailing is not None:
            trail = ("percent", trailing["percent"] / 100) if trailing["percent"] else ("range", range_ * trailing["atr"])
        self.held = Trade(
            side,
            decided,
            t,
            price,
            units,
            self.prediction[decided],
            None if stop is None else price - sign * stop,
            None if target is None else price + sign * target,
            trail,
            price,
        )

    def end(self, t: int, reason: str, price: float, signal: float) -> None:
        """The trade is over."""
        held = self.held
        assert held is not None
        held.exit_bar, held.reason, held.exit_price, held.exit_signal = t, reason, price, signal
        held.costs = self.fee(held.units, held.entry_price) + self.fee(held.units, price)
        held.pnl = held.units * held.sign * (price - held.entry_price) - held.costs
        self.cash += held.pnl
        held.cumul_return_pct = 100 * (self.cash / self.profile["capital"] - 1)
        self.trades.append(held)
        self.held = self.leave = None

    def signal(self, t: int) -> str | None:
        """The side beyond whose threshold, and only whose, the prediction lies."""
        long, short = self.prediction[t] >= self.longs[t], self.prediction[t] <= self.shorts[t]
        return None if long == short else ("long" if long else "short")

    def decide(self, t: int) -> None:
        """What the close of bar t decides."""
        signal, held = self.signal(t), self.held
        if held is not None:
            if self.leave is None:
                reason = self.reason_to_leave(held, signal, t)
                self.leave = None if reason is None else (reason, self.prediction[t])
            if self.leave is None or self.leave[0] != "opposite_threshold" or signal in {None, held.side}:
                return
        elif self.last_stop is not None and t < self.last_stop + self.exits["cooldown_bars"]:
            return
        if signal is None or self.mode not in {signal, "dual"}:
            return
        limit_order = self.profile["entry"]["order"] == "limit"
        if (self.needs_range and math.isnan(self.ranges[t])) or (limit_order and math.isnan(self.close)):
            return
        away = self.close * self.profile["entry"]["limit_percent"] / 100
        self.order = (signal, t, self.close - away if signal == "long" else self.close + away)

    def reason_to_leave(self, held: Trade, signal: str | None, t: int) -> str | None:
        """Opposite threshold, sign flip, signal decay, time: the first that holds."""
        p, share = self.prediction[t], self.exits["signal_decay"]
        if self.exits["opposite_threshold"] and signal is not None and signal != held.side:
            return "opposite_threshold"
        if self.exits["sign_flip"] and ((p > 0 > held.entry_signal) or (p < 0 < held.entry_signal)):
            return "sign_flip"
        if share is not None and abs(p) < share * abs(held.entry_signal):
            return "signal_decay"
        most = self.exits["max_bars"]
        return "time" if most is not None and t - held.entry_bar + 1 >= most else None


def average_ranges(bars: list[Bar], length: int) -> list[float]:
    """Plain mean of the true range over the last `length` bars with prices; NaN until there are so many."""
    found: list[float] = []
    before, out = math.nan, []
    for _, high, low, close in bars:
        if not math.isnan(close):
            top, bottom = (high, low) if math.isnan(before) else (max(high, before), min(low, before))
            found.append(top - bottom)
            before = close
        out.append(sum(found[-length:]) / length if len(found) >= length else math.nan)
    return out
