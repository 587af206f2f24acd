"""Parquet and Arrow files, by the same door and the same rules: the names of their columns are the header, row 1 is the first row.

Numbers of any width become float64; numbers that a double cannot hold exactly, booleans and text are refused, as they are in a text file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.names import Column, resolve_columns
from chronos_assets.ingest.number_text import BLANKS, NumberText
from chronos_assets.ingest.source import Kind
from chronos_assets.ingest.text_block import RawBatch
from chronos_assets.ingest.text_strict import text_in_number

_BATCH_ROWS = 16_384
_BUFFER_BYTES = 1 << 20


def read_columnar(source: Path, kind: Kind, spec: BarsSpec, name: str) -> tuple[list[Column], Iterator[RawBatch]]:
    """Columns of the file, and its rows as raw frames."""
    header, batches = _open(source, kind, name)
    form = spec.format
    columns = resolve_columns(
        header, spec.columns, max_columns=spec.max_columns, rename=form.rename, optional=form.optional_names, file=name
    )
    return columns, _read(batches, columns, NumberText(form), kind, name)


def _open(source: Path, kind: Kind, name: str) -> tuple[list[str], Iterator[Any]]:
    try:
        if kind == "parquet":
            # Not buffered ahead: that would hold a whole row group, and a file may be one.
            file = pa.parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            return list(file.schema_arrow.names), file.iter_batches(batch_size=_BATCH_ROWS)
        if kind == "arrow":
            reader = pa.ipc.open_file(pa.memory_map(str(source)))
            return list(reader.schema.names), (reader.get_batch(i) for i in range(reader.num_record_batches))
        stream = pa.ipc.open_stream(pa.memory_map(str(source)))
        return list(stream.schema.names), iter(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(error, kind, name) from None


def _damaged(error: Exception, kind: Kind, name: str) -> BarsError:
    what = "Parquet" if kind == "parquet" else "Arrow"
    return BarsError(
        f"the {what} file is damaged", code="file_damaged", found=str(error).splitlines()[0][:200], file=name, hint="Write it again."
    )


def _read(batches: Iterator[Any], columns: Sequence[Column], numbers: NumberText, kind: Kind, name: str) -> Iterator[RawBatch]:
    first = 1
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(error, kind, name) from None
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            piece = batch.slice(start, _BATCH_ROWS)
            row_of = _counter(first + start)
            yield RawBatch(pl.DataFrame([_series(piece.column(c.position), c, numbers, name, row_of) for c in columns]), row_of)
        first += batch.num_rows


def _counter(first: int) -> Callable[[int], int]:
    return lambda index: first + index


def _series(array: Any, column: Column, numbers: NumberText, name: str, row_of: Callable[[int], int]) -> pl.Series:
    """One column as the rest of the reader wants it: Float64 for data, as it is for keys, text for the rest."""
    label = column.label
    try:
        if pa.types.is_date64(array.type):
            array = array.cast(pa.date32())
        # Decimals too wide for polars go by their text: Arrow's own cast to a double is not always the nearest one.
        values = pl.Series(label, pl.from_arrow(array.cast(pa.string()) if pa.types.is_decimal256(array.type) else array))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, TypeError, pa.ArrowException):
        values = None
    if values is None or not isinstance(values, pl.Series):
        return _unusable(str(array.type), label, column, len(array), name)
    if isinstance(values.dtype, (pl.Categorical, pl.Enum)):
        values = values.cast(pl.String)
    if column.role == "excluded":
        return pl.Series(label, [None] * len(values), dtype=pl.String)
    if not column.is_data:
        return values
    return number_column(values, column, numbers, name, row_of)


def _unusable(kind: str, label: str, column: Column, rows: int, name: str) -> pl.Series:
    if column.role == "excluded":
        return pl.Series(label, [None] * rows, dtype=pl.String)
    raise _type_refused(kind, column, name)


def number_column(values: pl.Series, column: Column, form: NumberText, name: str, row_of: Callable[[int], int]) -> pl.Series:
    """A typed column as Float64; raises `BarsError` for what is no number."""
    if values.dtype == pl.Null:
        return values.cast(pl.Float64)
    if values.dtype == pl.String:
        return _from_text(values, column, form, name, row_of)
    if values.dtype == pl.Boolean or not values.dtype.is_numeric():
        raise _type_refused(str(values.dtype), column, name)
    numbers = values.cast(pl.Float64, strict=False)
    if values.dtype in {pl.Int64, pl.UInt64, pl.Int128} or values.dtype == pl.Decimal:
        _refuse_inexact(values, numbers, column, name, row_of)
    return form.without_missing(numbers)


def _from_text(values: pl.Series, column: Column, form: NumberText, name: str, row_of: Callable[[int], int]) -> pl.Series:
    text = values.str.strip_chars(BLANKS)
    numbers = form.read(text)
    bad = form.unreadable(text, numbers).arg_true()
    if len(bad):
        raise text_in_number(str(text[int(bad[0])]), name, row_of(int(bad[0])), column.source_name)
    return numbers


def _refuse_inexact(values: pl.Series, numbers: pl.Series, column: Column, name: str, row_of: Callable[[int], int]) -> None:
    """Integers become the nearest double, as they do in a text file; only what no double is near to is refused."""
    lost = (numbers.is_null() & values.is_not_null()).arg_true()
    if len(lost):
        raise text_in_number(str(values[int(lost[0])]), name, row_of(int(lost[0])), column.source_name)


def _type_refused(kind: str, column: Column, name: str) -> BarsError:
    return BarsError(
        f"a {kind} column cannot be an indicator",
        code="not_a_number",
        expected="numbers",
        found=kind,
        hint="Write booleans as 1 and 0, or leave the column out with columns.exclude in the manifest.",
        file=name,
        column=column.source_name,
    )
