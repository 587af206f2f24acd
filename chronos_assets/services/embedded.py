"""One embedded server, whichever of the two: what its life needs to know about it, whether it runs, and how it is ended.

What differs between QuestDB and Postgres (launch line, how to ask whether it answers, how to stop) is behind `EmbeddedServer`. How
one comes into being is in `launch`. Whatever starts or ends a process is called under the start lock.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import locks, ports, processes, state
from chronos_assets.services.places import Places
from chronos_assets.services.state import ServerRecord
from chronos_assets.settings import Settings

Say = Callable[[str], None]
APPEAR_SECONDS = 5.0


class Answer(enum.Enum):
    """What a server says when it is asked."""

    NONE = "none"
    READY = "ready"
    DENIED = "denied"


class EmbeddedServer(Protocol):
    """What the life of a server needs to know about it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def places(self) -> Places: ...
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def os_user(self) -> str | None: ...
    @property
    def programs(self) -> str | None: ...
    @property
    def password_is_in_data(self) -> bool:
        """Whether the server keeps its password with its data (else each launch gives it)."""

    def preferred_ports(self) -> dict[str, tuple[str, int]]:
        """Per kind of port: the setting that names it, and its value."""

    def options(self) -> dict[str, str]:
        """What else the launch depends on, for the record."""

    def owns(self, process: psutil.Process) -> bool:
        """Whether `process` is this server's main process."""

    def leftovers(self) -> list[psutil.Process]:
        """Further processes on the same data that can outlive the main one."""

    def spawn(self, record: ServerRecord, lock: int, say: Say) -> int:
        """Start the server; returns its process id."""

    def answer(self, record: ServerRecord) -> Answer:
        """Ask the server, with our password."""

    def after_start(self, record: ServerRecord) -> None:
        """What a fresh server still needs (databases); does nothing if it is there already."""

    def reset_password(self, lock: int) -> None:
        """Put our password into the data of a server that does not run."""

    def stop_signals(self) -> list[tuple[signal.Signals, float]]:
        """Signals that stop it, the gentlest first, each with the seconds it may take."""


def running(server: EmbeddedServer) -> tuple[ServerRecord, psutil.Process] | None:
    """The record and process of a server that was seen ready, still lives and still listens; no lock is taken."""
    record = state.load_records(server.places.state).get(server.name)
    if record is None or not record.ready:
        return None
    process = processes.lookup(record.pid, server.owns)
    if process is None or not all(ports.answers(port) for port in record.ports.values()):
        return None
    return record, process


def stop(server: EmbeddedServer) -> bool:
    """End the server and everything left of it; returns whether anything ran."""
    found = settled_processes(server)
    processes.end([p for p in found if server.owns(p)], server.stop_signals())
    rest = [*processes.find(server.owns), *server.leftovers()]
    processes.end(rest, [(signal.SIGTERM, 3.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0)])
    alive = [p.pid for p in (*found, *rest) if processes.is_alive(p)]
    if alive:
        raise ServiceStartError(
            f"{server.title} did not stop", code="stop_failed", found=f"process {alive}", hint="You may not have the right to end it."
        )
    record = state.load_records(server.places.state).get(server.name)
    if record is not None and record.pid is not None:
        state.save_record(server.places.state, replace(record, pid=None, process_started_at=None, ready=False))
    return bool(found)


def settled_processes(server: EmbeddedServer) -> list[psutil.Process]:
    """All processes on this server's data. Where its lock is held and none is seen yet, one is about to appear: wait for it."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [*processes.find(server.owns), *server.leftovers()]
        return bool(found) or not locks.is_locked(server.places.server_lock(server.name))

    if not processes.wait_until(look, APPEAR_SECONDS):
        raise ServiceStartError(
            f"something of {server.title} still runs and cannot be found",
            code="server_lock_held",
            hint="It may run in another container or on another machine that shares this folder; stop it there.",
            lock=server.places.server_lock(server.name),
        )
    return found
