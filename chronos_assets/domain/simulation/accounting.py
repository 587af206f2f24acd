"""Checks of trades and equity from the outside: they take what is stored, not what the loop remembers.

Each returns a `Check`: a name, a verdict, and what was found, in words a report can show.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.compiled import jit
from chronos_assets.domain.simulation.prices import Floats
from chronos_assets.domain.simulation.rules import Rules

# Sums of pnl and of equity add the same numbers in another order: they agree to rounding, relative to all the money that moved.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Check:
    """One verdict. `examples` are trade numbers (at most ten) that break the rule."""

    name: str
    passed: bool
    found: str
    examples: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "examples": list(self.examples)}


def check_all(trades: pl.DataFrame, equity: pl.DataFrame, predictions: pl.DataFrame, capital: float) -> list[Check]:
    """All checks of a stored simulation.

    `trades` as stored (with `entry_timestamp_unix`), `equity` with `timestamp_unix` and `equity`, `predictions` with `timestamp_unix`,
    `prediction`, `long_threshold`, `short_threshold`.
    """
    ordered = trades.sort("trade_no")
    return [
        check_accounting(ordered, equity, capital),
        check_numbering(ordered),
        check_no_overlap(ordered),
        check_fill_after_decision(ordered),
        check_beyond_threshold(ordered, predictions),
    ]


def check_accounting(trades: pl.DataFrame, equity: pl.DataFrame, capital: float) -> Check:
    """The sum of the trades' pnl equals the change of equity, within 1e-9 of all the money that moved."""
    pnl = trades["pnl"].to_numpy()
    total = math.fsum(pnl)
    change = float(equity.sort("timestamp_unix")["equity"][-1]) - capital if equity.height else float("nan")
    allowed = TOLERANCE * (capital + math.fsum(np.abs(pnl)))
    return Check("accounting", abs(total - change) <= allowed, f"trades {total:.6f}, equity {change:.6f}, allowed difference {allowed:.2g}")


def check_numbering(trades: pl.DataFrame) -> Check:
    """Trades are numbered from 1 without a gap."""
    numbers = trades["trade_no"].to_numpy()
    passed = bool(np.array_equal(numbers, np.arange(1, len(numbers) + 1)))
    return Check("numbering", passed, f"{len(numbers)} trades")


def check_no_overlap(trades: pl.DataFrame) -> Check:
    """No trade begins before the one before it ended; the same bar only if a reversal entered at the open that closed."""
    entry, leave = trades["entry_timestamp_unix"].to_numpy(), trades["exit_timestamp_unix"].to_numpy()
    reversed_ = trades["exit_reason"].to_numpy() == "opposite_threshold"
    wrong = (entry[1:] < leave[:-1]) | ((entry[1:] == leave[:-1]) & ~reversed_[:-1])
    backwards = leave < entry
    return _verdict("no_overlap", trades, np.concatenate([backwards[:1], backwards[1:] | wrong]))


def check_fill_after_decision(trades: pl.DataFrame) -> Check:
    """No entry fills on the bar that decided it, or before."""
    wrong = trades["entry_timestamp_unix"].to_numpy() <= trades["decision_timestamp_unix"].to_numpy()
    return _verdict("fill_after_decision", trades, wrong)


def check_beyond_threshold(trades: pl.DataFrame, predictions: pl.DataFrame) -> Check:
    """Every entry's prediction is the stored one of its deciding bar, and lies beyond its side's threshold and not the other's."""
    columns = ["timestamp_unix", "prediction", "long_threshold", "short_threshold"]
    joined = trades.join(predictions.select(columns), left_on="decision_timestamp_unix", right_on="timestamp_unix", how="left").sort(
        "trade_no"
    )
    long = (pl.col("entry_signal") >= pl.col("long_threshold")).fill_null(value=False)
    short = (pl.col("entry_signal") <= pl.col("short_threshold")).fill_null(value=False)
    beyond = pl.when(pl.col("side") == "long").then(long & ~short).otherwise(short & ~long)
    same = (pl.col("entry_signal") == pl.col("prediction")).fill_null(value=False)
    return _verdict("beyond_threshold", joined, ~joined.select(good=beyond & same)["good"].to_numpy())


def check_marks(trades: pl.DataFrame, equity: Floats, closes: Floats, rules: Rules) -> Check:
    """Equity rebuilt from the trades alone equals the equity of every bar."""
    rebuilt = mark_trades(trades, closes, rules)
    allowed = TOLERANCE * (rules.capital + float(trades["pnl"].abs().sum()))
    worst = float(np.abs(rebuilt - equity).max(initial=0.0))
    return Check("marks", worst <= allowed, f"largest difference {worst:.3g} over {len(equity)} bars, allowed {allowed:.2g}")


def mark_trades(trades: pl.DataFrame, closes: Floats, rules: Rules) -> Floats:
    """Equity at each close (float64 [bars]) from `trades` with `entry_bar` and `exit_bar`; `closes` without holes while in the market."""
    return _mark(
        trades["entry_bar"].to_numpy(),
        trades["exit_bar"].to_numpy(),
        np.where(trades["side"].to_numpy() == "long", 1.0, -1.0),
        trades["entry_price"].to_numpy(),
        trades["position_size"].to_numpy(),
        trades["pnl"].to_numpy(),
        closes,
        rules.capital,
        rules.cost_fraction,
        rules.cost_fixed,
    )


@jit
def _mark(  # noqa: PLR0917 - compiled functions take their arrays by position
    entered: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    side: Floats,
    entry: Floats,
    units: Floats,
    pnl: Floats,
    closes: Floats,
    capital: float,
    cost_fraction: float,
    cost_fixed: float,
) -> Floats:  # pragma: no cover - compiled
    realised = np.zeros(closes.shape[0])
    floating = np.zeros(closes.shape[0])
    for k in range(entered.shape[0]):
        realised[left[k]] += pnl[k]
        entry_cost = units[k] * abs(entry[k]) * cost_fraction + cost_fixed
        for t in range(entered[k], left[k]):
            floating[t] += units[k] * side[k] * (closes[t] - entry[k]) - entry_cost
    return capital + np.cumsum(realised) + floating


def _verdict(name: str, trades: pl.DataFrame, wrong: npt.NDArray[np.bool_]) -> Check:
    numbers = trades["trade_no"].to_numpy()[wrong]
    return Check(name, not numbers.size, f"{numbers.size} of {trades.height} trades break the rule", tuple(int(k) for k in numbers[:10]))
