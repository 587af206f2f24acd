"""Rows into QuestDB by ILP: frames cast to the table's types, sent in batches by one or more senders, again if in doubt.

Over HTTP a batch is acknowledged (it is in the WAL). Over TCP nothing is; only reading back proves delivery. An error while
flushing leaves it open what arrived, so the slice is sent again: the table's DEDUP keys keep one copy.

Rows come in parts that senders take one each. Rows that arrive out of order make the server write the table's partition again, so parts
are best whole partitions: two senders then never meet in one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import ChronosError, ServiceUnavailableError, StoreError, UsageError
from chronos_assets.storage.client_string import ClientString, Transport
from chronos_assets.storage.questdb_http import READ_ONLY

RowsWritten = Callable[[int], None]
RETRY_SECONDS = 60.0
_WHERE = "Check CHRONOS_QUESTDB_CONF, or --questdb."
SLICE_ROWS = 20_000
# A sender is stopped between two slices; more requests than this in one would keep a Ctrl-C waiting if batches are tiny.
SLICE_BATCHES = 20
# Cells between two columns, so that none begins where another does: 9 lines of the cache.
_APART = 72


@dataclass(frozen=True)
class WriteResult:
    """What one write did: rows sent, how, how long, and how many slices had to be sent again."""

    rows: int
    transport: Transport
    senders: int
    batch_rows: int
    seconds: float
    resent_slices: int = 0


@dataclass
class _Job:
    """State that the senders of one write share."""

    conf: ClientString
    table: str
    symbols: Sequence[str]
    at: str
    batch_rows: int
    progress: RowsWritten | None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    rows: int = 0
    resent: int = 0

    def sent(self, rows: int) -> None:
        with self.lock:
            self.rows += rows
            if self.progress is not None:
                self.progress(self.rows)


def check_conf(conf: ClientString) -> None:
    """Raise `UsageError` if the client would not take the string; nothing is connected to."""
    from questdb import QuestDBError, Sender

    try:
        Sender.from_conf(conf.for_batches(1)).close()
    except (QuestDBError, ValueError, OverflowError) as error:
        raise _conf_invalid(error) from None


def slice_rows(batch_rows: int) -> int:
    """Rows handed to a sender at once: whole batches, enough to keep it busy and few enough to keep all of them busy."""
    return batch_rows * min(SLICE_BATCHES, max(1, SLICE_ROWS // batch_rows))


class Parts:
    """What a write has to send, handed out slice by slice to several threads.

    A sender stays with its part to the end, then begins another; where none is left it helps with one that is not through.
    """

    def __init__(self, parts: Iterable[Iterable[pl.DataFrame]], rows: int) -> None:
        self._waiting = deque(_Part(part, rows) for part in parts)
        self._begun: list[_Part] = []
        self._lock = threading.Lock()

    def of_one_sender(self) -> Iterator[pl.DataFrame]:
        """The slices that one sender gets."""
        while (part := self._take()) is not None:
            while (piece := part.next()) is not None:
                yield piece

    def _take(self) -> _Part | None:
        with self._lock:
            if self._waiting:
                self._begun.append(self._waiting.popleft())
                return self._begun[-1]
            self._begun = [part for part in self._begun if not part.ended]
            return self._begun[0] if self._begun else None


class _Part:
    """Frames in order, cut into slices of at most `rows` rows; no slice spans two frames."""

    def __init__(self, frames: Iterable[pl.DataFrame], rows: int) -> None:
        self._slices = (frame.slice(start, rows) for frame in frames for start in range(0, frame.height, rows))
        self._lock = threading.Lock()
        self.ended = False

    def next(self) -> pl.DataFrame | None:
        with self._lock:
            piece = next(self._slices, None)
            self.ended = piece is None
            return piece


def send(
    conf: ClientString,
    parts: Iterable[Iterable[pl.DataFrame]],
    *,
    table: str,
    symbols: Sequence[str],
    at: str,
    batch_rows: int,
    senders: int,
    progress: RowsWritten | None,
) -> WriteResult:
    """Send prepared frames; returns when every slice was handed over (and, over HTTP, acknowledged)."""
    started = time.monotonic()
    job = _Job(conf, table, symbols, at, batch_rows, progress)
    _send_in_threads(job, Parts(parts, slice_rows(batch_rows)), senders)
    return WriteResult(job.rows, conf.transport, senders, batch_rows, time.monotonic() - started, job.resent)


def _send_in_threads(job: _Job, parts: Parts, senders: int) -> None:
    with ThreadPoolExecutor(senders, thread_name_prefix="questdb-sender") as pool:
        # An interruption can arrive at any line here, and leaving the pool waits for the senders: `stop` ends them at their next slice.
        try:
            futures = [pool.submit(_send_all, job, parts.of_one_sender()) for _ in range(senders)]
            for future in futures:
                future.result()
        except BaseException:
            job.stop.set()
            raise


def _send_all(job: _Job, pieces: Iterator[pl.DataFrame]) -> None:
    """One sender's work: a connection kept over all its slices, renewed after an error. When it fails, so do the others."""
    connection = _Connection(job)
    try:
        for piece in pieces:
            if job.stop.is_set():
                break
            _send_in_doubt(job, connection, piece)
            job.sent(piece.height)
        connection.close()
    except BaseException:
        job.stop.set()
        connection.drop()
        raise


