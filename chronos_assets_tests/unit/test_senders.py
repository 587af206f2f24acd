"""The threads that send rows: they end when whoever feeds them does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest

from chronos_assets.pipeline.write import frame_rows
from chronos_assets.storage import questdb_write
from chronos_assets.storage.conf import parse_conf


def send(frames: Iterator[pl.DataFrame]) -> None:
    conf = parse_conf("http::addr=127.0.0.1:1;")
    questdb_write.send(conf, frames, table="t", symbols=[], at="timestamp", batch_rows=10, senders=2, progress=None)


@pytest.mark.timeout(20)
def test_an_interruption_while_senders_start_leaves_none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the start of the first sender and that of the second ends the write."""

    class Interrupted(ThreadPoolExecutor):
        started = 0

        def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            if self.started:
                raise KeyboardInterrupt
            self.started += 1
            return super().submit(function, *args, **more)

    monkeypatch.setattr(questdb_write, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        send(iter(()))


@pytest.mark.timeout(20)
def test_an_interruption_while_a_frame_is_made_leaves_none_waiting() -> None:
    """Ctrl-C where the next frame is read ends the write."""

    def frames() -> Iterator[pl.DataFrame]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        send(frames())


@pytest.mark.parametrize(
    ("at_most", "batch_rows", "rows"),
    [(24_096, 2000, 20_000), (24_096, 10_000, 20_000), (24_096, 24_000, 24_000), (998, 300, 900), (998, 999, 998)],
)
def test_no_request_is_cut_short_where_a_frame_ends(at_most: int, batch_rows: int, rows: int) -> None:
    """Frames hold whole slices; whole batches where a slice is too large; and never more than memory is meant to hold."""
    assert frame_rows(at_most, batch_rows) == rows
