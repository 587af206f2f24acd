"""Compiles the simulation in a process of its own while a first run starts servers and trains: numba would take as long after the training.

Only if that was not done yet: a note beside numba's own cache says so, and is older than a source that changed since.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronos_assets.pipeline.progress import Progress

DOMAIN = Path(__file__).resolve().parents[1] / "domain"
STAGE = "compile, once"
_COMMAND = ["-m", "chronos_assets.domain.simulation.compile_ahead"]
_POLL_SECONDS = 1.0


class Compiling:
    """Starts the process on entering, if there is something to compile; `wait` before the first simulation."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Compiling:
        if not is_compiled() and os.access(DOMAIN / "simulation", os.W_OK):
            quiet = subprocess.DEVNULL
            self._process = subprocess.Popen([sys.executable, "-P", *_COMMAND], stdin=quiet, stdout=quiet, stderr=quiet)
        return self

    def wait(self, progress: Progress) -> None:
        """Until everything is compiled; if that fails, the simulation compiles for itself and says why it cannot."""
        seconds = 0
        while self._process is not None:
            try:
                if self._process.wait(_POLL_SECONDS) == 0:
                    note().parent.mkdir(exist_ok=True)
                    note().touch()
                self._process = None
            except subprocess.TimeoutExpired:
                seconds += 1
                progress(STAGE, seconds, None, "s")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def is_compiled() -> bool:
    """Whether everything was compiled here since the last change of a source."""
    newest = max(path.stat().st_mtime for path in DOMAIN.rglob("*.py"))
    return note().is_file() and note().stat().st_mtime >= newest


def note() -> Path:
    """The file that says so, for this Python, numba and kind of machine."""
    name = f"compiled_ahead.{sys.implementation.cache_tag}.numba-{version('numba')}.{platform.machine()}"
    return DOMAIN / "simulation" / "__pycache__" / name
