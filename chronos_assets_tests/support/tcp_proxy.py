"""A TCP proxy that cuts a connection at a chosen moment.

Before a word of the client is passed on, right after, in the middle of its answer, or after that.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Literal

Moment = Literal["before", "during", "amid", "after"]


class CuttingProxy:
    """Listens on a free loopback port and passes everything on to `target` until it is armed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed: tuple[bytes, Moment] | None = None
        self._times = 0
        self.bytes_down = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.cuts = 0
        self._threads: list[threading.Thread] = []
        self._closing = False

    def arm(self, word: bytes, moment: Moment, times: int = 1) -> None:
        """Cut the next connections (`times` of them) whose client says `word`. `amid`: half of the first part of the answer passes."""
        with self._lock:
            self._armed, self._times = (word, moment), times

    def disarm(self) -> None:
        """Pass everything on from now on."""
        with self._lock:
            self._armed = None

    def __enter__(self) -> CuttingProxy:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            _shut(one)
        for thread in self._threads:
            thread.join(5)

    def _start(self, work, *arguments) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._open |= {client, server}
            cut_after_answer, cut_amid = threading.Event(), threading.Event()
            self._start(self._upward, client, server, cut_after_answer, cut_amid)
            self._start(self._downward, client, server, cut_after_answer, cut_amid)

    def _upward(self, client: socket.socket, server: socket.socket, cut_after_answer: threading.Event, cut_amid: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                moment = self._hit(data)
                if moment == "before":
                    break
                if moment == "after":
                    cut_after_answer.set()
                if moment == "amid":
                    cut_amid.set()
                server.sendall(data)
                if moment == "during":
                    break
        self._drop(client, server)

    def _downward(self, client: socket.socket, server: socket.socket, cut_after_answer: threading.Event, cut_amid: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if cut_after_answer.is_set():
                    # The server has answered; the client never hears it.
                    break
                if cut_amid.is_set():
                    client.sendall(data[: len(data) // 2])
                    break
                client.sendall(data)
                with self._lock:
                    self.bytes_down += len(data)
        self._drop(client, server)

    def _hit(self, data: bytes) -> Moment | None:
        with self._lock:
            if self._armed is None or self._armed[0] not in data:
                return None
            moment = self._armed[1]
            self._times -= 1
            if self._times <= 0:
                self._armed = None
            self.cuts += 1
            return moment

    def _drop(self, *sockets: socket.socket) -> None:
        for one in sockets:
            _shut(one)
            with self._lock:
                self._open.discard(one)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
