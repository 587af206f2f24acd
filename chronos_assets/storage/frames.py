"""Frames on their way into a table: cast to its types, sorted by time, nothing in them that QuestDB would change in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from chronos_assets.errors import StoreError

NANOSECONDS = pl.Datetime("ns", "UTC")


def prepare(frame: pl.DataFrame, types: dict[str, str], *, symbols: Sequence[str], at: str) -> pl.DataFrame:
    """Cast `frame` to the table's `types` (columns that it does not name are DOUBLE), sort by `at`, make NaN and infinity null.

    `at` is a datetime column (UTC), or int64 seconds. Raises `StoreError` for a null timestamp: the server would put its clock there.
    """
    casts = [_cast(series, types, symbols, at) for series in frame.iter_columns()]
    cast = pl.DataFrame(casts)
    if cast[at].null_count():
        raise StoreError("a row without a timestamp cannot be stored", code="timestamp_null", column=at)
    return cast if cast[at].is_sorted() else cast.sort(at, maintain_order=True)


def _cast(series: pl.Series, types: dict[str, str], symbols: Sequence[str], at: str) -> pl.Series:
    try:
        if series.name == at:
            return _timestamp(series)
        if series.name in symbols or types.get(series.name) == "SYMBOL":
            return series.cast(pl.String)
        if types.get(series.name) == "LONG":
            return series.cast(pl.Int64)
        doubles = series.cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        raise StoreError(
            f"column {series.name!r} cannot be stored as {types.get(series.name, 'DOUBLE')}",
            code="column_type",
            found=str(series.dtype),
        ) from error
    if doubles.is_finite().all():
        return doubles
    return doubles.set(~doubles.is_finite(), None)


def _timestamp(series: pl.Series) -> pl.Series:
    if series.dtype.is_integer():
        return (series.cast(pl.Int64) * 1_000_000_000).cast(NANOSECONDS)
    if isinstance(series.dtype, pl.Datetime):
        zoned = series.dt.replace_time_zone("UTC") if series.dtype.time_zone is None else series.dt.convert_time_zone("UTC")
        return zoned.cast(NANOSECONDS)
    raise StoreError(f"column {series.name!r} holds no timestamps", code="column_type", expected="datetime, or seconds", found=series.dtype)


def double_names(frame: pl.DataFrame, fixed: Iterable[str]) -> list[str]:
    """Columns of `frame` that are not among the table's fixed ones."""
    known = set(fixed)
    return [name for name in frame.columns if name not in known]
