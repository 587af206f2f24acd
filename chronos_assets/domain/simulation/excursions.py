"""How far the price went against each trade and for it while the trade was open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.simulation.prices import Floats, PriceBars


@dataclass(frozen=True)
class Excursions:
    """Per trade, float64 [trades], in percent of the entry price: `adverse` at most 0, `favourable` at least 0."""

    adverse: Floats
    favourable: Floats


def excursions(trades: pl.DataFrame, bars: PriceBars) -> Excursions:
    """Maximum adverse and favourable excursion of each trade (Sweeney, "Campaign Trading", 1996), costs left out.

    `trades`: `side`, `entry_timestamp_unix`, `exit_timestamp_unix`, `entry_price`, `exit_price`, `exit_reason`. The bar of the entry counts
    whole; of the bar of the exit only the fill counts, since a bar does not say what came before it, except at the end of the data,
    where a trade leaves at the close.
    """
    entered, left = (_places(bars.times, trades[f"{name}_timestamp_unix"].to_numpy()) for name in ("entry", "exit"))
    entry, leave = trades["entry_price"].to_numpy(), trades["exit_price"].to_numpy()
    stop = left + (trades["exit_reason"] == "end_of_data").to_numpy()
    highest = np.fmax(_extreme(np.fmax, bars.highs, entered, stop, -np.inf), np.fmax(entry, leave))
    lowest = np.fmin(_extreme(np.fmin, bars.lows, entered, stop, np.inf), np.fmin(entry, leave))
    long = (trades["side"] == "long").to_numpy()
    up, down = 100.0 * (highest / entry - 1.0), 100.0 * (lowest / entry - 1.0)
    return Excursions(np.where(long, down, -up), np.where(long, up, -down))


def _places(times: npt.NDArray[np.int64], stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(times, stamps).astype(np.int64)


def _extreme(rule: np.ufunc, values: Floats, start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64], none: float) -> Floats:
    """`rule` over `values[start:stop]` of each pair; `none` if a range is empty."""
    found = np.full(len(start), none)
    some = stop > start
    if some.any():
        padded = np.append(values, none)  # so that a range may end behind the last bar
        found[some] = rule.reduceat(padded, np.c_[start[some], stop[some]].ravel())[::2]
    return found
