"""Keeps a command and everything it starts in one session, and ends all of it when its owner goes away.

`chronos dev` starts it as a process of its own and holds the writing end of a pipe. When that end closes, for whatever reason (a
clean stop, SIGKILL, a closed terminal), the keeper ends its whole session: politely, then firmly. Standard library and psutil only.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from typing import NoReturn

import psutil

# SIGINT first: Dagster's processes and runs unwind cleanly on it
PATIENCE_SECONDS = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_POLL_SECONDS = 0.1


def main() -> NoReturn:
    """`python -m chronos_assets.cli.supervisor PIPE COMMAND...`, as the leader of a session."""
    pipe, command = int(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the pipe and the command's own end decide
    ended, report = os.pipe()
    with subprocess.Popen(command, restore_signals=True, preexec_fn=_default_signals) as child:  # noqa: PLW1509  nothing has threads yet
        threading.Thread(target=_report_end, args=(child, report), daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            selector.select()
        end_session()
        code = child.wait()
    sys.exit(code if code >= 0 else 128 - code)


def end_session() -> None:
    """End every other process of this session."""
    for number, seconds in PATIENCE_SECONDS:
        for process in session_members():
            _signal(process, number)
        deadline = time.monotonic() + seconds
        while any(p.status() != psutil.STATUS_ZOMBIE for p in session_members()):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        else:
            return


def session_members(session: int | None = None) -> list[psutil.Process]:
    """Living processes of `session` (default: this one), this process left out."""
    session = os.getsid(0) if session is None else session
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _session_of(p.pid) == session and _is_living(p)]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _is_living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _report_end(child: subprocess.Popen[bytes], report: int) -> None:
    child.wait()
    os.write(report, b"x")


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
