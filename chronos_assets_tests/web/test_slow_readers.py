"""A series is read no faster than it is taken: a reader that stops costs one piece, and one that goes ends the reading."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from fastapi import FastAPI, Request

from chronos_assets.views.series import Series
from chronos_assets.web.series import Format, series_answer

ROWS = 1_000


class Source:
    """An endless series that counts the pieces that were taken of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = False

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Pieces without end."""
        try:
            while True:
                self.taken += 1
                yield pl.DataFrame({"timestamp_unix": range(ROWS), "value": [float(self.taken)] * ROWS})
        finally:
            self.closed = True


@pytest.mark.parametrize("kind", ["arrow", "parquet", "csv", "json"])
def test_a_reader_that_stops_stops_the_series(kind: Format) -> None:
    """While the reader takes nothing, no further piece is read; when it has gone, the series is closed."""
    source = Source()

    async def ask() -> None:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": [], "app": FastAPI()}
        answer = series_answer(Request(scope), Series(ROWS, source.pieces), kind, name="x", etag='W/"x"', completed=True)
        sent, stopped = 0, asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            nonlocal sent
            sent += len(message.get("body", b""))
            if sent > 100_000:
                stopped.set()
                await asyncio.Event().wait()  # the reader's window is full

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(answer(scope, receive, send))
        await asyncio.wait_for(stopped.wait(), 30)
        read = source.taken
        for _ in range(50):
            await asyncio.sleep(0)
        assert source.taken == read
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(ask())
    assert source.taken < 200
