"""Files that are taken: however they are written, the bars are the same, and what was done to a cell is counted and said."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import math
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from chronos_assets.domain.content import content_hash
from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsReport, BarsSpec, ColumnsSpec, FormatSpec
from chronos_assets.ingest.source import file_checksum
from chronos_assets_tests.support.bars_case import HEADER, bend, lines, read, table


def bars(folder: Path) -> pl.DataFrame:
    return pl.read_ipc(folder / "out" / "bars.arrow")


def codes(report: BarsReport) -> set[str]:
    return {warning.code for warning in report.warnings}


def test_quotes_around_the_keys_alone_change_nothing(tmp_path: Path) -> None:
    """A writer that quotes what it holds for text (Date and Time) and not numbers is read as any other."""
    plain = read(tmp_path, table())
    quoted = ['"{}","{}",{},{},{}'.format(*row.split(",")) for row in lines()]
    assert read(tmp_path, table(quoted)).content_hash == plain.content_hash


def test_a_zstd_file_may_begin_with_a_frame_to_be_skipped(tmp_path: Path) -> None:
    """Parallel compressors write a skippable frame first; it is no part of the text."""
    skipped = struct.pack("<II", 0x184D2A50, 4) + b"more"
    assert read(tmp_path, skipped + zstandard.compress(table())).content_hash == read(tmp_path, table()).content_hash


def spaced(row: str) -> str:
    return row.replace(",", "   ")


DIALECTS: dict[str, bytes] = {
    "comma": table(),
    "CR LF": table(end="\r\n"),
    "CR": table(end="\r"),
    "byte order mark": b"\xef\xbb\xbf" + table(),
    "no last line end": table()[:-1],
    "blank lines at the end": table() + b"\n\n  \n",
    "blank lines before the header": b"\n\n" + table(),
    "semicolon": table().replace(b",", b";"),
    "tab": table().replace(b",", b"\t"),
    "pipe": table().replace(b",", b"|"),
    "runs of blanks": table().replace(b",", b"   "),
    "blanks and tabs": table().replace(b",", b" \t "),
    "right-aligned": "\r\n".join(
        [HEADER.replace(",", " "), *("".join(f"{cell:>14}" for cell in row.split(",")) for row in lines())]
    ).encode(),
    "blanks at line ends": table([f"  {spaced(row)} " for row in lines()], spaced(HEADER)),
    "blanks behind the last line": table([spaced(row) for row in lines()], spaced(HEADER)) + b"   ",
    "blanks around delimiters": table([row.replace(",", " , ") for row in lines()], HEADER.replace(",", " , ")),
    "quoted header": table(header=",".join(f'"{name}"' for name in HEADER.split(","))),
    "everything quoted": table([",".join(f'"{cell}"' for cell in row.split(",")) for row in lines()], '"Date","Time","Open","RSI","TGT"'),
    "quoted, between blanks": table(
        [" ".join(f'"{cell}"' for cell in row.split(",")) for row in lines()], '"Date" "Time" "Open" "RSI" "TGT"'
    ),
    "names in another case": table(header="dATE,TIME,Open,RSI,TGT"),
    "delimiter at every line end": table([f"{row}," for row in lines()], f"{HEADER},"),
    "padded times": table([row.replace(",0,", ",0000,").replace(",400,", ",0400,").replace(",800,", ",0800,") for row in lines()]),
    "HHMMSS": table([",".join([row.split(",")[0], f"{int(row.split(',')[1]):04d}00", *row.split(",")[2:]]) for row in lines()]),
    "HHMMSS without zeros": table(
        [",".join([row.split(",")[0], f"{int(row.split(',')[1]) * 100}", *row.split(",")[2:]]) for row in lines()]
    ),
    "keys as decimals": table([row.replace(",", ".0,", 2) for row in lines()]),
    "keys in powers": table([f"{float(row.split(',')[0]):.7e},{row.split(',', 1)[1]}" for row in lines()]),
    "signed numbers": table([row.replace(",10", ",+10", 1) for row in lines()]),
    "gzip": gzip.compress(table()),
    "two gzip members": gzip.compress(table()[:100]) + gzip.compress(table()[100:]),
    "zstd": zstandard.compress(table()),
    "two zstd frames": zstandard.compress(table()[:100]) + zstandard.compress(table()[100:]),
    "one market": table([f"{row},BTC" for row in lines()], f"{HEADER},Market"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_bars_are_the_same_however_they_are_written(dialect: str, tmp_path: Path) -> None:
    """Delimiters, line ends, quotes, compression and time formats change nothing in the bars."""
    (tmp_path / "plain").mkdir()
    plain = read(tmp_path / "plain", table())
    report = read(tmp_path, DIALECTS[dialect])
    assert (report.rows, report.granularity, report.first_bar) == (12, "4h", "2024-05-01T00:00:00Z")
    numbers = ["timestamp_unix", "Open", "RSI", "TGT"]
    assert bars(tmp_path).select(numbers).equals(bars(tmp_path / "plain").select(numbers))
    if "HHMMSS" not in dialect:
        assert report.content_hash == plain.content_hash


@pytest.mark.parametrize("block_bytes", [1, 40, 100, 1_000])
def test_blocks_of_any_size_give_the_same_bars(block_bytes: int, tmp_path: Path) -> None:
    """Where the blocks of a file end makes no difference, nor that many are read before the first is parsed."""
    whole = read(tmp_path, table(lines(60)))
    for end, pack in itertools.product(("\n", "\r\n", "\r"), (bytes, gzip.compress, zstandard.compress)):
        report = read(tmp_path, pack(table(lines(60), end=end)), BarsSpec(block_bytes=block_bytes))
        assert (report.rows, report.content_hash) == (60, whole.content_hash)
        assert report.checksum == file_checksum(tmp_path / "case.csv")


def test_the_arrow_file_holds_keys_then_numbers_in_the_order_of_the_file(tmp_path: Path) -> None:
    """date_i, time_i and timestamp_unix are int64, everything else float64 under its name in the file."""
    read(tmp_path, table())
    frame = bars(tmp_path)
    assert frame.columns == ["date_i", "time_i", "timestamp_unix", "Open", "RSI", "TGT"]
    assert frame.dtypes == [pl.Int64] * 3 + [pl.Float64] * 3
    assert frame.row(1)[:3] == (20240501, 400, 1714536000)


def test_the_report_names_roles_and_hashes(tmp_path: Path) -> None:
    """Roles follow the names; checksum and content hash are those of the file and of the bars."""
    report = read(tmp_path, table())
    assert {column.name: column.role for column in report.columns} == {"Open": "price", "RSI": "feature", "TGT": "target"}
    assert [column.name for column in report.keys] == ["Date", "Time"]
    assert report.checksum == file_checksum(tmp_path / "case.csv")
    assert report.content_hash == content_hash([bars(tmp_path)])


def test_a_disk_that_takes_no_more_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    """A file that may not grow further stands for a full disk: the error says what to do, and no part of the Arrow file stays."""
    (tmp_path / "case.csv").write_bytes(table([f"{20240501 + i},0,{i},1.5,2.5" for i in range(31)]))
    code = """
