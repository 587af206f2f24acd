"""The three programs, each call a process of its own, without the second that each spends on importing.

    done = run_program("runs", "list", env=environment)  # as a user types `chronos runs list`
    done = run_program("btc_4h_v1", program="export", env=environment)

The first call starts a server that imports what the commands use and computes nothing; each call forks it. So every call has arguments,
environment, folder, streams, exit code and end of an interpreter of its own. A test that asks how a program starts, what it imports or
what a signal does to it starts a new interpreter: `subprocess` with `command_line`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from chronos_assets_tests.support import command_server

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "chronos": "import sys; sys.argv[0] = 'chronos'; from chronos_assets.cli.main import main; main()",
    "export": "import sys; sys.argv[0] = 'chronosflow_export'; from chronos_assets.cli.export import main; main()",
    "validate": "import sys; sys.argv[0] = 'validate_dataset'; from chronos_assets.cli.validate import main; main()",
}
# What the interpreter and libraries read while they are loaded, so that a fork cannot follow a change.
READ_AT_START = ("PYTHON", "LD_", "MALLOC", "OMP_", "NUMBA_", "OPENBLAS", "MKL_", "LC_", "LANG")
_one_at_a_time = threading.Lock()
_servers: list[socket.socket] = []


def command_line(*arguments: str, program: str = "chronos", quiet: bool = False) -> list[str]:
    """What starts `program` in a new interpreter; `quiet` leaves warnings out, as an installed program does."""
    return [sys.executable, *(["-W", "ignore"] if quiet else []), "-c", PROGRAMS[program], *arguments]


def run_program(
    *arguments: str,
    env: Mapping[str, str],
    program: str = "chronos",
    cwd: Path | None = None,
    quiet: bool = False,
    umask: int | None = None,
    timeout: float = 600,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run(command_line(...), capture_output=True, text=True, ...)`.

    It is that, in place of a fork, if `env` has what is read at start, or the system does not fork well what has imported so much.

    Raises `subprocess.TimeoutExpired`, and with `check` `subprocess.CalledProcessError`.
    """
    command = command_line(*arguments, program=program, quiet=quiet)
    if sys.platform != "linux" or _read_at_start(env) != _read_at_start(os.environ):
        own = -1 if umask is None else umask
        return subprocess.run(
            command, env=env, cwd=cwd, umask=own, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=check
        )
    request = {
        "code": PROGRAMS[program],
        "argv": ["-c", *arguments],
        "env": dict(env),
        "cwd": str(cwd or Path.cwd()),
        "quiet": quiet,
        "umask": umask,
        "preload": command_server.modules_of(program, arguments),
    }
    status, out, err = _forked(request, command, timeout)
    if check and status:
        raise subprocess.CalledProcessError(status, command, out, err)
    return subprocess.CompletedProcess(command, status, out, err)


def _forked(request: Mapping[str, object], command: list[str], timeout: float) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the forked process."""
    ours, theirs = socket.socketpair()
    said = [b"", b""]
    pipes = [os.pipe(), os.pipe()]
    readers = [threading.Thread(target=_read, args=(said, place, end)) for place, (end, _) in enumerate(pipes)]
    with ours, ours.makefile() as answers:
        with theirs, _one_at_a_time:
            socket.send_fds(_server(), [b"r"], [theirs.fileno(), *(end for _, end in pipes)])
        for _, end in pipes:
            os.close(end)
        ours.sendall(json.dumps(request).encode() + b"\n")
        for reader in readers:
            reader.start()
        pid = int(answers.readline())
        ours.settimeout(timeout)
        try:
            status = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            ours.settimeout(None)
            ours.recv(64)  # how it ended: from then on it is gone
            raise subprocess.TimeoutExpired(command, timeout, *said) from None
        finally:
            for reader in readers:
                reader.join()
    out, err = (text.decode() for text in said)
    return status, out, err


def _read_at_start(environment: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(name, value) for name, value in environment.items() if name.startswith(READ_AT_START)}


def _read(said: list[bytes], place: int, end: int) -> None:
    with os.fdopen(end, "rb") as stream:
        said[place] = stream.read()


def _server() -> socket.socket:
    """The line to this process's server, which is started if it is not there yet; the line's end is the server's end."""
    if not _servers:
        ours, theirs = socket.socketpair()
        with theirs:
            serve = command_server.serve
            code = f"from {serve.__module__} import {serve.__name__}; {serve.__name__}()"
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(_end, process, ours)
        _servers.append(ours)
    return _servers[0]


def _end(process: subprocess.Popen[bytes], line: socket.socket) -> None:
    line.close()
    process.wait()
