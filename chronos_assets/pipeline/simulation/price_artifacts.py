"""Prices that came from a second file, kept beside the models: the dataset's own columns are in QuestDB, these would be nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from chronos_assets.domain.simulation.prices import PriceBars

FOLDER = "prices"


def keep_prices(artifacts: Path, content_hash: str, bars: PriceBars) -> Path:
    """Write the prices of a simulation once, under their content hash; a file that is there already stays."""
    path = _path(artifacts, content_hash)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"timestamp_unix": bars.times, "open": bars.opens, "high": bars.highs, "low": bars.lows, "close": bars.closes}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    pl.DataFrame(columns).write_ipc(temporary, compression="zstd")
    temporary.replace(path)
    return path


def read_prices(artifacts: Path, content_hash: str | None) -> pl.DataFrame | None:
    """Columns `timestamp_unix`, `open`, `high`, `low`, `close`; None where they were not kept."""
    if content_hash is None:
        return None
    path = _path(artifacts, content_hash)
    return pl.read_ipc(path.read_bytes()) if path.is_file() else None


def _path(artifacts: Path, content_hash: str) -> Path:
    return artifacts / FOLDER / f"{content_hash.removeprefix('sha256:')}.arrow"