def _send_in_doubt(job: _Job, connection: _Connection, piece: pl.DataFrame) -> None:
    from questdb import QuestDBError

    deadline = time.monotonic() + RETRY_SECONDS
    pause = 0.1
    while True:
        try:
            connection.send(piece)
        except QuestDBError as error:
            connection.drop()
            if not _worth_another_try(error) or time.monotonic() > deadline or job.stop.is_set():
                raise wrapped(error, job.conf) from error
            with job.lock:
                job.resent += 1
            job.stop.wait(pause)
            pause = min(pause * 2, 2.0)
        else:
            return


class _Connection:
    """A sender that is opened on first use and can be thrown away."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._frames = _ClientFrames()
        self._sender: object | None = None

    def send(self, piece: pl.DataFrame) -> None:
        from questdb import Sender

        if self._sender is None:
            sender = Sender.from_conf(self._job.conf.for_batches(self._job.batch_rows))
            sender.establish()  # type: ignore[no-untyped-call]  # the client's stubs leave it out
            self._sender = sender
        self._sender.dataframe(self._frames.frame(piece), table_name=self._job.table, symbols=list(self._job.symbols), at=self._job.at)  # type: ignore[attr-defined]  # the client publishes no types
        self._sender.flush()  # type: ignore[attr-defined]  # the client publishes no types

    def drop(self) -> None:
        """Close without flushing what is buffered: it will be sent again."""
        if self._sender is not None:
            self._sender.close(flush=False)  # type: ignore[attr-defined]  # the client publishes no types
            self._sender = None

    def close(self) -> None:
        from questdb import QuestDBError

        if self._sender is None:
            return
        try:
            self._sender.close(flush=True)  # type: ignore[attr-defined]  # the client publishes no types
        except QuestDBError as error:
            raise wrapped(error, self._job.conf) from error
        finally:
            self._sender = None


class _ClientFrames:
    """Makes of polars frames the pandas frames that the client reads fastest; it leaves out what is null. One frame at a time is in use.

    Doubles without nulls go in as numpy columns of one matrix, all others as Arrow arrays. The client goes through the columns row by row:
    where all of them begin at the same place of a memory page, as separate arrays do, the processor's first cache holds a few of them only
    and it takes a third longer. (A NaN in a numpy column would be sent as a double.)
    """

    def __init__(self) -> None:
        self._cells = np.empty(0)

    def frame(self, piece: pl.DataFrame) -> Any:
        import pandas as pd

        doubles = [series for series in piece.iter_columns() if series.dtype == pl.Float64 and not series.null_count()]
        matrix = self._matrix(len(doubles), piece.height)
        for row, series in zip(matrix, doubles, strict=True):
            row[:] = series.to_numpy()
        rows = {series.name: row for series, row in zip(doubles, matrix, strict=True)}

        def column(series: pl.Series) -> Any:
            if series.name in rows:
                return rows[series.name]
            return pd.arrays.ArrowExtensionArray(series.to_arrow(compat_level=pl.CompatLevel.oldest()))

        return pd.DataFrame({series.name: column(series) for series in piece.iter_columns()}, copy=False)

    def _matrix(self, columns: int, rows: int) -> npt.NDArray[np.float64]:
        """Room for one frame, the same as for the frame before if it is large enough: fresh memory costs as much as the copying."""
        if self._cells.size < columns * (rows + _APART):
            self._cells = np.empty(columns * (rows + _APART))
        return self._cells[: columns * (rows + _APART)].reshape(columns, rows + _APART)[:, :rows]


def _worth_another_try(error: Exception) -> bool:
    """True if nobody looked at the rows: the connection broke, or nobody answers (yet, after a restart)."""
    from questdb import QuestDBErrorCode as Code

    code = getattr(error, "code", None)
    if code == Code.ProtocolVersionError:
        # A new connection begins with a question to the server; "io" says that it did not get there.
        return "io: " in str(error)
    if code == Code.ServerFlushError:
        # The server's refusals are JSON documents; its own troubles are called internal.
        return '{"code":' not in str(error) or '"internal' in str(error)
    return code in {Code.SocketError, Code.ConnectTimeout, Code.CouldNotResolveAddr}


def wrapped(error: Exception, conf: ClientString) -> ChronosError:
    """The client's error as one of ours, without the client string."""
    from questdb import QuestDBErrorCode

    if _worth_another_try(error):
        return ServiceUnavailableError(
            "QuestDB took no more rows",
            code="questdb_unreachable",
            found=str(error)[:300],
            hint="What was sent stays invisible; run the same command again, it resumes.",
            address=conf.address,
        )
    if getattr(error, "code", None) == QuestDBErrorCode.ConfigError:
        return _conf_invalid(error)
    if getattr(error, "code", None) == QuestDBErrorCode.AuthError:
        return StoreError("QuestDB refused the user, password or token", code="questdb_denied", hint=_WHERE, address=conf.address)
    if "not accepting writes" in str(error):
        return StoreError("QuestDB is read-only and took no rows", code="questdb_read_only", hint=READ_ONLY, address=conf.address)
    return StoreError(
        "QuestDB refused the rows",
        code="questdb_rows_refused",
        found=str(error)[:500],
        hint="Nothing was registered; the log of QuestDB says more.",
        address=conf.address,
    )


def _conf_invalid(error: Exception) -> UsageError:
    return UsageError(
        "the QuestDB client string cannot be used",
        code="questdb_conf_invalid",
        found=str(error)[:300],
        hint=_WHERE,
    )
