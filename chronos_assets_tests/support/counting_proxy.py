"""A TCP proxy that counts round trips and connections, and makes each trip as long as on a network between two places."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class CountingProxy:
    """What passed through: `connections`, and `trips` (words of the client that the server answered, one after the other).

    A burst of the client that the server answers is one trip, however many packets either has. With `delay_seconds` each trip takes that
    long, and opening a connection (the handshake of TCP) once more.
    """

    def __init__(self, target: tuple[str, int], delay_seconds: float) -> None:
        self._target = target
        self._one_way = delay_seconds / 2
        self.port = 0
        self.connections = 0
        self.trips = 0

    def reset(self) -> None:
        """Count from zero again; open connections are not counted."""
        self.connections = self.trips = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, both ways, until either side ends it."""
        self.connections += 1
        await asyncio.sleep(2 * self._one_way)
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        asked = asyncio.Event()
        try:
            await asyncio.gather(
                self._pass_on(reader, there_writer, asked, from_client=True), self._pass_on(there_reader, writer, asked, from_client=False)
            )
        finally:
            writer.close()
            there_writer.close()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, asked: asyncio.Event, *, from_client: bool) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                if from_client:
                    asked.set()
                elif asked.is_set():
                    asked.clear()
                    self.trips += 1
                loop.call_later(self._one_way, _write, sink, data)
        loop.call_later(self._one_way, sink.close)


@contextmanager
def counting_proxy(dsn: str, delay_seconds: float = 0.0) -> Iterator[tuple[str, CountingProxy]]:
    """A proxy before the server of `dsn`, on a free port of the loopback interface; gives the address through it, and the counter."""
    address = urlsplit(dsn)
    proxy = CountingProxy((address.hostname or "127.0.0.1", address.port or 5432), delay_seconds)
    started: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    async def run() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        started.put(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    stop = started.get(timeout=10)
    user = address.netloc.rpartition("@")[0]
    try:
        yield address._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl(), proxy
    finally:
        stop()
        thread.join()


def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
    if not sink.is_closing():
        sink.write(data)
