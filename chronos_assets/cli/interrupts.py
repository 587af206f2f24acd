"""Ctrl-C and SIGTERM: whatever code they meet, the command ends as they ask.

Python raises a signal's exception wherever the main thread happens to be. Inside a callback of a compiled library it can be dropped there
("Exception ignored in ...") or come out as another error. So the signal itself is remembered: an error after it counts as the
interruption, and a dropped one is sent again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import NoReturn

INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM
AGAIN_SECONDS = 0.5

_asked: list[int] = []


def listen() -> None:
    """Turn SIGTERM into the same clean unwinding as Ctrl-C; a process that was started with Ctrl-C ignored keeps ignoring it."""
    signal.signal(signal.SIGTERM, _raise)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)
    sys.unraisablehook = _unraisable


def exit_code_asked() -> int | None:
    """130 after Ctrl-C, 143 after SIGTERM, None if nobody asked this process to end."""
    if not _asked:
        return None
    return INTERRUPTED if _asked[-1] == signal.SIGINT else TERMINATED


def _raise(signum: int, frame: object) -> NoReturn:
    _asked.append(signum)
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(TERMINATED)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Send the signal again where its exception was dropped; everything else is shown as ever."""
    if not _asked or not issubclass(unraisable.exc_type, (KeyboardInterrupt, SystemExit)):
        sys.__unraisablehook__(unraisable)
        return
    again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), _asked[-1]))
    again.daemon = True
    again.start()
