"""Parquet and Arrow files: the same door, the same rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsReport, BarsSpec, ColumnsSpec, normalize
from chronos_assets.ingest.opening import open_bars
from chronos_assets_tests.support.bars_case import read, table

FRAME = pl.read_csv(table())


def write_stream(frame: pl.DataFrame, path: Path) -> None:
    arrow = frame.to_arrow()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "arrow": lambda frame, path: frame.write_ipc(path),
    "arrow with lz4": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "arrow stream": write_stream,
}


def taken(folder: Path, frame: pl.DataFrame, writer: str = "parquet", spec: BarsSpec | None = None) -> BarsReport:
    path = folder / "case.bin"
    WRITERS[writer](frame, path)
    return normalize(path, spec or BarsSpec(), folder / "out.arrow")


@pytest.mark.parametrize("writer", WRITERS)
def test_the_same_bars_come_from_every_kind_of_file(writer: str, tmp_path: Path) -> None:
    """The content hash is that of the text file."""
    report = taken(tmp_path, FRAME, writer)
    assert report.content_hash == read(tmp_path, table()).content_hash
    assert [c.role for c in report.columns] == ["price", "feature", "target"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_cut_short_is_refused(writer: str, tmp_path: Path) -> None:
    """Half a file is an error of ours."""
    WRITERS[writer](FRAME, tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "half").write_bytes(content[: len(content) // 2])
    with pytest.raises(BarsError) as caught:
        normalize(tmp_path / "half", BarsSpec(), None)
    assert caught.value.code == "file_damaged"
    assert ("Parquet" if writer == "parquet" else "Arrow") in caught.value.message


def test_numbers_of_any_width_become_doubles(tmp_path: Path) -> None:
    """Integers, float32 and decimals are numbers; text that holds numbers is read as in a text file."""
    for kind in (pl.Int16, pl.UInt32, pl.Int64, pl.Float32, pl.Decimal(10, 2), pl.String):
        report = taken(tmp_path, FRAME.with_columns(pl.col("TGT").cast(kind)))
        assert report.content_hash == read(tmp_path, table()).content_hash, kind


def test_typed_dates_and_times_are_keys(tmp_path: Path) -> None:
    """A date column and a time column are read as YYYYMMDD and HHMMSS."""
    moments = [dt.datetime(2024, 5, 1) + dt.timedelta(hours=4 * i) for i in range(12)]
    frame = FRAME.with_columns(Date=pl.Series([m.date() for m in moments]), Time=pl.Series([m.time() for m in moments]))
    report = taken(tmp_path, frame)
    assert (report.granularity, report.first_bar, report.time_format) == ("4h", "2024-05-01T00:00:00Z", "hhmmss")


@pytest.mark.parametrize(
    ("column", "code"),
    [
        (pl.Series("RSI", [True] * 12), "not_a_number"),
        (pl.Series("RSI", ["x"] * 12), "not_a_number"),
        (pl.Series("RSI", [[1.0]] * 12), "not_a_number"),
        (pl.Series("RSI", [dt.date(2024, 5, 1)] * 12), "not_a_number"),
        (pl.Series("Date", [[20240501]] * 12), "date_type"),
        (pl.Series("Date", [dt.datetime(2024, 5, 1)] * 12), "time_twice"),
        (pl.Series("Date", [20240230] * 12), "date_invalid"),
        (pl.Series("Date", [None] * 12, dtype=pl.Int64), "date_missing"),
        (pl.Series("Time", [2400.5] * 12), "time_invalid"),
    ],
)
def test_columns_that_cannot_be_taken_are_refused(column: pl.Series, code: str, tmp_path: Path) -> None:
    """Booleans, text, lists, dates as indicators and broken keys are refused as in a text file, and left alone where excluded."""
    with pytest.raises(BarsError) as caught:
        taken(tmp_path, FRAME.with_columns(column))
    assert caught.value.code == code
    if column.name == "RSI":
        assert taken(tmp_path, FRAME.with_columns(column), spec=BarsSpec(columns=ColumnsSpec(exclude=["RSI"]))).rows == 12


def test_rows_count_from_one(tmp_path: Path) -> None:
    """The row of an error is the position of the row in the file, the first being 1."""
    values = FRAME["RSI"].cast(pl.String).to_list()
    values[4] = "oops"
    with pytest.raises(BarsError, match="oops") as caught:
        taken(tmp_path, FRAME.with_columns(RSI=pl.Series(values)))
    assert caught.value.where["row"] == 5


def test_nan_and_infinity_are_treated_alike_in_every_kind_of_file(tmp_path: Path) -> None:
    """NaN and infinity become null and are counted."""
    values = [1.0, float("nan"), float("inf"), None, *[2.0] * 8]
    (column,) = [c for c in taken(tmp_path, FRAME.with_columns(RSI=pl.Series(values))).columns if c.name == "RSI"]
    assert (column.nulls, column.nan, column.non_finite) == (3, 1, 1)


def test_dictionary_strings_are_text(tmp_path: Path) -> None:
    """A categorical column of words is refused by its first value and row, as a text column is."""
    with pytest.raises(BarsError) as caught:
        taken(tmp_path, FRAME.with_columns(NOTE=pl.Series(["hello"] * FRAME.height, dtype=pl.Categorical)))
    assert (caught.value.code, caught.value.where["row"], caught.value.where["column"]) == ("not_a_number", 1, "NOTE")


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.decimal128(8, 0)])
def test_dates_of_any_arrow_type_are_dates(kind: pa.DataType, tmp_path: Path) -> None:
    """Dates of 32 and 64 bits, and YYYYMMDD as text, as a dictionary, as a decimal."""
    days = [dt.date(2024, 5, 1), dt.date(2024, 5, 2)]
    values = days if pa.types.is_date(kind) else [20240501, 20240502]
    column = pa.array([Decimal(v) if pa.types.is_decimal(kind) else v if pa.types.is_date(kind) else str(v) for v in values])
    frame = pa.table({"Date": column.cast(kind) if not pa.types.is_dictionary(kind) else column.dictionary_encode(), "RSI": [1.0, 2.0]})
    with pa.OSFile(str(tmp_path / "case.bin"), "wb") as sink, pa.ipc.new_file(sink, frame.schema) as writer:
        writer.write_table(frame)
    assert normalize(tmp_path / "case.bin", BarsSpec(), None).first_bar == "2024-05-01T00:00:00Z"


@pytest.mark.parametrize("kind", [pa.decimal128(38, 4), pa.decimal256(60, 4)])
def test_decimals_become_the_nearest_doubles(kind: pa.DataType, tmp_path: Path) -> None:
    """Decimals of 128 and of 256 bits are rounded as their text is."""
    values = [Decimal("246.8721"), Decimal("8598501678.9089"), Decimal("-0.0001"), Decimal(2**70) / 10000, None]
    table = pa.table({"Date": [20240501 + n for n in range(5)], "RSI": pa.array(values, kind)})
    pa.parquet.write_table(table, tmp_path / "case.bin")
    normalize(tmp_path / "case.bin", BarsSpec(), tmp_path / "out.arrow")
    assert pl.read_ipc(tmp_path / "out.arrow")["RSI"].to_list() == [None if v is None else float(v) for v in table["RSI"].to_pylist()]


def write_whole(table: pa.Table, path: Path, kind: str) -> None:
    """All rows as one row group, or one record batch."""
    if kind == "parquet":
        pa.parquet.write_table(table, path, row_group_size=table.num_rows, use_dictionary=False, compression="none")
        return
    make = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=table.num_rows)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_a_file_that_is_one_giant_piece_is_read_in_small_ones(kind: str, tmp_path: Path) -> None:
    """One row group, or one record batch, of 20 MB: Arrow never holds a quarter of it, and no frame is longer than a batch."""
    rows = 350_000
    minutes = pl.datetime_range(dt.datetime(2001, 1, 1), dt.datetime(2002, 1, 1), "1m", eager=True)[:rows]
    frame = pl.DataFrame({"Date": minutes.dt.strftime("%Y%m%d").cast(pl.Int64), "Time": minutes.dt.strftime("%H%M").cast(pl.Int64)})
    frame = frame.with_columns(pl.int_range(rows).hash(n).cast(pl.Float64).alias(f"X{n}") for n in range(5))
    write_whole(frame.to_arrow(), tmp_path / "giant.bin", kind)
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    try:
        report = normalize(tmp_path / "giant.bin", BarsSpec(granularity="1m"), None)
        with open_bars(tmp_path / "giant.bin", BarsSpec()) as opened:
            longest = max(batch.frame.height for batch in opened.batches())
    finally:
        pa.set_memory_pool(usual)
    assert report.rows == rows
    assert watched.max_memory() < rows * 7 * 8 / 4
    assert longest <= 20_000