import pathlib, resource, sys
from chronos_assets.ingest import BarsSpec, normalize
from chronos_assets.errors import ChronosError
folder = pathlib.Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    normalize(folder / "case.csv", BarsSpec(), folder / "out" / "bars.arrow")
except ChronosError as error:
    print(error.code)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "write_failed\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_cells_become_null_and_are_counted(tmp_path: Path) -> None:
    """Empty cells and NaN in any case are nulls; nothing else is."""
    for cell in ("", "NaN", "nan", "NAN", "-nan", '""', " "):
        report = read(tmp_path, bend(7, f"20240501,2000,105,{cell},1"))
        (column,) = [column for column in report.columns if column.name == "RSI"]
        assert (column.nulls, column.nan) == (1, int("nan" in cell.lower()))
        assert bars(tmp_path)["RSI"][5] is None


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e400", "-1e400"])
def test_infinite_numbers_become_null_and_are_said(cell: str, tmp_path: Path) -> None:
    """Infinity, also by overflow, is counted, becomes null and is a warning that names column and row."""
    report = read(tmp_path, bend(7, f"20240501,2000,105,{cell},{cell}"))
    feature, target = (next(c for c in report.columns if c.name == name) for name in ("RSI", "TGT"))
    assert (feature.nulls, feature.non_finite, target.nulls, target.non_finite) == (1, 1, 1, 1)
    assert {"non_finite", "target_non_finite"} <= codes(report)
    assert "row 7" in next(w.message for w in report.warnings if w.code == "non_finite")


