"""Prices that came from a second file, kept beside the models: the dataset's own columns are in QuestDB, these would be nowhere.

The name of a file is the hash of its prices, and what is read back must have that hash.
"""

from __future__ import annotations

import io
import re

import polars as pl

from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.errors import FileError
from chronos_assets.pipeline.simulation.prices import prices_hash
from chronos_assets.storage.artifacts.store import ArtifactStore

FOLDER = "prices"
FIELDS = ("open", "high", "low", "close")
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def keep_prices(artifacts: ArtifactStore, content_hash: str, bars: PriceBars) -> None:
    """Write the prices of a simulation under their hash; a file that holds them already stays."""
    place = _place(content_hash)
    kept = artifacts.read(place)
    if kept is not None and _holds(_table(kept), content_hash):
        return
    columns = {"timestamp_unix": bars.times, "open": bars.opens, "high": bars.highs, "low": bars.lows, "close": bars.closes}
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_ipc(buffer, compression="zstd")
    artifacts.put({place: buffer.getvalue()})


def read_prices(artifacts: ArtifactStore, content_hash: str | None) -> pl.DataFrame | None:
    """Columns `timestamp_unix`, `open`, `high`, `low`, `close`; None if they were not kept.

    `content_hash` comes from a table: one that is no hash names no file. Raises `FileError` if the file does not hold these prices.
    """
    if content_hash is None or not _HASH.fullmatch(content_hash):
        return None
    place = _place(content_hash)
    kept = artifacts.read(place)
    if kept is None:
        return None
    table = _table(kept)
    if not _holds(table, content_hash):
        raise FileError(
            "the kept prices of a simulation are damaged",
            code="prices_damaged",
            hint="Delete the file: reports are then made without the line of buy and hold.",
            file=artifacts.address(place),
        )
    return table


def _table(content: bytes) -> pl.DataFrame | None:
    """The table in a file's content; None if it holds none of this shape."""
    try:
        table = pl.read_ipc(content)
        prices = (pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in FIELDS)
        return table.select(pl.col("timestamp_unix").cast(pl.Int64), *prices)
    except (pl.exceptions.PolarsError, ValueError, OSError):
        return None


def _holds(table: pl.DataFrame | None, content_hash: str) -> bool:
    if table is None:
        return False
    opens, highs, lows, closes = (table[name].to_numpy() for name in FIELDS)
    bars = PriceBars(table["timestamp_unix"].to_numpy(), opens, highs, lows, closes, incomplete=0)
    return prices_hash(bars) == content_hash


def _place(content_hash: str) -> str:
    return f"{FOLDER}/{content_hash.removeprefix('sha256:')}.arrow"
