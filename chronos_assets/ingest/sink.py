"""The Arrow file: written under a temporary name beside its destination, synced, then renamed. Nothing partial is ever left."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from chronos_assets.errors import ChronosError

# A batch is written column by column, in pieces of some kilobytes: one call to the system for each would cost as much as the copying.
_BUFFER_BYTES = 1 << 20


class ArrowSink:
    """Context that takes frames of one schema; the file appears under `destination` only when the context ends without an error.

    What was written is sent to the disk by a thread, beside the writing, so that the last sync has little left to wait for.
    """

    def __init__(self, destination: Path | None) -> None:
        self._destination = destination
        self._temporary: Path | None = None
        self._file: Any = None
        self._writer: Any = None
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._syncs: list[Future[None]] = []

    def __enter__(self) -> ArrowSink:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append `frame` as one record batch."""
        if self._destination is None:
            return
        table = frame.to_arrow()
        with self._told():
            if self._writer is None:
                self._open(table.schema)
            self._writer.write_table(table)
        if all(sync.done() for sync in self._syncs):
            self._wait()
            self._sync()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """A full or forbidden disk is an error of ours."""
        try:
            yield
        except OSError as error:
            raise ChronosError(
                f"the Arrow file cannot be written: {error.strerror or error}",
                code="write_failed",
                hint="Make room, or set CHRONOS_HOME to another disk.",
                file=str(self._destination),
            ) from error

    def end(self) -> None:
        """No frame follows: write the footer. The file still appears only when the context ends."""
        if self._writer is not None:
            with self._told():
                self._writer.close()
            self._writer = None
            self._sync()

    def _sync(self) -> None:
        self._syncs.append(self._pool.submit(self._send))

    def _wait(self) -> None:
        """Until all that was to be sent is on the disk; the system tells of a failed write once, to whoever syncs next."""
        while self._syncs:
            self._syncs.pop(0).result()

    def _send(self) -> None:
        """Send to the disk what was written so far; runs beside `write`."""
        with self._told():
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def _open(self, schema: Any) -> None:
        import pyarrow as pa

        assert self._destination is not None
        self._destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self._destination.name}.", suffix=".part", dir=self._destination.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "wb", buffering=_BUFFER_BYTES)
        self._writer = pa.ipc.new_file(self._file, schema)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._temporary is None:
            return
        try:
            if kind is None:
                self.end()
                self._wait()
                with self._told():
                    self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            with contextlib.suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        assert self._temporary is not None
        assert self._destination is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with _freed_later(self._destination):
            self._temporary.replace(self._destination)
        folder = os.open(self._destination.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _freed_later(path: Path) -> Iterator[None]:
    """Hold the file at `path` open while it is replaced: the system gives its space back (11 ms for 64 MB) when a thread closes it."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        # There is none, or none that may be read: it is freed at once.
        yield
        return
    try:
        yield
    finally:
        try:
            threading.Thread(target=os.close, args=(held,), name="free-replaced-file", daemon=True).start()
        except RuntimeError:
            # No thread can be had: then here and now.
            os.close(held)


def map_bars(path: Path) -> pl.DataFrame:
    """The bars of an Arrow file, mapped rather than read: memory is taken only for what is looked at."""
    import pyarrow as pa
    import pyarrow.ipc

    frame = pl.from_arrow(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    assert isinstance(frame, pl.DataFrame)
    return frame