def test_numbers_are_read_as_python_reads_them(tmp_path: Path) -> None:
    """Every float is correctly rounded: shortest form, long forms, halfway cases, integers past 64 bits, denormals."""
    rng = random.Random(7)
    texts = [
        "5e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "123456789012345678901234567890",
        "9007199254740993",
        "-0",
        "0.1e-400",
    ]
    for _ in range(3_000):
        value = struct.unpack("<d", rng.randbytes(8))[0]
        texts.append(repr(value) if math.isfinite(value) else "0")
        texts.append("".join(rng.choices("0123456789", k=rng.randint(1, 40))) + f".{rng.getrandbits(90)}e{rng.randint(-330, 270)}")
    kept = [text for text in texts if math.isfinite(float(text))]
    rows = [f"{20000101 + i // 1440 % 28 + i // 40320 * 100},{i // 60 % 24:02d}{i % 60:02d},{text}" for i, text in enumerate(kept)]
    read(tmp_path, table(rows, "Date,Time,RSI"))
    assert [struct.pack("<d", value) for value in bars(tmp_path)["RSI"]] == [struct.pack("<d", float(text)) for text in kept]


def test_a_market_is_chosen_from_several(tmp_path: Path) -> None:
    """Only the rows of the declared market are taken, in any case, and the others are counted."""
    rows = [f"{row},{market}" for row in lines() for market in ("BTC", "ETH")]
    report = read(tmp_path, table(rows, f"{HEADER},Market"), BarsSpec(format=FormatSpec(market="eth"), block_bytes=100))
    assert (report.rows, report.other_market_rows, report.market) == (12, 12, "eth")
    assert "other_markets" in codes(report)


def test_markets_that_differ_by_case_are_one_market_unless_their_bars_clash(tmp_path: Path) -> None:
    """BTC and btc are one market, declared or not; if both have the same bar, they are said to be two."""
    rows = [f"{row},{('BTC', 'btc')[i % 2]}" for i, row in enumerate(lines())]
    for market in (None, "btc"):
        report = read(tmp_path, table(rows, f"{HEADER},Market"), BarsSpec(format=FormatSpec(market=market)))
        assert (report.rows, report.other_market_rows) == (12, 0)
    both = [f"{row},{market}" for row in lines() for market in ("BTC", "btc")]
    with pytest.raises(BarsError, match="differ in Market") as caught:
        read(tmp_path, table(both, f"{HEADER},Market"))
    assert caught.value.code == "duplicate_timestamp"


def test_columns_can_be_left_out(tmp_path: Path) -> None:
    """An excluded column may hold anything; it is listed and not read."""
    rows = [f'{row},"say ""hi"", you"' for row in lines()]
    report = read(tmp_path, table(rows, f"{HEADER},NOTE"), BarsSpec(columns=ColumnsSpec(exclude=["note"])))
    assert [column.name for column in report.excluded] == ["NOTE"]
    assert bars(tmp_path).columns[3:] == ["Open", "RSI", "TGT"]


def test_patterns_of_the_manifest_give_roles(tmp_path: Path) -> None:
    """Target patterns add to the usual ones; price columns, where given, replace the usual ones."""
    spec = BarsSpec(columns=ColumnsSpec(targets=["r?i"], prices=["close"]))
    report = read(tmp_path, table(header="Date,Time,Open,RSI,Close"), spec)
    assert {column.name: column.role for column in report.columns} == {"Open": "feature", "RSI": "target", "Close": "price"}


def test_timestamp_unix_is_a_key_and_never_a_feature(tmp_path: Path) -> None:
    """A timestamp_unix column is compared, not taken; where it differs, that is said."""
    rows = [f"{20240501},{i * 400},{1714521600 + i * 14400},{i}" for i in range(6)]
    report = read(tmp_path, table(rows, "Date,Time,timestamp_unix,RSI"), BarsSpec(granularity="4h"))
    assert [column.name for column in report.columns] == ["RSI"]
    assert "timestamp_unix_differs" not in codes(report)
    rows[3] = "20240501,1200,5,3"
    report = read(tmp_path, table(rows, "Date,Time,timestamp_unix,RSI"), BarsSpec(granularity="4h"))
    assert "timestamp_unix_differs" in codes(report)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [10, 1 << 20])
