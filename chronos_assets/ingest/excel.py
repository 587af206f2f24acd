"""Excel workbooks (`.xlsx`, `.xlsm`) by the extra `chronos-assets[excel]`: one sheet, the same rules as for text and typed files.

Rows are those that Excel numbers. The sheet is held in memory as a whole while it is read (Excel ends at 1,048,576 rows); its bars are
handed on in batches. Date cells say by their type what they are, so no form has to be declared for them.
"""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.columnar import number_column
from chronos_assets.ingest.names import Column, resolve_columns
from chronos_assets.ingest.number_text import NumberText
from chronos_assets.ingest.text_block import RawBatch

_BATCH_ROWS = 16_384
_RATIO_FROM_BYTES = 16 << 20
_NEAR_MICROSECONDS = 1_000
Row = list[Any]


def read_excel(source: Path, spec: BarsSpec, name: str) -> tuple[list[Column], Iterator[RawBatch]]:
    """Columns of the sheet, and its rows as raw frames. Raises `BarsError` if the extra is not installed or the workbook is damaged."""
    rows, first = _rows(source, spec, name)
    header, at = _header(rows, first, spec, name)
    form = spec.format
    columns = resolve_columns(
        header,
        spec.columns,
        max_columns=spec.max_columns,
        rename=form.rename,
        optional=form.optional_names,
        file=name,
        row=max(1, first + at - 1),
    )
    return columns, _batches(rows[at:], first + at, columns, NumberText(form), name)


def _rows(source: Path, spec: BarsSpec, name: str) -> tuple[list[Row], int]:
    """The rows of the sheet from the first that is not empty on, and its number."""
    _refuse_expanding(source, spec, name)
    try:
        import python_calamine as calamine
    except ImportError:
        raise BarsError(
            "the file is an Excel workbook, and what reads those is not installed",
            code="excel_extra_missing",
            hint='Install it: pip install "chronos-assets[excel]"; or save the sheet as CSV.',
            file=name,
        ) from None
    try:
        workbook = calamine.CalamineWorkbook.from_path(str(source))
        sheet = workbook.get_sheet_by_name(_sheet(workbook, spec, name))
        rows = sheet.to_python(skip_empty_area=False)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise BarsError(
            "the Excel workbook cannot be read",
            code="file_damaged",
            found=str(error).splitlines()[0][:200],
            hint="Open it in Excel and save it again without a password, or save the sheet as CSV.",
            file=name,
        ) from None
    first = next((number for number, row in enumerate(rows) if any(cell != "" for cell in row)), None)
    if first is None:
        raise BarsError("the sheet is empty", code="file_empty", hint="Name another sheet in format.sheet.", file=name)
    return rows[first:], first + 1


def _refuse_expanding(source: Path, spec: BarsSpec, name: str) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        return  # said by what reads it
    if total > min(spec.max_expanded_bytes, max(_RATIO_FROM_BYTES, spec.max_expansion_ratio * source.stat().st_size)):
        raise BarsError(
            "the workbook expands beyond the limits", code="expansion_limit", file=name, hint="Save the sheet as CSV if you trust it."
        )


def _sheet(workbook: Any, spec: BarsSpec, name: str) -> str:
    names: list[str] = list(workbook.sheet_names)
    wanted = spec.format.sheet
    if wanted is not None and wanted not in names:
        raise BarsError(
            f"the workbook has no sheet {wanted!r}",
            code="sheet_missing",
            found=", ".join(names[:20]),
            hint="Name one of its sheets in format.sheet (--format sheet=...).",
            file=name,
        )
    filled = [wanted] if wanted is not None else [sheet for sheet in names if workbook.get_sheet_by_name(sheet).height > 0]
    if len(filled) > 1:
        raise BarsError(
            "the workbook has several sheets",
            code="several_sheets",
            expected="one sheet, or format.sheet",
            found=", ".join(filled[:20]),
            hint=f"Choose one: format: {{sheet: {filled[0]}}}, or --format sheet={filled[0]!r}.",
            file=name,
        )
    return filled[0] if filled else names[0]


