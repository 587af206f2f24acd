"""Prices that came from a second file, kept beside the models: the dataset's own columns are in QuestDB, these would be nowhere.

The name of a file is the hash of its prices, and what is read back must have that hash.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl

from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.errors import FileError
from chronos_assets.pipeline.simulation.prices import prices_hash
from chronos_assets.storage.atomic_write import write_file

FOLDER = "prices"
FIELDS = ("open", "high", "low", "close")
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def keep_prices(artifacts: Path, content_hash: str, bars: PriceBars) -> Path:
    """Write the prices of a simulation under their hash; a file that holds them already stays."""
    path = _path(artifacts, content_hash)
    if path.is_file() and _holds(_read(path), content_hash):
        return path
    columns = {"timestamp_unix": bars.times, "open": bars.opens, "high": bars.highs, "low": bars.lows, "close": bars.closes}
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_ipc(buffer, compression="zstd")
    write_file(path, buffer.getvalue())
    return path


def read_prices(artifacts: Path, content_hash: str | None) -> pl.DataFrame | None:
    """Columns `timestamp_unix`, `open`, `high`, `low`, `close`; None if they were not kept.

    `content_hash` comes from a table: one that is no hash names no file. Raises `FileError` if the file does not hold these prices.
    """
    if content_hash is None or not _HASH.fullmatch(content_hash):
        return None
    path = _path(artifacts, content_hash)
    if not path.is_file():
        return None
    table = _read(path)
    if not _holds(table, content_hash):
        raise FileError(
            "the kept prices of a simulation are damaged",
            code="prices_damaged",
            hint="Delete the file: reports are then made without the line of buy and hold.",
            file=str(path),
        )
    return table


def _read(path: Path) -> pl.DataFrame | None:
    """The table in a file; None if it holds none of this shape."""
    try:
        table = pl.read_ipc(path.read_bytes())
        prices = (pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in FIELDS)
        return table.select(pl.col("timestamp_unix").cast(pl.Int64), *prices)
    except OSError as error:
        raise FileError(f"a file cannot be read: {error.strerror}", code="read_failed", file=str(path)) from error
    except (pl.exceptions.PolarsError, ValueError):
        return None


def _holds(table: pl.DataFrame | None, content_hash: str) -> bool:
    if table is None:
        return False
    opens, highs, lows, closes = (table[name].to_numpy() for name in FIELDS)
    bars = PriceBars(table["timestamp_unix"].to_numpy(), opens, highs, lows, closes, incomplete=0)
    return prices_hash(bars) == content_hash


def _path(artifacts: Path, content_hash: str) -> Path:
    return artifacts / FOLDER / f"{content_hash.removeprefix('sha256:')}.arrow"
