"""The content hash of bars: what a dataset holds, whatever file, batch size or order of columns it came in.

SHA-256 runs over each column by itself (little-endian int64, or float64 with every null as one quiet NaN), then over the sorted
list of `name, kind, digest`. Column hashes can be fed in batches, so a file larger than memory has a content hash too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import polars as pl

from chronos_assets.errors import ChronosError


class ContentHasher:
    """Feed frames of the same columns in bar order; `hexdigest()` names their content."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[str, hashlib._Hash]] = {}
        self._rows = 0

    def update(self, frame: pl.DataFrame, *, nan_free: bool = False) -> None:
        """Add the rows of `frame` (int64 and float64 columns only). `nan_free`: the caller knows that no cell is NaN (nulls may be)."""
        if self._columns and set(frame.columns) != set(self._columns):
            raise ChronosError("content hash: a batch has other columns than the one before", code="content_columns")
        for series in frame.iter_columns():
            kind = "i8" if series.dtype == pl.Int64 else "f8"
            _, digest = self._columns.setdefault(series.name, (kind, hashlib.sha256()))
            digest.update(_column_bytes(series, nan_free=nan_free))
        self._rows += frame.height

    def hexdigest(self) -> str:
        """`<64 hex>` over row count and all columns."""
        total = hashlib.sha256(f"rows {self._rows}\n".encode())
        for name in sorted(self._columns):
            kind, digest = self._columns[name]
            total.update(f"{name}\t{kind}\t{digest.hexdigest()}\n".encode())
        return total.hexdigest()


def content_hash(frames: Iterable[pl.DataFrame]) -> str:
    """Content hash of frames that together hold the bars in order."""
    hasher = ContentHasher()
    for frame in frames:
        hasher.update(frame)
    return hasher.hexdigest()


def _column_bytes(series: pl.Series, *, nan_free: bool) -> bytes | memoryview:
    nulls = series.null_count()
    if series.dtype == pl.Int64:
        if nulls:
            raise ChronosError(f"content hash: key column {series.name!r} has nulls", code="content_null_key")
        return np.ascontiguousarray(series.to_numpy(), dtype="<i8").data.cast("B")
    if series.dtype != pl.Float64:
        raise ChronosError(f"content hash: column {series.name!r} is {series.dtype}", code="content_dtype", expected="int64 or float64")
    values = np.ascontiguousarray(series.to_numpy(), dtype="<f8")
    if not nulls and (nan_free or math.isfinite(series.sum())):
        # A finite sum: no NaN to bring to one form (the usual case, and cheap to see).
        return values.data.cast("B")
    nan = np.isnan(values)
    if nan.any():
        values = np.where(nan, np.float64("nan"), values)
    return values.data.cast("B")
