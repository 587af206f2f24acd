"""The normalized Arrow file, read in pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from chronos_assets.errors import StoreError
from chronos_assets.storage.bars_file import BarsFile

# Batches that begin, end and cross where years do, before 1970 too; one is empty.
STARTS = [datetime(1969, 12, 31, 22, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None, datetime(2007, 12, 31, 21, tzinfo=UTC)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four batches of hourly bars: 2, 2, 0 and 6 rows."""
    file = tmp_path / "bars.arrow"
    schema = pa.schema([("timestamp_unix", pa.int64()), ("x", pa.float64())])
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for start, rows in zip(STARTS, (2, 2, 0, 6), strict=True):
            stamps = [int(start.timestamp()) + 3600 * row for row in range(rows)] if start else []
            writer.write_batch(pa.record_batch([stamps, [float(stamp) for stamp in stamps]], schema=schema))
    return file


def test_year_starts_are_the_first_rows_of_calendar_years(path: Path) -> None:
    """Years are cut in UTC, wherever batches end."""
    with BarsFile(path) as bars:
        assert (bars.rows, bars.year_starts()) == (10, [0, 2, 4, 7])


def test_stamps_of_single_rows(path: Path) -> None:
    """Times of some rows, in the order asked for, wherever batches end."""
    with BarsFile(path) as bars:
        every = [int(stamp) for stamp in pl.concat(list(bars.frames(10)))["timestamp_unix"]]
        assert bars.stamps_at(range(10)) == every
        assert bars.stamps_at([9, 0, 4]) == [every[9], every[0], every[4]]
        assert bars.stamps_at([]) == []


def test_damage_anywhere_is_one_error_that_names_the_file(path: Path) -> None:
    """Whatever byte is changed or where the file ends: it is read, or one error says which file cannot be."""
    content = path.read_bytes()
    damaged = [content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :] for at in range(0, len(content), 3)]
    told = set()
    for text in [*damaged, *(content[:size] for size in range(0, len(content), 7))]:
        path.write_bytes(text)
        try:
            with BarsFile(path) as bars:
                list(bars.frames(3))
                bars.stamps_at([0])
                bars.year_starts()
        except StoreError as error:
            told.add((error.code, error.where["file"]))
    assert told == {("arrow_unreadable", str(path))}


def test_several_threads_read_one_file(path: Path) -> None:
    """Readers of different rows do not disturb each other."""
    with BarsFile(path) as bars, ThreadPoolExecutor(4) as pool:

        def read(start: int) -> pl.DataFrame:
            return pl.concat(list(bars.frames(3, start)))

        whole = read(0)
        for start, frame in zip(list(range(10)) * 50, pool.map(read, list(range(10)) * 50), strict=True):
            assert frame.equals(whole.slice(start))
