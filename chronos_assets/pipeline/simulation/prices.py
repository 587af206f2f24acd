"""What every source of prices gives: prices of a run's bars, where they came from, and what there is to say about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.simulation.prices import Floats, PriceBars
from chronos_assets.ingest.price_checks import price_faults, price_fields
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord

FIELDS = ("open", "high", "low", "close")
SHOWN = 5


@dataclass(frozen=True)
class RunPrices:
    """Prices of every bar of a dataset up to the last one asked for, where they came from, and what there is to say about them."""

    bars: PriceBars
    source: dict[str, Any]
    warnings: list[dict[str, str]]
    doubts: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Bars whose prices look impossible, by the code of the warning."""


def price_columns(record: DatasetRecord) -> dict[str, DatasetColumn]:
    """The dataset's price columns by field (`open`, `high`, `low`, `close`): the name in any case, else the only one that holds it."""
    found = price_fields(record.names("price"))
    return {name: record.column(found[name]) for name in FIELDS if name in found}


def prices_hash(bars: PriceBars) -> str:
    """SHA-256 over times and the four prices, every missing one the same."""
    digest = hashlib.sha256(bars.times.astype("<i8").tobytes())
    for column in (bars.opens, bars.highs, bars.lows, bars.closes):
        digest.update(np.where(np.isnan(column), np.nan, column).astype("<f8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def price_warnings(bars: PriceBars, columns: Mapping[str, Floats]) -> list[dict[str, str]]:
    """What there is to say about the prices, as they were before those that cannot be traded on were taken out."""
    said = [say(fault.code, fault.sentence(iso(int(bars.times[fault.first])))) for fault in price_faults(columns)]
    if bars.incomplete:
        said.append(
            say("prices_incomplete", f"{bars.incomplete} bars lack some of their four prices and are traded as bars without prices")
        )
    return said


def missing_bars(bars: PriceBars) -> list[dict[str, str]]:
    """What to say about bars of a simulation that have no prices."""
    without: Sequence[int] = bars.times[~bars.priced].tolist()
    if not without:
        return []
    shown = ", ".join(iso(t) for t in without[:SHOWN]) + (", ..." if len(without) > SHOWN else "")
    return [say("prices_missing_bars", f"{len(without)} of {len(bars)} bars have no prices: nothing is filled there ({shown})")]


def floats(series: pl.Series) -> Floats:
    """A column as float64, null as NaN."""
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def say(code: str, message: str) -> dict[str, str]:
    """A warning as it is stored."""
    return {"code": code, "message": message}


def iso(seconds: int) -> str:
    """A time as a message shows it, UTC."""
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%d %H:%M")