def test_blank_lines_are_counted_whatever_the_blocks(block_bytes: int, end: str, tmp_path: Path) -> None:
    """Blank lines that fill whole blocks are counted like any others; the row of a later error counts them too."""
    rows = [*lines()[:6], *["", " "] * 250, *lines()[6:]]
    for written in (table(rows, end=end), table([spaced(row) for row in rows], spaced(HEADER), end=end)):
        report = read(tmp_path, written, BarsSpec(block_bytes=block_bytes))
        assert (report.rows, report.blank_lines) == (12, 500)
    with pytest.raises(BarsError, match="row 509"):
        read(tmp_path, table([*rows[:507], rows[507].replace("10.5", "x"), *rows[508:]], end=end), BarsSpec(block_bytes=block_bytes))


def test_blank_lines_between_rows_are_skipped_and_said(tmp_path: Path) -> None:
    """Blank lines inside are a warning; line numbers of later errors still count them."""
    rows = lines()
    rows[3] += "\n\n  "
    assert read(tmp_path, table(rows)).blank_lines == 2
    assert "blank_lines" in codes(read(tmp_path, table(rows)))
    rows[5] = rows[5].replace("7.5", "x")
    with pytest.raises(Exception, match="row 9"):
        read(tmp_path, table(rows))


def test_a_file_larger_than_a_block_needs_no_more_memory(tmp_path: Path) -> None:
    """The frames held at a time are those of a few blocks: many blocks arrive as many record batches."""
    import pyarrow as pa

    read(tmp_path, table(lines(150)), BarsSpec(block_bytes=500))
    with pa.memory_map(str(tmp_path / "out" / "bars.arrow")) as mapped:
        reader = pa.ipc.open_file(mapped)
        assert reader.num_record_batches > 5
        assert max(reader.get_batch(i).num_rows for i in range(reader.num_record_batches)) < 50


def test_short_rows_make_no_frame_larger_than_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a block of lines that are no rows only so many are read as a whole table has: a frame of them all would fill the memory."""
    header = ",".join(["Date", "Time", *(f"IND_{i}" for i in range(300))])
    row = ",".join(["20240501", "0", *("1" for _ in range(300))])
    heights: list[int] = []
    read_csv = pl.read_csv

    def watched(*args: Any, **options: Any) -> pl.DataFrame:
        frame = read_csv(*args, **options)
        heights.append(frame.height)
        return frame

    monkeypatch.setattr(pl, "read_csv", watched)
    short = b"1\n" * 2_000_000
    with pytest.raises(BarsError) as refused:
        read(tmp_path, f"{header}\n{row}\n".encode() + short)
    assert (refused.value.code, refused.value.where["row"]) == ("row_ragged", 3)
    assert heights
    assert max(heights) < len(short) / 300


def test_a_file_that_is_replaced_is_not_held_open(tmp_path: Path) -> None:
    """The space of an older Arrow file is given back soon after it was replaced."""
    read(tmp_path, table(lines(30)))
    older = (tmp_path / "out" / "bars.arrow").stat()
    read(tmp_path, table(lines(60)))
    until = time.monotonic() + 10

    def held() -> bool:
        for descriptor in range(1024):
            with contextlib.suppress(OSError):  # not open
                if os.path.samestat(os.fstat(descriptor), older):
                    return True
        return False

    while held() and time.monotonic() < until:
        time.sleep(0.01)
    assert not held()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bars.arrow"]


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path: Path) -> None:
    """Without a destination the report is the same and no file appears."""
    from chronos_assets.ingest import normalize

    written = read(tmp_path, table())
    assert normalize(tmp_path / "case.csv", BarsSpec(), None) == written


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    """Progress runs to the size of the file."""
    from chronos_assets.ingest import normalize

    (tmp_path / "case.csv").write_bytes(table(lines(100)))
    told: list[tuple[str, int, int | None]] = []
    normalize(tmp_path / "case.csv", BarsSpec(block_bytes=500), None, lambda *args: told.append(args))
    size = (tmp_path / "case.csv").stat().st_size
    assert len(told) > 3
    assert told[-1] == ("normalize", size, size)
