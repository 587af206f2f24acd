"""The account of a simulation beside buy and hold, and the few points of it that pages draw.

A page shows some hundred points of a million bars. They are chosen once and kept with the frames, so that only the first page pays for it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from chronos_assets.storage.runs import get_run
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores
from chronos_assets.views.charts import PLOT, Floats, Ints, decimate
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.tear_sheet import buy_and_hold
from chronos_assets.views.trades import load_equity

LINES = ("equity", "buy_and_hold", "drawdown_pct", "position")
# A pair of pixels of the widest chart: where the smallest and the largest value of a line are drawn.
COLUMNS = PLOT // 2


def account_key(simulation: SimulationRecord) -> tuple[object, ...]:
    """What `read_account` of a completed simulation depends on."""
    return ("held", simulation.simulation_id, simulation.completed_at)


def read_account(stores: Stores, simulation: SimulationRecord, cache: FrameCache) -> pl.DataFrame:
    """Equity of a completed simulation in bar order, and `buy_and_hold`: the starting capital held from the first close on (or null)."""

    def read() -> pl.DataFrame:
        equity = load_equity(stores, simulation, cache)
        held = buy_and_hold(simulation, get_run(stores.postgres, simulation.run_id), stores, equity["timestamp_unix"].to_numpy())
        values = np.full(equity.height, np.nan) if held is None else held
        return equity.with_columns(buy_and_hold=pl.Series(values, dtype=pl.Float64).fill_nan(None))

    return cache.get(account_key(simulation), read)


def drawn_lines(part: pl.DataFrame, simulation: SimulationRecord, cache: FrameCache) -> dict[str, tuple[Ints, Floats]]:
    """Times and values of each of `LINES` over `part`, consecutive rows of the account: at most two per column, no extreme lost."""
    if not part.height:
        return {}

    def read() -> pl.DataFrame:
        times = part["timestamp_unix"].to_numpy()
        chosen = {name: decimate(times, part[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), COLUMNS) for name in LINES}
        return pl.concat(pl.DataFrame({"at": at, "value": value}).with_columns(line=pl.lit(name)) for name, (at, value) in chosen.items())

    key = (*account_key(simulation), "drawn", part["timestamp_unix"][0], part["timestamp_unix"][-1])
    parts = cache.get(key, read).partition_by("line", as_dict=True)
    return {str(name): (one["at"].to_numpy(), one["value"].to_numpy()) for (name,), one in parts.items()}


def month_ends(stores: Stores, simulation: SimulationRecord, cache: FrameCache) -> pl.DataFrame:
    """The account at the last bar of each month (UTC), `buy_and_hold` at the last one that has it."""

    def read() -> pl.DataFrame:
        at = pl.from_epoch("timestamp_unix", time_unit="s").dt.truncate("1mo")
        last = (pl.col("timestamp_unix", "equity").last(), pl.col("buy_and_hold").drop_nulls().last())
        return read_account(stores, simulation, cache).group_by(at.alias("month"), maintain_order=True).agg(*last).drop("month")

    return cache.get((*account_key(simulation), "months"), read)
