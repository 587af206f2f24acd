"""The process that `support.commands` forks: it has imported what a command uses, and has computed nothing."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from typing import NoReturn

FILES = (
    "chronos_assets.cli.common",
    "chronos_assets.cli.config",
    "chronos_assets.cli.export",
    "chronos_assets.cli.indicators",
    "chronos_assets.cli.inspect",
    "chronos_assets.cli.main",
    "chronos_assets.cli.manifest",
    "chronos_assets.cli.validate",
    "chronos_assets.cli.walkforward",
    "chronos_assets.ingest.reading",
    "chronos_assets.pipeline.upkeep.manifests",
    "chronos_assets.services",
    "chronos_assets.views.documents",
    "numpy.ma",
)
OF_FILES_ONLY = {"inspect", "manifest", "indicators", "config", "init", "services", "--help", "--version"}
DATABASES_AND_DAGSTER = ("chronos_assets.orchestration.preload",)  # what the product itself imports before it forks


def modules_of(program: str, arguments: Sequence[str]) -> list[str]:
    """What the server imports, once, before it forks for this call."""
    only_files = program == "chronos" and (not arguments or arguments[0] in OF_FILES_ONLY or "--rows" in arguments)
    return [*FILES, *(() if only_files else DATABASES_AND_DAGSTER)]


def serve() -> NoReturn:
    """Fork one process after the other, until the line ends."""
    warnings.filterwarnings(
        "ignore", "This process .* is multi-threaded", DeprecationWarning
    )  # the idle threads of OpenBLAS, which it forks well
    with socket.socket(fileno=int(sys.argv[1])) as line:
        while True:
            _, ends, _, _ = socket.recv_fds(line, 1, 3)
            if not ends:
                os._exit(0)
            with socket.socket(fileno=ends[0]) as asking, asking.makefile() as lines:
                request = json.loads(lines.readline())
                for name in request["preload"]:
                    if name not in sys.modules:
                        importlib.import_module(name)
                        gc.freeze()
                if os.fork() == 0:
                    line.close()
                    _execute(_become(asking, request, ends[1:]))
            for end in ends[1:]:
                os.close(end)
            _reap()


def _execute(code: str) -> NoReturn:
    """As `python -c` does, and end as it does, but take no module apart at the end: that alone would cost a fifth of a second."""
    try:
        exec(code, {"__name__": "__main__"})
        status: object = 0
    except SystemExit as end:
        status = end.code or 0
    except Exception as error:
        ours = error.__traceback__
        error.with_traceback(ours and ours.tb_next)  # without the frame of this function
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined] # what the interpreter does first: threads end, then what is registered is called
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def _reap() -> None:
    """Forget the processes that have told how theirs ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(asking: socket.socket, request: dict[str, object], ends: list[int]) -> str:
    """Fork once more: the new process becomes the program, and this one tells how it ends."""
    if (pid := os.fork()) != 0:
        for end in ends:
            os.close(end)
        _tell(asking, pid)
    asking.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, end in enumerate((nothing, *ends)):
        os.dup2(end, number)
        os.close(end)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(str(request["cwd"]))
    if request["umask"] is not None:
        os.umask(int(str(request["umask"])))
    sys.argv = list(request["argv"])
    if request["quiet"]:
        warnings.simplefilter("ignore")
    return str(request["code"])


def _tell(asking: socket.socket, pid: int) -> NoReturn:
    asking.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # who asked may have gone
        asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)
