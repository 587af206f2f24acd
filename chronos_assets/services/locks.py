"""Locks between processes, by `flock`.

Two kinds. The start lock is held by a command while it starts or stops servers, so that two commands share one set. A server
lock is inherited by the server it belongs to: the kernel keeps it for as long as any process of that server lives, also one that has
been forked and not yet become the server, and gives it back when the last one is gone, however it died. So "the lock is taken"
means "something of that server runs", even if the command that started it was killed before it could write anything down.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos_assets.errors import ServiceStartError
from chronos_assets.services.places import cannot_write

_POLL_SECONDS = 0.1


def try_lock(path: Path) -> int | None:
    """Take the lock at `path` and return its file descriptor, or None if another process holds it."""
    check_platform()
    import fcntl  # does not exist on every platform, and the message above is clearer than its absence

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise cannot_write(path.parent, error) from error
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock at `path`."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@contextmanager
def start_lock(path: Path, *, timeout_seconds: float, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the start lock; `waiting` is called once if another command holds it. Raises `ServiceStartError` after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    descriptor = try_lock(path)
    if descriptor is None:
        waiting()
    while descriptor is None:
        if time.monotonic() > deadline:
            raise ServiceStartError(
                "another command is starting or stopping the servers and has not finished",
                code="services_busy",
                expected=f"done within {timeout_seconds:.0f} s",
                hint="Look for another `chronos` process; `chronos services status` shows what runs.",
                lock=path,
            )
        time.sleep(_POLL_SECONDS)
        descriptor = try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def check_platform() -> None:
    """Raise `ServiceStartError` on a platform that has no embedded servers."""
    if sys.platform == "win32":
        raise unsupported_platform()


def unsupported_platform() -> ServiceStartError:
    """The one sentence for a platform that has no embedded servers."""
    return ServiceStartError(
        "the embedded servers run on Linux and macOS only",
        code="platform_unsupported",
        found=f"{sys.platform}",
        hint="Point CHRONOS_QUESTDB_CONF and CHRONOS_POSTGRES_DSN at servers elsewhere.",
    )