def _header(rows: list[Row], first: int, spec: BarsSpec, name: str) -> tuple[list[str], int]:
    """Names of the columns, and the position of the first row of bars; `first` is the number of the first row."""
    declared, skipped = spec.format.header, spec.format.skip_lines
    if isinstance(declared, list):
        at = max(0, skipped - first + 1)
        if at < len(rows) and len(declared) != len(rows[at]):
            raise BarsError(
                "format.header has not as many names as the sheet has columns",
                code="header_count",
                expected=f"{len(declared)} columns: {', '.join(declared)[:100]}",
                found=len(rows[at]),
                hint="Name every column in format.header, in the order of the sheet.",
                file=name,
                row=first + at,
            )
        return list(declared), at
    at = (max(skipped + 1, first) if declared is None else declared) - first
    if not 0 <= at < len(rows):
        raise BarsError(
            "the sheet has no such row",
            code="header_beyond_end",
            expected=f"rows {first} to {first + len(rows) - 1}",
            found=first + at,
            hint="Correct format.header or format.skip_lines.",
            file=name,
        )
    header = [_text(cell) for cell in rows[at]]
    return header, max(at + 1, 0 if declared is None else skipped - first + 1)


def _batches(rows: list[Row], first: int, columns: Sequence[Column], numbers: NumberText, name: str) -> Iterator[RawBatch]:
    kept = [number for number, row in enumerate(rows) if any(cell != "" for cell in row)]
    last = kept[-1] if kept else -1
    blank = last + 1 - len(kept)
    # Whether dates carry a time of day is said by the whole column, not by a batch of it.
    dates = next(column.position for column in columns if column.key == "date")
    timed = any(isinstance(row[dates], dt.datetime) and row[dates].time() != dt.time() for row in rows)
    for start in range(0, len(kept), _BATCH_ROWS):
        some = kept[start : start + _BATCH_ROWS]
        row_of = _counter(some, first)
        frame = pl.DataFrame([_series([rows[i][c.position] for i in some], c, numbers, name, row_of, timed=timed) for c in columns])
        yield RawBatch(frame, row_of, blank if start == 0 else 0)


def _counter(kept: list[int], first: int) -> Callable[[int], int]:
    return lambda index: first + kept[index]


def _series(cells: list[Any], column: Column, numbers: NumberText, name: str, row_of: Callable[[int], int], *, timed: bool) -> pl.Series:
    if column.role == "excluded":
        # A column without a name may hold nothing; what stands in it is shown to the check of that.
        texts = [_text(cell) for cell in cells] if not column.name else [None] * len(cells)
        return pl.Series(column.label, texts, dtype=pl.String)
    values = _typed(cells, timed=timed).alias(column.label)
    return number_column(values, column, numbers, name, row_of) if column.is_data else values


def _typed(cells: list[Any], *, timed: bool) -> pl.Series:
    """Cells of a column as one type: numbers, dates, times of day, booleans, or text if they differ."""
    kinds = {type(cell) for cell in cells if cell != ""}
    present = [None if cell == "" else cell for cell in cells]
    if kinds <= {int, float}:
        return pl.Series(present, dtype=pl.Float64, strict=False)
    if kinds <= {dt.date, dt.datetime}:
        moments = [dt.datetime.combine(c, dt.time()) if type(c) is dt.date else c for c in present]
        stamps = pl.Series(moments, dtype=pl.Datetime("us"))
        return _whole_seconds(stamps) if timed else stamps.cast(pl.Date)
    if kinds == {dt.time}:
        return pl.Series(present, dtype=pl.Time)
    if kinds == {bool}:
        return pl.Series(present, dtype=pl.Boolean)
    return pl.Series([None if cell == "" else _text(cell) for cell in cells], dtype=pl.String)


def _whole_seconds(stamps: pl.Series) -> pl.Series:
    """Times as Excel means them: it keeps parts of a day, which miss a whole second by less than a millisecond."""
    values = stamps.cast(pl.Int64).fill_null(0).to_numpy()
    nearest = (values + 500_000) // 1_000_000 * 1_000_000
    rounded = np.where(np.abs(values - nearest) < _NEAR_MICROSECONDS, nearest, values)
    return pl.select(pl.when(stamps.is_not_null()).then(pl.Series(rounded).cast(pl.Datetime("us")))).to_series()


def _text(cell: Any) -> str:
    """A cell as text: whole numbers without a point, dates as ISO."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2.0**53:
        return str(int(cell))
    return cell.isoformat(sep=" ") if isinstance(cell, dt.datetime) else str(cell)
