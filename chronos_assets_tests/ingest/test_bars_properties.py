"""Properties of reading bars: any table in any dialect reads back equal; any time column means what its writer meant, or is refused."""

from __future__ import annotations

import datetime as dt
import gzip
import math
import tempfile
from pathlib import Path

import polars as pl
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsSpec, FormatSpec, normalize

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.8f}"),
    st.sampled_from(["0", "-0.0", ".5", "5.", "+1", "1E5", "1e-400"]),
)
cells = st.one_of(numbers, st.sampled_from(["", "NaN", "nan"]))
names = st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_.()%é]{0,8}", fullmatch=True), min_size=1, max_size=5, unique_by=str.casefold).filter(
    lambda found: not {name.casefold() for name in found} & {"date", "time", "market", "timestamp_unix", "date_i", "time_i"}
)


@st.composite
def tables(draw: st.DrawFn, cell: st.SearchStrategy[str] = cells) -> tuple[list[str], list[list[str]]]:
    """Names of number columns, and rows of cells under Date, padded Time and those names."""
    columns = draw(names)
    start = draw(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2198, 1, 1)))
    step = draw(st.integers(1, 2_000))
    count = draw(st.integers(1, 30))
    rows = []
    for i in range(count):
        moment = start + dt.timedelta(minutes=step * i)
        rows.append([f"{moment:%Y%m%d}", f"{moment:%H%M}", *(draw(cell) for _ in columns)])
    return columns, rows


def taken(content: bytes, spec: BarsSpec) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "case"
        source.write_bytes(content)
        normalize(source, spec, Path(folder) / "bars.arrow")
        return pl.read_ipc(Path(folder) / "bars.arrow").rechunk()


def same(found: float | None, text: str) -> bool:
    if text in {"", "NaN", "nan"} or math.isinf(float(text)):
        return found is None
    return found is not None and math.copysign(1, found) == math.copysign(1, float(text)) and found == float(text)


def check(frame: pl.DataFrame, columns: list[str], rows: list[list[str]]) -> None:
    assert frame.height == len(rows)
    assert frame.columns[3:] == columns
    for i, row in enumerate(rows):
        found = frame.row(i)
        assert found[:2] == (int(row[0]), int(row[1]))
        assert found[2] == int(dt.datetime.strptime(row[0] + row[1], "%Y%m%d%H%M").replace(tzinfo=dt.UTC).timestamp())
        assert all(same(value, text) for value, text in zip(found[3:], row[2:], strict=True)), (found, row)


@settings(max_examples=40, deadline=None)
@given(
    made=tables(),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
    marked=st.booleans(),
    padding=st.integers(0, 2),
    packed=st.sampled_from(["plain", "gzip", "zstd"]),
    block_bytes=st.sampled_from([1, 50, 300, 10_000]),
)
def test_any_table_in_any_dialect_reads_back_equal(
    *,
    made: tuple[list[str], list[list[str]]],
    delimiter: str,
    end: str,
    quoted: bool,
    marked: bool,
    padding: int,
    packed: str,
    block_bytes: int,
) -> None:
    """Delimiter, line end, quotes, byte order mark, padding, compression and block size leave every number as it was written."""
    columns, rows = made
    blank = " " * padding if delimiter != "\t" else ""

    def written(row: list[str]) -> str:
        return (blank + delimiter + blank).join(f'"{cell}"' if quoted and not blank else cell for cell in row)

    text = end.join(written(row) for row in [["Date", "Time", *columns], *rows]) + end
    content = (b"\xef\xbb\xbf" if marked else b"") + text.encode()
    content = {"plain": lambda c: c, "gzip": gzip.compress, "zstd": zstandard.compress}[packed](content)
    spec = BarsSpec(format=FormatSpec(time_format="hhmm"), block_bytes=block_bytes)
    check(taken(content, spec), columns, rows)


@settings(max_examples=25, deadline=None)
@given(
    tables(st.one_of(numbers, st.just("nan"))),
    st.lists(st.sampled_from([" ", "  ", "\t", "   \t "]), min_size=1, max_size=4),
    st.integers(1, 300),
)
def test_any_table_between_blanks_reads_back_equal(made: tuple[list[str], list[list[str]]], blanks: list[str], block_bytes: int) -> None:
    """As TSSB writes it: runs of blanks of any length, at the ends of lines too."""
    columns, rows = made
    lines = []
    for i, row in enumerate([["Date", "Time", *columns], *rows]):
        gaps = [blanks[(i + j) % len(blanks)] for j in range(len(row))]
        lines.append(gaps[0] * (i % 2) + "".join(cell + gap for cell, gap in zip(row, gaps, strict=True)))
    spec = BarsSpec(format=FormatSpec(time_format="hhmm", delimiter="blanks"), block_bytes=block_bytes)
    check(taken("\n".join(lines).encode(), spec), columns, rows)


@settings(max_examples=60, deadline=None)
@given(
    start=st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)),
    midnight=st.booleans(),
    step_seconds=st.one_of(st.sampled_from([1, 5, 60, 300, 900, 1_800, 3_600, 14_400, 86_400]), st.integers(1, 200_000)),
    count=st.integers(1, 120),
    seconds=st.booleans(),
    padded=st.booleans(),
    block_bytes=st.sampled_from([1, 64, 100_000]),
)
def test_a_time_column_means_what_its_writer_meant_or_is_refused(
    *, start: dt.datetime, midnight: bool, step_seconds: int, count: int, seconds: bool, padded: bool, block_bytes: int
) -> None:
    """Bars at any distance, HHMM or HHMMSS, padded or not: read as meant, or an error; never another time.

    Daily bars are the exception that the contract makes: their time is dropped, their date is not.
    """
    first = start.replace(hour=0, minute=0, second=0, microsecond=0) if midnight else start.replace(microsecond=0)
    if not seconds:
        step_seconds = -(-step_seconds // 60) * 60
        first = first.replace(second=0)
    moments = [first + dt.timedelta(seconds=step_seconds * i) for i in range(count)]
    texts = [moment.strftime("%H%M%S" if seconds else "%H%M") for moment in moments]
    rows = [f"{m:%Y%m%d},{t if padded else int(t)},{i}" for i, (m, t) in enumerate(zip(moments, texts, strict=True))]
    content = "\n".join(["Date,Time,RSI", *rows]).encode()
    refused: BarsError | None = None
    try:
        frame = taken(content, BarsSpec(block_bytes=block_bytes))
    except BarsError as error:
        refused = error
    if refused is not None:
        assert refused.code in {"time_ambiguous", "time_invalid", "time_mixed"}
        assert not (padded and any(text.startswith("0") for text in texts))
        return
    meant = [int(moment.replace(tzinfo=dt.UTC).timestamp()) for moment in moments]
    found = frame["timestamp_unix"].to_list()
    daily = [stamp - stamp % 86_400 for stamp in meant]
    assert found == meant or (found == daily and len(set(texts)) == 1)
