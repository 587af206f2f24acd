"""Datasets that grow night by night, and a clock that runs ahead: what is stored is made a day older, instead of waiting for a day."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psycopg
import yaml

from chronos_assets.services import Connections, dagster_postgres_url
from chronos_assets.settings import Settings

DAY_SECONDS = 86_400
PROFILE = {
    "target": "TGT_A",
    "train_size": 200,
    "test_size": 10,
    "model": {"rounds": 30, "early_stopping": 5, "eta": 0.1, "max_depth": 3},
    "thresholds": {"method": "percentile"},
}
SIMULATION = {"modes": ["dual"], "statistics": {"bootstraps": 0, "permutations": 0}}
# The times that the policy looks at.
OURS = {
    "walkforward_run_profiles": ("requested_at",),
    "walkforward_runs": ("created_at", "started_at", "completed_at"),
    "simulation_runs": ("created_at", "started_at", "completed_at"),
    "export_audits": ("started_at", "completed_at"),
    "nights": ("started_at", "completed_at"),
}


def write_file(
    exports: Path,
    number: int,
    rows: int,
    most_rows: int,
    *,
    seed: int | None = None,
    pending: int = 0,
    keys: Mapping[str, Any] | None = None,
) -> str:
    """The file of a dataset with its first `rows` of `most_rows` daily bars, and its manifest; gives the slug.

    `seed` of its bars: its number, unless datasets shall hold the same bars. The last `pending` bars have no target yet. `keys` of the
    manifest in the place of ours.
    """
    slug = f"night{number}_1d_v1"
    rng = np.random.default_rng(number if seed is None else seed)
    noise = rng.normal(size=(most_rows, 8))
    close = 100 * np.exp(np.cumsum(0.01 * noise[:, 0]))
    days = pl.date_range(pl.date(1990, 1, 1), pl.date(2026, 1, 1), eager=True)[:most_rows]
    prices = {name: close * factor for name, factor in {"Open": 0.999, "High": 1.01, "Low": 0.99, "Close": 1.0}.items()}
    features = {f"FEAT_{n}": noise[:, n] for n in range(1, 7)}
    columns = {"Date": days.dt.strftime("%Y%m%d")} | prices | features | {"TGT_A": 0.3 * noise[:, 1] + noise[:, 7]}
    frame = pl.DataFrame(columns).head(rows).with_columns(pl.when(pl.int_range(pl.len()) < rows - pending).then("TGT_A").alias("TGT_A"))
    source = exports / f"{slug}.csv"
    source.write_bytes(frame.write_csv().encode())
    manifest = exports / f"{slug}.yaml"
    if not manifest.exists():
        document = {
            "dataset": slug,
            "source_file": source.name,
            "granularity": "1d",
            "checksum": f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}",
            "on_change": "grow",
            "target_horizon": {"default": 1},
            "walkforward": {"default": PROFILE},
            "simulation": {"default": SIMULATION},
        }
        manifest.write_text(yaml.safe_dump(document | dict(keys or {})))
    return slug


def a_day_passes(settings: Settings, connections: Connections) -> None:
    """Make everything that is stored a day older: rows in Postgres, Dagster's runs, files."""
    with psycopg.connect(connections.postgres_dsn, autocommit=True) as connection:
        for table, columns in OURS.items():
            changes = ", ".join(f"{name} = {name} - interval '1 day'" for name in columns)
            connection.execute(f"UPDATE {table} SET {changes}")  # type: ignore[arg-type]
    url = dagster_postgres_url(connections, settings).replace("postgresql+psycopg2://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE runs SET create_timestamp = create_timestamp - interval '1 day'")
    for folder, _, names in os.walk(settings.artifacts_dir):
        for name in names:
            path = Path(folder, name)
            then = path.stat().st_mtime - DAY_SECONDS
            os.utime(path, (then, then))
