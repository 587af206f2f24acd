"""The normalized Arrow file, read in bounded pieces: never the whole file in memory, and no page of it mapped."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc

from chronos_assets.errors import StoreError

MADE_AGAIN = "Delete the file: the next command makes it again from the indicator file."


class BarsFile:
    """An open Arrow IPC file of bars. Use it in a `with` block; several threads may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with _naming(path):
            self._starts = _starts(path)
            self._file = pa.OSFile(str(path))
            self._reader = pa.ipc.open_file(self._file)
            self.names: list[str] = self._reader.schema.names

    @property
    def rows(self) -> int:
        return self._starts[-1]

    def frames(self, rows: int, start: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
        """Rows `[start, stop)` in frames of exactly `rows` rows (the last one shorter)."""
        held: list[pl.DataFrame] = []
        count = 0
        for part in self._parts(start, self.rows if stop is None else min(stop, self.rows)):
            held.append(part)
            count += part.height
            while count >= rows:
                joined = pl.concat(held) if len(held) > 1 else held[0]
                yield joined.slice(0, rows)
                held, count = [joined.slice(rows)], count - rows
        if count:
            yield pl.concat(held) if len(held) > 1 else held[0]

    def stamps_at(self, rows: Sequence[int]) -> list[int]:
        """`timestamp_unix` of some rows."""
        # Through a map, because that reads no other column.
        with _naming(self.path), pa.memory_map(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            batches = [bisect_right(self._starts, row) - 1 for row in rows]
            columns = {number: reader.get_batch(number).column("timestamp_unix") for number in sorted(set(batches))}
            return [int(columns[number][row - self._starts[number]].as_py()) for number, row in zip(batches, rows, strict=True)]

    def year_starts(self) -> list[int]:
        """First row of each calendar year (UTC) that has bars."""
        found: list[int] = []
        before = np.empty(0, dtype=np.int64)
        # Through a map, because that reads no other column.
        with _naming(self.path), pa.memory_map(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            for number, start in enumerate(self._starts[:-1]):
                # Not Arrow's `to_numpy`: it imports pandas, and a Ctrl-C that comes meanwhile is lost in there.
                stamps = pl.Series(reader.get_batch(number).column("timestamp_unix")).to_numpy()
                years = stamps.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64)
                changes = np.flatnonzero(np.diff(years, prepend=before if before.size else years[:1] - 1))
                found += (start + changes).tolist()
                before = years[-1:] if years.size else before
        return found

    def _parts(self, start: int, stop: int) -> Iterator[pl.DataFrame]:
        for number in range(self._reader.num_record_batches):
            first, last = max(start, self._starts[number]), min(stop, self._starts[number + 1])
            if first < last:
                with _naming(self.path):
                    with self._lock:
                        batch = self._reader.get_batch(number)
                    frame = pl.from_arrow(batch.slice(first - self._starts[number], last - first))
                assert isinstance(frame, pl.DataFrame)
                yield frame

    def __enter__(self) -> BarsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a file that is damaged or gone into one error that names it."""
    try:
        yield
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError, LookupError, TypeError, ValueError) as error:
        raise StoreError(
            "the normalized file cannot be read",
            code="arrow_unreadable",
            found=str(error).partition("\n")[0][:200],
            hint=MADE_AGAIN,
            file=str(path),
        ) from error


def _starts(path: Path) -> list[int]:
    """First row of every batch, and the number of rows. Through a map, because that reads no values."""
    starts = [0]
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            starts.append(starts[-1] + reader.get_batch(number).num_rows)
    return starts
