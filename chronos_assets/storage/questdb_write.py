"""Rows into QuestDB by ILP: frames cast to the table's types, sent in batches by one or more senders, again where in doubt.

Over HTTP a batch is acknowledged (it is in the WAL). Over TCP nothing is; only reading back proves delivery. An error while
flushing leaves it open what arrived, so the slice is sent again: the table's DEDUP keys keep one copy.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from chronos_assets.errors import ChronosError, ServiceUnavailableError, StoreError, UsageError
from chronos_assets.storage.conf import ClientConf, Transport

RowsWritten = Callable[[int], None]
RETRY_SECONDS = 60.0
SLICE_ROWS = 10_000
# A sender is stopped between two slices; more requests than this in one would keep a Ctrl-C waiting where batches are tiny.
SLICE_BATCHES = 20


@dataclass(frozen=True)
class WriteResult:
    """What one write did: rows sent, how, how long, and how many slices had to be sent again."""

    rows: int
    transport: Transport
    senders: int
    batch_rows: int
    seconds: float
    resent_slices: int = 0

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds > 0 else 0.0


@dataclass
class _Job:
    """State that the senders of one write share."""

    conf: ClientConf
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


def check_conf(conf: ClientConf) -> None:
    """Raise `UsageError` where the client would not take the string; nothing is connected to."""
    from questdb import QuestDBError, Sender

    try:
        Sender.from_conf(conf.for_batches(1)).close()
    except (QuestDBError, ValueError, OverflowError) as error:
        raise _conf_invalid(error) from None


def slice_rows(batch_rows: int) -> int:
    """Rows handed to a sender at once: whole batches, enough to keep it busy and few enough to keep all of them busy."""
    return batch_rows * min(SLICE_BATCHES, max(1, SLICE_ROWS // batch_rows))


def slices(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut frames into pieces of at most `rows` rows; no piece spans two frames."""
    for frame in frames:
        for start in range(0, frame.height, rows):
            yield frame.slice(start, rows)


def send(
    conf: ClientConf,
    frames: Iterable[pl.DataFrame],
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
    _send_in_threads(job, slices(frames, slice_rows(batch_rows)), senders)
    return WriteResult(job.rows, conf.transport, senders, batch_rows, time.monotonic() - started, job.resent)


def _send_in_threads(job: _Job, pieces: Iterator[pl.DataFrame], senders: int) -> None:
    """Feed `senders` threads from one short queue, so that memory holds a few slices whatever the file's size."""
    waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=senders)

    def work() -> None:
        try:
            _send_all(job, _taken(waiting, job))
        finally:
            if sys.exc_info()[0] is not None:
                job.stop.set()

    with ThreadPoolExecutor(senders, thread_name_prefix="questdb-sender") as pool:
        # An interruption can arrive at any line here, and leaving the pool waits for senders that nobody feeds any more: whatever
        # it cuts short, `stop` is set.
        try:
            futures = [pool.submit(work) for _ in range(senders)]
            for piece in itertools.chain(pieces, itertools.repeat(None, senders)):
                if not _put(waiting, piece, job):
                    break
        except BaseException:
            job.stop.set()
            raise
    for future in futures:
        future.result()


def _put(waiting: queue.Queue[pl.DataFrame | None], piece: pl.DataFrame | None, job: _Job) -> bool:
    while not job.stop.is_set():
        try:
            waiting.put(piece, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _taken(waiting: queue.Queue[pl.DataFrame | None], job: _Job) -> Iterator[pl.DataFrame]:
    """Pieces from the queue until this sender's end mark comes, or another sender failed."""
    while not job.stop.is_set():
        try:
            piece = waiting.get(timeout=0.05)
        except queue.Empty:
            continue
        if piece is None:
            return
        yield piece


def _send_all(job: _Job, pieces: Iterator[pl.DataFrame]) -> None:
    """One sender's work: a connection kept over all its slices, renewed after an error."""
    connection = _Connection(job)
    try:
        for piece in pieces:
            if job.stop.is_set():
                break
            _send_in_doubt(job, connection, piece)
            job.sent(piece.height)
    except BaseException:
        connection.drop()
        raise
    connection.close()


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
        self._sender: object | None = None

    def send(self, piece: pl.DataFrame) -> None:
        from questdb import Sender

        if self._sender is None:
            sender = Sender.from_conf(self._job.conf.for_batches(self._job.batch_rows))
            sender.establish()  # type: ignore[no-untyped-call]  # the client's stubs leave it out
            self._sender = sender
        frame = piece.to_pandas(use_pyarrow_extension_array=True)
        self._sender.dataframe(frame, table_name=self._job.table, symbols=list(self._job.symbols), at=self._job.at)  # type: ignore[attr-defined]  # the client publishes no types
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


def _worth_another_try(error: Exception) -> bool:
    """True where nobody looked at the rows: the connection broke, or nobody answers (yet, after a restart)."""
    from questdb import QuestDBErrorCode as Code

    code = getattr(error, "code", None)
    if code == Code.ProtocolVersionError:
        # A new connection begins with a question to the server; "io" says that it did not get there.
        return "io: " in str(error)
    if code == Code.ServerFlushError:
        # The server's refusals are JSON documents; its own troubles are called internal.
        return '{"code":' not in str(error) or '"internal' in str(error)
    return code in {Code.SocketError, Code.ConnectTimeout, Code.CouldNotResolveAddr}


def wrapped(error: Exception, conf: ClientConf) -> ChronosError:
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
    return StoreError("QuestDB refused the rows", code="questdb_rows_refused", found=str(error)[:500], address=conf.address)


def _conf_invalid(error: Exception) -> UsageError:
    return UsageError(
        "the QuestDB client string cannot be used",
        code="questdb_conf_invalid",
        found=str(error)[:300],
        hint="Check that option in CHRONOS_QUESTDB_CONF, or --questdb.",
    )
