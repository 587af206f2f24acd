"""Files that cannot be taken: each is refused by its own code, with row, column and value, and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from chronos_assets.errors import BarsError, ManifestError, SourceChangedError
from chronos_assets.ingest import BarsSpec, ColumnsSpec, FormatSpec, normalize
from chronos_assets_tests.support.bars_case import HEADER, bend, lines, read, table


def packed_in_tar() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("bars.csv")
        entry.size = len(table())
        tar.addfile(entry, io.BytesIO(table()))
    return archive.getvalue()


WIDE = ",".join(f"c{i}" for i in range(10_000))

# what is wrong -> file, code, row, column, something the message shows
CASES: dict[str, tuple[bytes, str, int | None, str | None, str]] = {
    "text": (bend(7, "20240501,2000,105,abc,1"), "not_a_number", 7, "RSI", "abc"),
    "header again": (bend(7, HEADER), "not_a_number", 7, "Open", "two exports were joined"),
    "lines above the header": (b"Exported by TSSB\n\n" + table(), "date_column_missing", 1, None, "Line 3 names a Date column"),
    "Excel's separator line": (b"sep=,\n" + table(), "date_column_missing", 1, None, "Line 2 names a Date column"),
    "comment": (bend(7, "# a note"), "row_ragged", 7, None, "remove it"),
    "typographic minus": (bend(7, "20240501,2000,105,\u22121,1"), "not_a_number", 7, "RSI", "ASCII"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "file_kind", None, None, "git lfs pull"),
    "web page": (b"<!DOCTYPE html>\n<html></html>\n", "file_kind", None, None, "web page"),
    "text in a target": (bend(7, "20240501,2000,105,1,up"), "not_a_number", 7, "TGT", "up"),
    "NA": (bend(7, "20240501,2000,105,NA,1"), "not_a_number", 7, "RSI", "empty, or write NaN"),
    "null": (bend(7, "20240501,2000,105,null,1"), "not_a_number", 7, "RSI", "empty, or write NaN"),
    "dash": (bend(7, "20240501,2000,105,-,1"), "not_a_number", 7, "RSI", "empty, or write NaN"),
    "Excel error": (bend(7, "20240501,2000,105,#DIV/0!,1"), "not_a_number", 7, "RSI", "empty, or write NaN"),
    "boolean": (bend(7, "20240501,2000,105,True,1"), "not_a_number", 7, "RSI", "1 and 0"),
    "percent": (bend(7, "20240501,2000,105,5%,1"), "not_a_number", 7, "RSI", "without units"),
    "hexadecimal": (bend(7, "20240501,2000,105,0x1F,1"), "not_a_number", 7, "RSI", "0x1F"),
    "underscore": (bend(7, "20240501,2000,105,1_000,1"), "not_a_number", 7, "RSI", "thousands"),
    "quoted thousands": (bend(7, '20240501,2000,105,"1,234.5",1'), "not_a_number", 7, "RSI", "thousands"),
    "bare thousands": (bend(7, "20240501,2000,105,1,234.5,1"), "row_ragged", 7, None, "thousands"),
    "decimal comma": (table().replace(b",", b";").replace(b"1.5", b"1,5"), "not_a_number", 3, "RSI", "decimal point"),
    "no-break space": (bend(7, "20240501,2000,105,\u00a01,1"), "not_a_number", 7, "RSI", "ASCII"),
    "vertical tab": (bend(7, "20240501,2000,105,1\x0b,1"), "not_a_number", 7, "RSI", ""),
    "text column": (table([f"{row},hello" for row in lines()], f"{HEADER},NOTE"), "not_a_number", 2, "NOTE", "columns.exclude"),
    "too few fields": (bend(7, "20240501,2000,105,1"), "row_ragged", 7, None, "found 4"),
    "too many fields": (bend(7, "20240501,2000,105,1,2,3"), "row_ragged", 7, None, "found 6"),
    "too few, then too many": (bend(7, "20240501,2000,105,1\n20240501,2001,105,1,2,3"), "row_ragged", 7, None, "found 4"),
    "cut in the last row": (table()[:-8], "row_truncated", 13, None, "found 3"),
    "NUL": (bend(7, "20240501,2000,105,1\x00,1"), "nul_byte", 7, None, ""),
    "UTF-16": (table().decode().encode("utf-16"), "encoding", None, None, "UTF-16"),
    "UTF-16 without mark": (table().decode().encode("utf-16-le"), "encoding", None, None, "UTF-16"),
    "UTF-16 without mark, from another program": (
        b"<DATE>\t<TIME>\t<OPEN>\r\n2024.01.01\t00:00\t1.5\r\n".decode().encode("utf-16-be"),
        "encoding",
        None,
        None,
        "UTF-16",
    ),
    "UTF-32": (table().decode().encode("utf-32"), "encoding", None, None, "UTF-32"),
    "Latin-1 name": (table().replace(b"RSI", b"RS\xe9"), "encoding", 1, None, "0xe9"),
    "Latin-1 cell": (table().replace(b",7.5,", b",7\xe9,"), "encoding", 7, None, "0xe9"),
    "NUL in a key": (bend(7, "20240501,20\x0000,105,1,1"), "nul_byte", 7, None, ""),
    "UTF-32 without mark": (table().decode().encode("utf-32-le"), "encoding", None, None, "UTF-32"),
    "gzip in gzip": (gzip.compress(gzip.compress(table())), "file_kind", None, None, "gzip data"),
    "zip in zstd": (zstandard.compress(b"PK\x03\x04" * 9), "file_kind", None, None, "Excel"),
    "Avro": (b"Obj\x01" + table(), "file_kind", None, None, "Avro"),
    "an invisible character in a name": (table(header="Date,Time,RSI,RSI\u200b,TGT"), "column_name_invalid", 1, None, "u200b"),
    "DDMMYYYY below the tenth": (bend(7, "01052024,2000,105,1,1"), "date_order", 7, "Date", "DDMMYYYY"),
    "nothing": (b"", "file_empty", None, None, ""),
    "blanks only": (b"\n \n\t\n", "file_empty", None, None, ""),
    "endless blank lines": (b"\n" * 5_000_000 + table(), "file_empty", 10_001, None, ""),
    "header only": (HEADER.encode() + b"\n", "no_rows", None, None, ""),
    "header without line end": (HEADER.encode(), "no_rows", None, None, ""),
    "the same name": (table(header="Date,Time,RSI,RSI,TGT"), "column_collision", 1, "RSI", "columns 3 and 4"),
    "the same name in another case": (table(header="Date,Time,RSI,rsi,TGT"), "column_collision", 1, "rsi", "'RSI' and 'rsi'"),
    "the same name composed and decomposed": (
        table(header="Date,Time,\u00e9,e\u0301,TGT"),
        "column_collision",
        1,
        "\u00e9",
        "columns 3 and 4",
    ),
    "the same name after cleaning": (table(header="Date,Time,A  B, A B,TGT"), "column_collision", 1, "A B", "columns 3 and 4"),
    "two dates": (table(header="Date,Time,DATE,RSI,TGT"), "column_collision", 1, "DATE", "'Date' and 'DATE'"),
    "no Date": (table(header="Day,Time,Open,RSI,TGT"), "date_column_missing", 1, None, "Day"),
    "one column for date and time": (
        b"Date Time;Open;Close\n20240501 0400;1.5;1.6\n",
        "date_column_missing",
        1,
        None,
        "'Date Time' holds date",
    ),
    "a column of timestamps": (
        table(header="Datetime,Time2,Open,RSI,TGT"),
        "date_column_missing",
        1,
        None,
        "'Datetime' holds date and time",
    ),
    "names in angle brackets": (table(header="<DATE>,<TIME>,Open,RSI,TGT"), "date_column_missing", 1, None, "Rename '<DATE>' to Date"),
    "three header lines of yfinance": (
        b"Price,Close,High\nTicker,SPY,SPY\nDate,,\n2024-01-02,1.5,1.6\n",
        "date_column_missing",
        1,
        None,
        "call the first column of line 1 Date, and take out lines 2 and 3",
    ),
    "two tickers of yfinance": (
        b"Price,Close,Close\nTicker,SPY,QQQ\nDate,,\n2024-01-02,1.5,1.6\n",
        "date_column_missing",
        1,
        None,
        "download each into a file of its own",
    ),
    "a column of symbols": (
        table([f"{row},BTCUSD" for row in lines()], f"{HEADER},Symbol"),
        "not_a_number",
        2,
        "Symbol",
        "call the column Market",
    ),
    "no header": (table(lines()[1:], lines()[0]), "date_column_missing", 1, None, ""),
    "a column without name": (table(header="Date,Time,,RSI,TGT"), "column_unnamed", 1, None, "column 3"),
    "values without name": (table([f"{row},1" for row in lines()], f"{HEADER},"), "column_unnamed", None, None, "column 6"),
    "control character in a name": (table(header="Date,Time,Open,R\x01SI,TGT"), "column_name_invalid", 1, None, ""),
    "endless name": (table(header=f"Date,Time,Open,{'x' * 2_000},TGT"), "column_name_too_long", 1, None, ""),
    "keys only": (table(["20240501,0"], "Date,Time"), "no_columns", 1, None, ""),
    "10,000 columns": (f"Date,{WIDE}\n20240501,{WIDE}\n".encode(), "too_many_columns", 1, None, "10001"),
    "cell of megabytes": (bend(7, f"20240501,2000,105,{'1' * 5_000_000},1"), "line_too_long", 7, None, "5000020"),
    "header of megabytes": (b"Date," + b"x" * 20_000_000, "line_too_long", None, None, ""),
    "open quote": (bend(7, '20240501,2000,105,"1,1'), "quote_open", 7, None, ""),
    "line break in quotes": (bend(7, '20240501,2000,105,"1\n",1'), "quote_open", 7, None, ""),
    "quote inside a cell": (bend(7, '20240501,2000,105,1"5"2,1'), "quote_stray", 7, None, ""),
    "time 2400": (bend(7, "20240501,2400,105,1,1"), "time_invalid", 7, "Time", "2400"),
    "time 2460": (bend(7, "20240501,2460,105,1,1"), "time_invalid", 7, "Time", "2460"),
    "time 0075": (bend(7, "20240501,0075,105,1,1"), "time_invalid", 7, "Time", "0075"),
    "time 240000": (table([f"20240501,{i:02d}0000,1,2,3" for i in (0, 4, 8, 12, 24)]), "time_invalid", 6, "Time", "240000"),
    "time 999999": (bend(7, "20240501,999999,105,1,1"), "time_invalid", 7, "Time", "999999"),
    "time below 0": (bend(7, "20240501,-5,105,1,1"), "time_negative", 7, "Time", "-5"),
    "time with colon": (bend(7, "20240501,20:00,105,1,1"), "time_invalid", 7, "Time", "colons"),
    "time with a fraction": (bend(7, "20240501,400.5,105,1,1"), "time_invalid", 7, "Time", "400.5"),
    "no time": (bend(7, "20240501,,105,1,1"), "time_missing", 7, "Time", ""),
    "an extra zero": (bend(7, "20240501,20000,105,1,1"), "time_mixed", 7, "Time", "20000"),
    "a slip beyond the day": (bend(7, "20240501,2530,105,1,1"), "time_invalid", 7, "Time", "2530"),
    "HHMM, then HHMMSS": (
        table([f"20240501,{i:02d}00,1,2,3" for i in (0, 4)] + [f"20240501,{i:02d}0000,1,2,3" for i in (8, 12)]),
        "time_mixed",
        4,
        "Time",
        "080000",
    ),
    "hours or minutes": (table([f"20240501,{i}00,1,2,3" for i in range(1, 6)]), "time_ambiguous", 2, "Time", "hhmm"),
    "February 30": (bend(13, "20240230,2000,105,1,1"), "date_invalid", 13, "Date", "20240230"),
    "February 29 of a common year": (bend(2, "20230229,0,105,1,1"), "date_invalid", 2, "Date", "20230229"),
    "month 13": (bend(7, "20241301,2000,105,1,1"), "date_invalid", 7, "Date", "20241301"),
    "day 0": (bend(7, "20240500,2000,105,1,1"), "date_invalid", 7, "Date", "20240500"),
    "date below 0": (bend(7, "-20240501,2000,105,1,1"), "date_negative", 7, "Date", "-20240501"),
    "1969": (bend(2, "19691231,0,105,1,1"), "date_too_early", 2, "Date", "QuestDB keeps time from 1970 on"),
    "2999": (bend(13, "29990501,0,105,1,1"), "date_too_late", 13, "Date", "29990501"),
    "Excel serial": (bend(7, "45413,2000,105,1,1"), "date_excel_serial", 7, "Date", "45413"),
    "Unix seconds": (bend(7, "1714572000,2000,105,1,1"), "date_unix_seconds", 7, "Date", "time of day in a column Time"),
    "Unix milliseconds": (bend(7, "1714572000000,2000,105,1,1"), "date_unix_milliseconds", 7, "Date", "1714572000000"),
    "Unix nanoseconds": (bend(7, "1714572000000000000,2000,105,1,1"), "date_unix_nanoseconds", 7, "Date", ""),
    "date and time in one": (bend(7, "20240501200000,2000,105,1,1"), "date_with_time", 7, "Date", "20240501200000"),
    "ISO date": (bend(7, "2024-05-01,2000,105,1,1"), "date_invalid", 7, "Date", "2024-05-01"),
    "day first": (bend(7, "31122024,2000,105,1,1"), "date_order", 7, "Date", "31122024"),
    "two-digit year": (bend(7, "240501,2000,105,1,1"), "date_two_digit_year", 7, "Date", "240501"),
    "TradeStation date": (bend(7, "1240501,2000,105,1,1"), "date_tradestation", 7, "Date", "1240501"),
    "no date": (bend(7, ",2000,105,1,1"), "date_missing", 7, "Date", ""),
    "date with a fraction": (bend(7, "20240501.5,2000,105,1,1"), "date_invalid", 7, "Date", "20240501.5"),
    "a row of delimiters": (bend(7, ",,,,"), "date_missing", 7, "Date", ""),
    "the same bar twice": (bend(7, lines()[4]), "duplicate_timestamp", 7, None, "rows 6 and 7"),
    "two rows of one bar": (
        bend(7, "20240501,1600,9,6.0,10"),
        "duplicate_timestamp",
        7,
        None,
        "differ in Open",
    ),
    "an earlier bar": (bend(7, "20240501,1000,1,1,1"), "not_increasing", 7, None, "row 7 is earlier than row 6"),
    "newest first": (table(lines()[::-1]), "not_increasing", 3, None, "oldest first"),
    "several markets": (
        table([f"{row},{'AB'[i % 2]}" for i, row in enumerate(lines())], f"{HEADER},Market"),
        "several_markets",
        3,
        "Market",
        "'A', 'B'",
    ),
    "gzip cut short": (gzip.compress(table())[:-10], "compression_damaged", None, None, "cut short"),
    "gzip with something behind": (gzip.compress(table()) + b"garbage", "compression_damaged", None, None, ""),
    "gzip damaged": (gzip.compress(table())[:40] + bytes(8) + gzip.compress(table())[48:], "compression_damaged", None, None, ""),
    "zstd cut short": (zstandard.compress(table())[:-10], "compression_damaged", None, None, ""),
    "gzip bomb": (gzip.compress(table() + b"\n" * 50_000_000), "expansion_limit", None, None, "200 times"),
    "zstd bomb": (zstandard.compress(table() + b"\n" * 50_000_000), "expansion_limit", None, None, "200 times"),
    "tar": (packed_in_tar(), "file_kind", None, None, "tar archive"),
    "tar in gzip": (gzip.compress(packed_in_tar()), "file_kind", None, None, "tar archive"),
    "zip": (b"PK\x03\x04" + bytes(50), "file_kind", None, None, "zip"),
    "old Excel": (b"\xd0\xcf\x11\xe0" + bytes(50), "file_kind", None, None, "CSV"),
    "half a Parquet file": (b"PAR1" + bytes(100), "file_damaged", None, None, "Parquet"),
    "half an Arrow file": (b"ARROW1\x00\x00" + bytes(100), "file_damaged", None, None, "Arrow"),
    "half an Arrow stream": (b"\xff\xff\xff\xff" + b"x" * 60, "file_damaged", None, None, "Arrow"),
    "bytes": (bytes(range(256)) * 20, "nul_byte", 1, None, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused_by_name_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    """A file that cannot be taken says what is wrong, where, and leaves no file behind."""
    content, code, row, column, shown = CASES[case]
    with pytest.raises(BarsError) as caught:
        read(tmp_path, content)
    error = caught.value
    assert (error.code, error.where.get("row"), error.where.get("column")) == (code, row, column), str(error)
    assert shown in str(error)
    assert error.where["file"] == "case.csv"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "case.csv"]


def test_text_in_the_last_of_many_rows_is_found(tmp_path: Path) -> None:
    """Text in the last row of a file of many blocks is named with its line, column and value."""
    rows = [f"{20240101 + day},{minute // 60 * 100 + minute % 60},{day + minute}" for day in range(28) for minute in range(1440)]
    rows[-1] = "20240128,2359,oops"
    with pytest.raises(BarsError, match="oops") as caught:
        read(tmp_path, table(rows, "Date,Time,RSI"), BarsSpec(block_bytes=1 << 16))
    assert (caught.value.where["row"], caught.value.where["column"]) == (len(rows) + 1, "RSI")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path without a file, or to a folder, is an error of ours."""
    with pytest.raises(BarsError, match="does not exist"):
        normalize(tmp_path / "nothing.csv", BarsSpec(), None)
    with pytest.raises(BarsError, match="plain file"):
        normalize(tmp_path, BarsSpec(), None)


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """A file that grows by a whole row between two batches gives no dataset, though every row of it is good."""
    source, rows = tmp_path / "case.csv", lines(40)
    source.write_bytes(table(rows[:39]))
    written: list[int] = []

    def append(*_: object) -> None:
        if not written:
            with source.open("a") as file:
                written.append(file.write(rows[39] + "\n"))

    with pytest.raises(SourceChangedError, match="changed while it was read"):
        normalize(source, BarsSpec(block_bytes=200), tmp_path / "bars.arrow", append)
    assert [path.name for path in tmp_path.iterdir()] == ["case.csv"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    """A pattern of the manifest that fits no column names the nearest one."""
    with pytest.raises(ManifestError, match=r"RSJ.*matches no column.*'RSI'"):
        read(tmp_path, table(), BarsSpec(columns=ColumnsSpec(exclude=["RSJ"])))


def test_keys_cannot_be_taken_away(tmp_path: Path) -> None:
    """Neither an exclusion nor a target pattern may take the Date column."""
    with pytest.raises(ManifestError, match="Date"):
        read(tmp_path, table(), BarsSpec(columns=ColumnsSpec(exclude=["D*"])))
    with pytest.raises(ManifestError, match="Date"):
        read(tmp_path, table(), BarsSpec(columns=ColumnsSpec(targets=["Dat?"])))


def test_a_granularity_that_the_bars_contradict_is_refused(tmp_path: Path) -> None:
    """4h bars are neither 1h nor 1d bars."""
    for wrong in ("1h", "1d", "4m", "8h"):
        with pytest.raises(BarsError) as caught:
            read(tmp_path, table(), BarsSpec(granularity=wrong))
        assert caught.value.code in {"granularity_contradicted", "duplicate_timestamp"}


def test_a_declared_time_format_that_the_column_contradicts_is_refused(tmp_path: Path) -> None:
    """Times padded to four digits are not HHMMSS, whatever the manifest says."""
    padded = table([f"20240501,{i:02d}00,1,2,3" for i in range(5)])
    with pytest.raises(BarsError, match="HHMMSS as declared"):
        read(tmp_path, padded, BarsSpec(format=FormatSpec(time_format="hhmmss")))


def test_a_declared_time_format_that_large_values_contradict_is_refused(tmp_path: Path) -> None:
    """A column of HHMMSS that is declared HHMM is said to contradict the declaration, not to be mixed."""
    long = table([f"20240501,{i}0000,1,2,3" for i in range(5)])
    with pytest.raises(BarsError, match="HHMM as declared"):
        read(tmp_path, long, BarsSpec(format=FormatSpec(time_format="hhmm")))


def test_a_market_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The refusal names the markets that are there, and a missing Market column is said."""
    content = table([f"{row},BTC" for row in lines()], f"{HEADER},Market")
    with pytest.raises(BarsError, match=r"no bars of market 'BTX'.*'BTC'"):
        read(tmp_path, content, BarsSpec(format=FormatSpec(market="BTX")))
    with pytest.raises(BarsError, match="no Market column"):
        read(tmp_path, table(), BarsSpec(format=FormatSpec(market="BTX")))
