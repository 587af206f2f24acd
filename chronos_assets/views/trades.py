"""The trades of a simulation as readers see them: typed filters, sorting, keyset pages, and the sums of what the filters choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.metrics import profit_factor
from chronos_assets.errors import UsageError
from chronos_assets.storage.listing import After
from chronos_assets.storage.simulations import SimulationRecord, read_equity, read_trades
from chronos_assets.storage.stores import Stores
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.pages import after_of, cursor_of

COLUMNS = (
    "trade_no",
    "side",
    "fold",
    "exit_reason",
    "decision_timestamp_unix",
    "entry_timestamp_unix",
    "exit_timestamp_unix",
    "entry_price",
    "exit_price",
    "position_size",
    "pnl",
    "return_pct",
    "cumul_return_pct",
    "entry_signal",
    "exit_signal",
    "entry_time",
    "exit_time",
    "bars_held",
)
SORTS = ("trade_no", "pnl", "return_pct", "entry_timestamp_unix", "exit_timestamp_unix", "bars_held", "fold")
ISO = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class TradeFilters:
    """Which trades: None does not count. Times in UTC; `pnl_lt` and `pnl_gt` exclude the bound, `entered_from` includes it."""

    side: str | None = None
    exit_reason: Sequence[str] | None = None
    fold: int | None = None
    pnl_lt: float | None = None
    pnl_gt: float | None = None
    entered_from: datetime | None = None
    entered_to: datetime | None = None

    def condition(self) -> pl.Expr:
        """The filters as one expression."""
        chosen = [
            None if self.side is None else pl.col("side") == self.side,
            None if not self.exit_reason else pl.col("exit_reason").is_in(list(self.exit_reason)),
            None if self.fold is None else pl.col("fold") == self.fold,
            None if self.pnl_lt is None else pl.col("pnl") < self.pnl_lt,
            None if self.pnl_gt is None else pl.col("pnl") > self.pnl_gt,
            None if self.entered_from is None else pl.col("entry_timestamp_unix") >= self.entered_from.timestamp(),
            None if self.entered_to is None else pl.col("entry_timestamp_unix") < self.entered_to.timestamp(),
        ]
        return pl.all_horizontal(pl.lit(value=True), *(one for one in chosen if one is not None))


@dataclass(frozen=True)
class TradePage:
    """Trades of a page, and of all that the filters choose: how many, their sums, and where the next page begins."""

    frame: pl.DataFrame
    total: int
    sums: dict[str, Any]
    cursor: str | None


def load_trades(stores: Stores, simulation: SimulationRecord, cache: FrameCache) -> pl.DataFrame:
    """All trades of a completed simulation, columns as in `COLUMNS`: int64 numbers and times, float64 values, ISO times as text."""
    key = ("trades", simulation.simulation_id, simulation.completed_at)
    return cache.get(key, lambda: _read(stores, simulation, cache))


def load_equity(stores: Stores, simulation: SimulationRecord, cache: FrameCache) -> pl.DataFrame:
    """Equity of a completed simulation in bar order: `timestamp_unix`, `equity`, `drawdown_pct`, `position`."""
    key = ("equity", simulation.simulation_id, simulation.completed_at)
    return cache.get(key, lambda: read_equity(stores, simulation.simulation_id))


def choose_trades(
    trades: pl.DataFrame, filters: TradeFilters, *, sort: str = "trade_no", limit: int | None = None, cursor: str | None = None
) -> TradePage:
    """The trades that `filters` choose in the order of `sort` (`-`: falling; ties by number), from `cursor` on, at most `limit`."""
    key, descending = sort.removeprefix("-"), sort.startswith("-")
    if key not in SORTS:
        raise UsageError(f"trades have no sort key {key!r}", code="sort_unknown", expected=f"one of {', '.join(SORTS)}")
    chosen = trades.filter(filters.condition()).sort(key, "trade_no", descending=[descending, False], nulls_last=True)
    start = _start(chosen, after_of(cursor, sort))
    page = chosen.slice(start, limit)
    end = start + page.height
    following = None if end >= chosen.height or not page.height else After(None, str(page["trade_no"][-1]))
    return TradePage(page, chosen.height, sums_of(chosen), cursor_of(sort, following))


def sums_of(trades: pl.DataFrame) -> dict[str, Any]:
    """Sums over trades: `pnl`, `wins`, and the profit factor by trade (null without trades or losses)."""
    pnl = trades["pnl"].fill_null(0.0).to_numpy()
    factor, no_losses = profit_factor(pnl)
    return {
        "pnl": float(pnl.sum()),
        "wins": int((pnl > 0).sum()),
        "profit_factor": factor if factor is not None and np.isfinite(factor) else None,
        "no_losses": bool(no_losses),
    }


def _start(chosen: pl.DataFrame, after: After | None) -> int:
    if after is None:
        return 0
    found = (chosen["trade_no"] == int(after.id)).arg_true() if after.id.isdigit() else pl.Series([], dtype=pl.UInt32)
    if not len(found):
        raise UsageError("the cursor is not one of this list", code="cursor_invalid", hint="The filters must be those of the page before.")
    return int(found[0]) + 1


def _read(stores: Stores, simulation: SimulationRecord, cache: FrameCache) -> pl.DataFrame:
    trades = read_trades(stores, simulation.simulation_id)
    bars = load_equity(stores, simulation, cache)["timestamp_unix"].to_numpy()
    places = {name: np.searchsorted(bars, trades[f"{name}_timestamp_unix"].to_numpy()) for name in ("entry", "exit")}
    times = [pl.from_epoch(f"{name}_timestamp_unix").dt.strftime(ISO).alias(f"{name}_time") for name in ("entry", "exit")]
    held = pl.Series("bars_held", places["exit"] - places["entry"], dtype=pl.Int64)
    return trades.with_columns(*times, held).select(COLUMNS)
