"""What a simulation comes to: the summary and the two buckets, in the form they are stored in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.metrics import profit_factor
from chronos_assets.domain.profiles.simulation import EXIT_REASONS
from chronos_assets.domain.simulation.accounting import mark_trades
from chronos_assets.domain.simulation.engine import Simulation
from chronos_assets.domain.simulation.prices import Floats, PriceBars
from chronos_assets.domain.simulation.rules import SIDES
from chronos_assets.domain.statistics.returns import SECONDS_PER_YEAR, drawdown_pct, return_metrics

BASES = {
    "profit_factor_trade": "pnl of each trade, costs included",
    "profit_factor_bar": "return of equity at each bar over the bar before",
    "sharpe": "per-bar returns of equity, n - 1, times sqrt(bars_per_year)",
    "exposure_pct": "share of bars with a position at their close",
    "turnover_per_year": "value of all fills / mean equity / years of 365.25 days",
    "buy_and_hold": "the starting capital held from the close of the first bar to that of the last, without costs",
}


def summary_of(simulation: Simulation) -> dict[str, Any]:
    """Every metric of one simulation, JSON-ready: an infinite or missing number is None."""
    bars, trades, capital = simulation.bars, simulation.trades, simulation.rules.capital
    strategy = return_metrics(simulation.equity, bars.times, capital)
    return {
        "bars": len(bars),
        "first_bar": int(bars.times[0]),
        "last_bar": int(bars.times[-1]),
        "capital": capital,
        **strategy.as_json(),
        **trade_metrics(trades),
        "exposure_pct": 100.0 * float(np.count_nonzero(simulation.position)) / len(bars),
        **_activity(simulation),
        "ruined": bool((simulation.equity <= 0.0).any()),
        "buy_and_hold": return_metrics(buy_and_hold(bars, capital), bars.times, capital).as_json(),
        "bases": BASES,
    }


def trade_metrics(trades: pl.DataFrame) -> dict[str, Any]:
    """Counts, win rate, expectancy and profit factor by trade; None if there is no trade."""
    pnl = trades["pnl"].to_numpy()
    count, wins = len(pnl), int((pnl > 0).sum())
    factor, no_losses = profit_factor(pnl)
    reasons = dict(trades["exit_reason"].value_counts().iter_rows())
    return {
        "trade_count": count,
        "win_count": wins,
        "win_rate": wins / count if count else None,
        "expectancy": float(pnl.mean()) if count else None,
        "total_pnl": math.fsum(pnl),
        "profit_factor_trade": finite(factor),
        "profit_factor_trade_no_losses": no_losses,
        "avg_return_pct": _mean(trades["return_pct"]),
        "avg_bars_held": _mean(trades["exit_bar"] - trades["entry_bar"]),
        "long_trades": int((trades["side"] == "long").sum()),
        "short_trades": int((trades["side"] == "short").sum()),
        "exit_reasons": {reason: reasons[reason] for reason in EXIT_REASONS if reason in reasons},
    }


def buckets_of(simulation: Simulation) -> list[dict[str, Any]]:
    """One row per side. The drawdown is that of an account that grows by this side's bars only; in a one-sided mode, the account's own."""
    rows = []
    for side in SIDES:
        trades = simulation.trades.filter(pl.col("side") == side)
        factor, no_losses = profit_factor(trades["pnl"].to_numpy())
        rows.append(
            {
                "side": side,
                "trade_count": trades.height,
                "win_count": int((trades["pnl"] > 0).sum()),
                "profit_factor": finite(factor),
                "no_losses": no_losses,
                "avg_return_pct": _mean(trades["return_pct"]),
                "max_drawdown_pct": _side_drawdown(simulation, trades) if trades.height else None,
                "notes": "by pnl of trades; drawdown of an account that grows by this side's bars only",
            }
        )
    return rows


def _side_drawdown(simulation: Simulation, trades: pl.DataFrame) -> float:
    """Maximum drawdown in percent of the product of `1 + this side's pnl of the bar / equity of the account at the bar before`."""
    capital = simulation.rules.capital
    alone = mark_trades(trades, filled_closes(simulation.bars), simulation.rules)
    before = np.concatenate([[capital], simulation.equity[:-1]])
    earned = np.diff(alone, prepend=capital)
    growth = 1.0 + np.where(before > 0.0, earned / np.where(before > 0.0, before, 1.0), 0.0)
    return float(drawdown_pct(np.asarray(capital * np.cumprod(growth), dtype=np.float64), capital).max())


def buy_and_hold(bars: PriceBars, capital: float) -> Floats:
    """Equity of the capital held from the first close there is to the last, without costs."""
    closes = filled_closes(bars)
    first = closes[np.flatnonzero(bars.priced)[0]]
    return capital * np.where(np.isnan(closes), 1.0, closes / first)


def filled_closes(bars: PriceBars) -> Floats:
    """Closes, a bar without prices repeating the one before; NaN before the first."""
    last = np.maximum.accumulate(np.where(bars.priced, np.arange(len(bars)), -1))
    return np.where(last < 0, np.nan, bars.closes[np.maximum(last, 0)])


def finite(value: float | None) -> float | None:
    """`value`, or None if it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def _activity(simulation: Simulation) -> dict[str, Any]:
    """Costs and turnover."""
    trades, bars = simulation.trades, simulation.bars
    value = float((trades["position_size"] * (trades["entry_price"] + trades["exit_price"])).sum())
    years = float(bars.times[-1] - bars.times[0]) / SECONDS_PER_YEAR
    mean_equity = float(simulation.equity.mean())
    return {
        "costs_paid": math.fsum(trades["costs"]),
        "traded_value": value,
        "turnover_per_year": value / mean_equity / years if years > 0 and mean_equity > 0 else None,
    }


def _mean(values: pl.Series) -> float | None:
    return float(values.to_numpy().mean()) if len(values) else None
