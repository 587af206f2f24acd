"""A small published market and a run trained on it, for tests of what stands on runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from psycopg.types.json import Jsonb

from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.stores import Stores

DAY = 86_400
START = 1_500_000_000 // DAY * DAY
PRICES = ("Open", "High", "Low", "Close")


def bars_frame(rows: int = 400, *, seed: int = 1) -> pl.DataFrame:
    """Daily bars with one feature that knows a little of the next bar's move, and that move as the target."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, rows)))
    open_ = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 0.003, rows))
    move = np.r_[close[1:] / close[:-1] - 1.0, np.nan]
    return pl.DataFrame(
        {
            "timestamp_unix": START + DAY * np.arange(rows),
            "SIGNAL": np.nan_to_num(move) + rng.normal(0, 0.02, rows),
            "NOISE": rng.normal(size=rows),
            "TGT_NEXT": move,
            "Open": open_,
            "High": np.maximum(open_, close) * (1 + np.abs(rng.normal(0, 0.004, rows))),
            "Low": np.minimum(open_, close) * (1 - np.abs(rng.normal(0, 0.004, rows))),
            "Close": close,
        }
    )


def publish(stores: Stores, slug: str, frame: pl.DataFrame) -> None:
    """Put bars into both stores as a published dataset."""
    columns = [name for name in frame.columns if name != "timestamp_unix"]
    roles = ["price" if n in PRICES else "target" if n.startswith("TGT") else "feature" for n in columns]
    stores.questdb.ensure_columns("indicator_bars", columns)
    rows = frame.with_columns(
        dataset=pl.lit(slug), source=pl.lit("test"), granularity=pl.lit("1d"), date_i=0, time_i=0, timestamp=pl.col("timestamp_unix")
    )
    stores.questdb.write(rows, table="indicator_bars", symbols=("dataset", "source", "granularity"))
    stores.questdb.wait_applied("indicator_bars")
    registry = [{"name": n, "role": r, "questdb_column": n} for n, r in zip(columns, roles, strict=True)]
    with stores.postgres.connection() as connection:
        connection.execute(
            "INSERT INTO indicator_datasets (dataset_id, symbol, granularity, source, questdb_tag, row_count, first_bar_ts, last_bar_ts,"
            " revision, checksum, content_hash, columns) VALUES (%(slug)s, 'test', '1d', 'test', %(slug)s, %(rows)s,"
            " to_timestamp(%(first)s), to_timestamp(%(last)s), 1, %(checksum)s, %(slug)s, %(columns)s)",
            {
                "slug": slug,
                "rows": frame.height,
                "first": int(frame["timestamp_unix"][0]),
                "last": int(frame["timestamp_unix"][-1]),
                "checksum": "sha256:" + "ab" * 32,
                "columns": Jsonb(registry),
            },
        )


WALK = WalkforwardProfile.model_validate(
    {"train_size": 120, "test_size": 20, "step": 25, "model": {"eta": 0.1, "rounds": 60, "early_stopping": 10, "min_child_weight": 3.0}}
)


def price_file(folder: Path, frame: pl.DataFrame, *, shift: int = 0, **changes: Any) -> Path:
    """Write the prices of `frame` as a TSSB file with a Time column, its labels moved by `shift` seconds."""
    stamps = pl.from_epoch(frame["timestamp_unix"] + shift, time_unit="s")
    table = frame.select(
        stamps.dt.strftime("%Y%m%d").alias("Date"), stamps.dt.strftime("%H%M").alias("Time"), *(pl.col(name) for name in PRICES)
    ).with_columns(**changes)
    path = folder / "prices.csv"
    table.write_csv(path)
    return path


def train(stores: Stores, slug: str, frame: pl.DataFrame | None = None) -> str:
    """Publish bars and train a small run on them; gives its run_id."""
    publish(stores, slug, bars_frame() if frame is None else frame)
    return run_walkforward(slug, WALK, stores, horizon=1, horizon_assumed=False, requested_by="test").run_id
