"""Small datasets for walk-forward tests, put into both stores as an export would leave them."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from psycopg.types.json import Jsonb

from chronos_assets.domain.content import content_hash
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.slug import Slug
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.runs import list_runs
from chronos_assets.storage.stores import Stores

START = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
PRICES = {"Open", "High", "Low", "Close"}
SMALL: dict[str, Any] = {
    "target": "target_a",
    "train_size": 60,
    "test_size": 10,
    "gap": 2,
    "model": {"rounds": 30, "early_stopping": 5, "eta": 0.1, "min_child_weight": 1.0},
}


def make_bars(rows: int, *, features: int = 4, seed: int = 1, trailing_nulls: int = 3) -> pl.DataFrame:
    """Bars with a weak signal in `feat_0`; a few null features, and null targets at the end as a real file has."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, features))
    target = 0.3 * matrix[:, 0] + rng.normal(size=rows)
    close = 100 * np.exp(np.cumsum(rng.normal(scale=0.01, size=rows)))
    matrix[rng.random(matrix.shape) < 0.02] = np.nan
    columns: dict[str, Any] = {f"feat_{i}": matrix[:, i] for i in range(features)}
    if trailing_nulls:
        target[-trailing_nulls:] = np.nan
    columns |= {"target_a": target, "target_b": np.where(np.isnan(target), np.nan, (target > 0).astype(float)), "Close": close}
    times = START + DAY * np.arange(rows)
    return pl.DataFrame({"timestamp_unix": times, **columns}).with_columns(pl.exclude("timestamp_unix").fill_nan(None))


def publish(stores: Stores, slug: str, bars: pl.DataFrame, *, tag: str | None = None) -> None:
    """Write bars and register them (again: as the next revision). `tag` for a replacement, as a new export would choose it."""
    tag = tag or slug
    roles = {name: _role(name) for name in bars.columns if name != "timestamp_unix"}
    days = pl.from_epoch(pl.col("timestamp_unix")).dt.strftime("%Y%m%d").cast(pl.Int64)
    keys = [
        pl.lit(tag).alias("dataset"),
        pl.lit("test").alias("source"),
        pl.lit("1d").alias("granularity"),
        days.alias("date_i"),
        pl.lit(0, dtype=pl.Int64).alias("time_i"),
        pl.col("timestamp_unix").alias("timestamp"),
    ]
    stores.questdb.ensure_columns(INDICATOR_BARS.name, roles)
    stores.questdb.write(bars.with_columns(keys), table=INDICATOR_BARS.name, symbols=INDICATOR_BARS.symbols)
    stores.questdb.wait_applied(INDICATOR_BARS.name)
    parsed = Slug.parse(slug)
    row = {
        "slug": slug,
        "symbol": parsed.symbol,
        "tag": tag,
        "rows": bars.height,
        "first": datetime.fromtimestamp(int(bars["timestamp_unix"][0]), tz=UTC),
        "last": datetime.fromtimestamp(int(bars["timestamp_unix"][-1]), tz=UTC),
        "content": content_hash([bars]),
        "columns": Jsonb([{"name": name, "role": role, "questdb_column": name} for name, role in roles.items()]),
    }
    with stores.postgres.connection() as connection:
        connection.execute(
            """
            INSERT INTO indicator_datasets (dataset_id, symbol, granularity, source, questdb_tag, row_count, first_bar_ts, last_bar_ts,
                                            checksum, content_hash, columns)
            VALUES (%(slug)s, %(symbol)s, '1d', 'test', %(tag)s, %(rows)s, %(first)s, %(last)s, 'sha256:0', %(content)s, %(columns)s)
            ON CONFLICT (dataset_id) DO UPDATE SET questdb_tag = excluded.questdb_tag, row_count = excluded.row_count,
                last_bar_ts = excluded.last_bar_ts, content_hash = excluded.content_hash,
                revision = indicator_datasets.revision + 1, updated_at = now()
            """,
            row,
        )


def small_profile(**changes: Any) -> WalkforwardProfile:
    """A profile whose folds train in a few milliseconds."""
    return WalkforwardProfile.model_validate(SMALL | changes)


def wait_for_folds(stores: Stores, slug: str, count: int, process: subprocess.Popen[bytes]) -> None:
    """Until the dataset's newest run has `count` stored folds; `process` trains them and must not end before."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        runs = list_runs(stores.postgres, slug)
        if runs and (runs[0].folds_present or 0) >= count:
            return
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read().decode() if process.stderr else process.returncode


def _role(name: str) -> str:
    return "target" if name.startswith(("target", "TGT")) else "price" if name in PRICES else "feature"
