"""Processes of the embedded servers: start one that outlives us, find it again by its data folder, end it.

A process is ours when its command line names our data folder as its own (or, for children of Postgres, when it works in it). A
number from a file is never enough: it may have been given to somebody else's process since.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psutil

from chronos_assets.errors import ServiceStartError
from chronos_assets.services.places import cannot_write

# The shell puts the server into the background and ends, so the server belongs to init and not to us: it gets no signal meant for
# us, and leaves no zombie in a command that lives long. Before it becomes the server its command line already names the data folder.
_DETACH = '"$@" >&2 & echo $!'
# More open files than the usual limit, if the system lets us; else as many as it does.
_RAISE_FILES = "ulimit -Hn {files} 2>/dev/null; ulimit -Sn $(ulimit -Hn) 2>/dev/null; "
_POLL_SECONDS = 0.05
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH")
_LOG_LIMIT_BYTES = 8 * 1024 * 1024

Owns = Callable[[psutil.Process], bool]


@dataclass(frozen=True)
class OsUser:
    """An account that a server runs as instead of ours."""

    name: str
    uid: int
    gid: int


def spawn_detached(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str],
    lock: int,
    user: OsUser | None = None,
    open_files: int | None = None,
) -> int:
    """Start `command` as a daemon that inherits `lock`; its output goes to `log`. Returns its process id.

    `open_files` raises its limit of open files, as far as the system allows.
    """
    script = _DETACH if open_files is None else _RAISE_FILES.format(files=open_files) + _DETACH
    try:
        rotate(log)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(log, error) from error
    try:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=cwd,
            env=dict(environment),
            pass_fds=(lock,),
            start_new_session=True,
            umask=0o077,
            **as_user(user),
        )
    finally:
        os.close(output)
    answer = shell.communicate()[0].split()
    if not answer:
        raise ServiceStartError("the system does not let us start another process", code="process_refused", log=log)
    return int(answer[0])


class RunAs(TypedDict, total=False):
    """Keywords of `subprocess` that run a command as another user."""

    user: int
    group: int
    extra_groups: list[int]


def as_user(user: OsUser | None) -> RunAs:
    """Keywords of `subprocess` that run a command as `user` (nothing if it is None)."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The few variables a server needs, so that nobody's JAVA_TOOL_OPTIONS, QDB_* or PG* changes ours."""
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | dict(extra)


def owns_folder(folder: Path) -> bool:
    """Whether `folder` belongs to the user that we are."""
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def rotate(log: Path) -> None:
    """Move a log that has grown to `.1`, so that logs stay bounded."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


def find(owns: Owns) -> list[psutil.Process]:
    """Every living process that `owns` says is ours."""
    return [process for process in psutil.process_iter() if is_alive(process) and _safely(owns, process)]


def lookup(pid: int | None, owns: Owns) -> psutil.Process | None:
    """The process `pid` if it lives and is ours."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
    except psutil.Error:
        return None
    return process if is_alive(process) and _safely(owns, process) else None


def is_alive(process: psutil.Process) -> bool:
    """Whether `process` still runs; one that ended and was not yet collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def started_at(process: psutil.Process) -> float | None:
    """When the process began, in seconds since 1970; None if it has ended."""
    try:
        return process.create_time()
    except psutil.Error:
        return None


def listens(process: psutil.Process, wanted: set[int]) -> bool:
    """Whether the process itself listens on all these ports (taken for granted if the system does not tell)."""
    try:
        found = process.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    return wanted <= {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}


def command_line(process: psutil.Process) -> list[str]:
    """The command line, empty if it cannot be read."""
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def folder_of(process: psutil.Process) -> str:
    """The working folder, empty if it cannot be read."""
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return ""


def end(processes: Sequence[psutil.Process], signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn, waiting its seconds for all to end; psutil refuses to signal a number that was given away."""
    for number, seconds in signals:
        for process in processes:
            _send(process, number)
        if wait_until(lambda: not any(is_alive(p) for p in processes), seconds):
            return


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true within `seconds`."""
    for _ in _ticks(seconds):
        if condition():
            return True
    return condition()


def _ticks(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(_POLL_SECONDS)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return  # gone already, or not ours to end: whoever waits for its end sees which


def _safely(owns: Owns, process: psutil.Process) -> bool:
    try:
        return owns(process)
    except psutil.Error:
        return False
