"""Key cells into whole numbers: `400`, `0400` and `400.0` are the same number, anything else is refused with its row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import BarsError
from chronos_assets.ingest.number_text import BLANKS

Int64s = npt.NDArray[np.int64]


def whole_numbers(cells: pl.Series, *, what: str, name: str, row_of: Callable[[int], int]) -> Int64s:
    """Values of a `Date` or `Time` column; raises `BarsError` for an empty cell, a fraction or text."""
    if cells.dtype.is_integer() and cells.dtype != pl.UInt64:
        numbers = cells.cast(pl.Int64)
        shown = cells
    elif cells.dtype == pl.Date and what == "Date":
        return whole_numbers(cells.dt.strftime("%Y%m%d"), what=what, name=name, row_of=row_of)
    elif cells.dtype == pl.Time and what == "Time":
        return whole_numbers(cells.dt.strftime("%H%M%S"), what=what, name=name, row_of=row_of)
    elif cells.dtype == pl.String:
        shown, numbers = cells, cells.cast(pl.Int64, strict=False)
        if numbers.null_count():
            shown, numbers = _from_text(cells)
    elif cells.dtype.is_numeric():
        shown = cells
        numbers = _from_float(cells.cast(pl.Float64, strict=False))
    else:
        raise BarsError(
            f"{what} is a {cells.dtype} column",
            code=f"{what.lower()}_type",
            expected="YYYYMMDD" if what == "Date" else "HHMM or HHMMSS",
            file=name,
            column=what,
            hint="Write Date as YYYYMMDD and Time as HHMM or HHMMSS, both as whole numbers.",
        )
    if numbers.null_count():
        _refuse_first(shown, numbers, what, name, row_of)
    return numbers.to_numpy()


def _from_text(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Cells without blanks around them (empty ones null), and their values: whole numbers, also written `400.0`."""
    stripped = cells.str.strip_chars(BLANKS)
    shown = pl.select(pl.when(stripped != "").then(stripped)).to_series()
    return shown, shown.cast(pl.Int64, strict=False).fill_null(_from_float(shown.cast(pl.Float64, strict=False)))


def _from_float(values: pl.Series) -> pl.Series:
    whole = values.is_finite() & (values == values.floor()) & (values.abs() < 2.0**53)
    return pl.select(pl.when(whole).then(values).otherwise(None)).to_series().cast(pl.Int64, strict=False)


def _refuse_first(shown: pl.Series, numbers: pl.Series, what: str, name: str, row_of: Callable[[int], int]) -> None:
    index = int(numbers.is_null().arg_max() or 0)
    value = shown[index]
    where = {"file": name, "row": row_of(index), "column": what}
    if value is None:
        raise BarsError(
            f"{what} is empty", code=f"{what.lower()}_missing", hint="Every bar needs its key; delete the row or fill it.", **where
        )
    form = "YYYYMMDD" if what == "Date" else "HHMM or HHMMSS"
    text = str(value)
    hint = f"Write {what} as {form}."
    if what == "Date" and text[:1].isdigit() and any(mark in text for mark in "-/:T "):
        hint = "Write Date as YYYYMMDD without separators, and the time in a column Time (HHMM or HHMMSS)."
    elif what == "Time" and ":" in text:
        hint = "Write Time as HHMM or HHMMSS without colons, in 24 hours."
    raise BarsError(
        f"{what} is not a whole number", code=f"{what.lower()}_invalid", expected=form, found=repr(text[:40]), hint=hint, **where
    )
