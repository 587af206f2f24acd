"""Which port of the loopback a server listens on: the preferred one if it is free, else one that the system gives."""

from __future__ import annotations

import socket
from collections.abc import Container

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nothing listens on `port` of the loopback, nor on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without this a port that was just given back counts as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not answers(port)


def answers(port: int, *, timeout_seconds: float = 1.0) -> bool:
    """Whether something accepts connections on `port` of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(timeout_seconds)
        return probe.connect_ex((LOOPBACK, port)) == 0


def choose(preferred: int, taken: Container[int] = ()) -> int:
    """`preferred` if it is free and not in `taken`, else a free one."""
    return preferred if preferred not in taken and is_free(preferred) else free(taken)


def free(taken: Container[int] = ()) -> int:
    """A free port that the system gives, none of `taken`."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
