"""Signals of live models in QuestDB: written once per model and bar, never rewritten by another model."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.questdb_tables import LIVE_SIGNALS, TIMESTAMP
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing

# Seconds that a timestamp in nanoseconds can hold, about the years 1685 to 2254.
_MOST_SECONDS = 9_000_000_000
_VALUES = ("model_id", "dataset", "signal", *LIVE_SIGNALS.longs, *LIVE_SIGNALS.doubles)


def write_signals(stores: Stores, signals: pl.DataFrame) -> None:
    """Write signals and return when they are visible; the same ones again leave one copy.

    `signals`: `timestamp_unix` (int64 seconds), `model_id`, `dataset`, `signal`, `bar_index` and the float64 columns of the table.
    """
    if not signals.height:
        return
    rows = signals.select(*_VALUES, pl.col("timestamp_unix").alias(TIMESTAMP))
    with writing(stores.postgres, LIVE_SIGNALS.name):
        stores.questdb.write(rows, table=LIVE_SIGNALS.name, symbols=LIVE_SIGNALS.symbols)
        stores.questdb.wait_applied(LIVE_SIGNALS.name, stores.settings.apply_timeout_seconds)


def read_signals(
    stores: Stores, *, dataset: str | None = None, model_id: str | None = None, first: datetime | None = None, limit: int | None = None
) -> pl.DataFrame:
    """Signals in order of bar and model: `timestamp_unix` int64, the symbols, `bar_index` int64, then float64 (null for NULL).

    `first`: the bars at and after it; `limit`: the newest so many.
    """
    conditions = [] if dataset is None else [f"dataset = {quote_literal(dataset)}"]
    conditions += [] if model_id is None else [f"model_id = {quote_literal(model_id)}"]
    conditions += [] if first is None else [f"timestamp >= {_nanoseconds(first)}"]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    last = "" if limit is None else f" LIMIT -{int(limit)}"
    return _read(stores, f"{where} ORDER BY {TIMESTAMP}{last}")


def newest_signals(stores: Stores, dataset: str | None = None) -> pl.DataFrame:
    """The newest signal of each model, in the columns of `read_signals`."""
    where = "" if dataset is None else f" WHERE dataset = {quote_literal(dataset)}"
    return _read(stores, f"{where} LATEST ON {TIMESTAMP} PARTITION BY model_id")


def _read(stores: Stores, rest: str) -> pl.DataFrame:
    """Signals in order of bar and model; `rest`: what follows the table's name, with quoted values."""
    frame = stores.questdb.read(f"SELECT {TIMESTAMP}, {', '.join(_VALUES)} FROM {LIVE_SIGNALS.name}{rest}")  # noqa: S608 - quoted
    return frame.select(
        (pl.col(TIMESTAMP).dt.timestamp("ns") // 1_000_000_000).alias("timestamp_unix"),
        *(pl.col(name).cast(pl.String) for name in LIVE_SIGNALS.symbols),
        *(pl.col(name).cast(pl.Int64) for name in LIVE_SIGNALS.longs),
        *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in LIVE_SIGNALS.doubles),
    ).sort("timestamp_unix", "model_id")


def _nanoseconds(moment: datetime) -> int:
    """A time as QuestDB's timestamps count; one that they cannot hold becomes the nearest that they can."""
    return max(-_MOST_SECONDS, min(int(moment.timestamp()), _MOST_SECONDS)) * 1_000_000_000
