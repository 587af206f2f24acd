"""How an embedded server comes into being: adopted if it runs already, else spawned, then waited for.

Everything here is called under the start lock. A record with the ports is written before the process exists, and the process inherits
the server's lock, so whoever comes after a command that was killed half-way finds either nothing or all it needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import psutil

from chronos_assets.errors import ChronosError, ServiceStartError
from chronos_assets.services import locks, ports, processes, state
from chronos_assets.services.embedded import APPEAR_SECONDS, Answer, EmbeddedServer, Say, running, settled_processes, stop
from chronos_assets.services.places import FREE_BYTES_NEEDED
from chronos_assets.services.state import ServerRecord

_ATTEMPTS = 4


@dataclass
class Launch:
    """One attempt to have `server` running. `spawned` says whether this attempt brought a process into being."""

    server: EmbeddedServer
    say: Say
    spawned: bool = False
    _record: ServerRecord | None = field(default=None, init=False)

    def begin(self) -> None:
        """Adopt the server if it runs, else spawn it."""
        seen = running(self.server)
        if seen is not None and self.server.answer(seen[0]) is Answer.READY:
            self._record = seen[0]
        elif (adopted := _adopt(self.server, self.say)) is not None:
            self._record = adopted
        else:
            self._spawn(frozenset())

    def finish(self) -> ServerRecord:
        """Wait until the server answers; returns its record."""
        assert self._record is not None
        taken: frozenset[int] = frozenset()
        for _ in range(_ATTEMPTS):
            if self._record.ready:
                return self._record
            taken |= self._wait(self._record)
        stop(self.server)
        raise _start_failed(self.server, "ended right after its start")

    def abandon(self) -> None:
        """Leave nothing running that this attempt spawned."""
        if self.spawned:
            with contextlib.suppress(ChronosError, OSError, psutil.Error):
                stop(self.server)

    def _wait(self, record: ServerRecord) -> frozenset[int]:
        """Wait for one spawned process. Where it ended for want of a port, spawn the next one and return the ports that it lost."""
        server = self.server
        process = processes.lookup(record.pid, lambda _: True)
        final = {Answer.READY, Answer.DENIED} if server.password_is_in_data else {Answer.READY}
        answer = Answer.NONE if process is None else _wait_answer(server, record, process, final)
        if answer is Answer.READY and process is not None:
            self._record = _remember_ready(server, record, process)
            return frozenset()
        if answer is Answer.DENIED:
            self.say(f"giving {server.title} a new password: the file that held the old one is gone")
            stop(server)
            with _server_lock(server) as lock:
                server.reset_password(lock)
            self._spawn(frozenset())
            return frozenset()
        if process is not None and processes.is_alive(process):
            stop(server)
            raise _start_failed(server, f"did not answer within {server.settings.start_timeout_seconds:.0f} s")
        lost = frozenset(port for port in record.ports.values() if not ports.is_free(port))
        if not lost:
            raise _start_failed(server, "ended right after its start")
        self._spawn(lost)
        return lost

    def _spawn(self, taken: frozenset[int]) -> None:
        self.spawned = True
        self._record = _spawn(self.server, self.say, taken=taken)


def _adopt(server: EmbeddedServer, say: Say) -> ServerRecord | None:
    """Take over what already runs on our data; ends what cannot be taken over. None if nothing runs (any more)."""
    found = settled_processes(server)
    main = [p for p in found if server.owns(p)]
    record = state.load_records(server.places.state).get(server.name)
    if len(main) == 1 and record is not None and record.ports:
        say(f"{server.title} already runs (process {main[0].pid}); waiting for it to answer")
        answer = _wait_answer(server, record, main[0], {Answer.READY, Answer.DENIED})
        if answer is Answer.READY:
            return _remember_ready(server, record, main[0])
        if answer is Answer.NONE and record.ready and processes.is_alive(main[0]):
            raise ServiceStartError(
                f"{server.title} runs (process {main[0].pid}) but does not answer",
                code="server_unresponsive",
                hint="`chronos services stop` ends it; then start again.",
                log=server.places.log(server.name),
            )
    if found:
        say(f"ending what was left of {server.title}")
        stop(server)
    return None


@contextlib.contextmanager
def _server_lock(server: EmbeddedServer) -> Iterator[int]:
    """The lock that the server inherits; ours is closed again once the server has it."""
    path = server.places.server_lock(server.name)
    taken: list[int] = []

    def take() -> bool:
        descriptor = locks.try_lock(path)
        if descriptor is not None:
            taken.append(descriptor)
        return descriptor is not None

    if not processes.wait_until(take, APPEAR_SECONDS):
        raise ServiceStartError(f"something of {server.title} still runs on its data", code="server_lock_held", folder=server.data_dir)
    try:
        yield taken[0]
    finally:
        os.close(taken[0])


def _spawn(server: EmbeddedServer, say: Say, *, taken: frozenset[int]) -> ServerRecord:
    record = ServerRecord(
        name=server.name,
        version=server.version,
        data_dir=str(server.data_dir),
        ports=_choose_ports(server, say, taken),
        os_user=server.os_user,
        programs=server.programs,
        options=server.options(),
    )
    with _server_lock(server) as lock:
        # Written before the process exists, so that whoever finds the process knows its ports.
        state.save_record(server.places.state, record)
        pid = server.spawn(record, lock, say)
    process = processes.lookup(pid, lambda _: True)
    record = replace(record, pid=pid, process_started_at=processes.started_at(process) if process else None)
    state.save_record(server.places.state, record)
    return record


def _choose_ports(server: EmbeddedServer, say: Say, taken: frozenset[int]) -> dict[str, int]:
    """A setting that was given wins over the port of last time, which wins over the default; if it is in use, a free one."""
    last = state.load_records(server.places.state).get(server.name)
    chosen: dict[str, int] = {}
    for kind, (setting, value) in server.preferred_ports().items():
        given = setting in server.settings.model_fields_set
        wanted = value if given or last is None else last.ports.get(kind, value)
        chosen[kind] = ports.choose(wanted, {*taken, *chosen.values()})
        if chosen[kind] != wanted:
            say(f"port {wanted} is in use; {server.title} takes {chosen[kind]} ({kind})")
    return chosen


def _wait_answer(server: EmbeddedServer, record: ServerRecord, process: psutil.Process, final: set[Answer]) -> Answer:
    """Ask until the answer is one of `final`, the process has ended, or the time is over (then `Answer.NONE`)."""
    deadline = time.monotonic() + server.settings.start_timeout_seconds
    while processes.is_alive(process) and time.monotonic() < deadline:
        answer = server.answer(record)
        # Another program may have been quicker to take the port, and answer to anybody.
        if answer in final and (answer is Answer.DENIED or processes.listens(process, set(record.ports.values()))):
            return answer
        time.sleep(0.05)
    return Answer.NONE


def _remember_ready(server: EmbeddedServer, record: ServerRecord, process: psutil.Process) -> ServerRecord:
    server.after_start(record)
    ready = replace(record, pid=process.pid, process_started_at=processes.started_at(process), ready=True)
    state.save_record(server.places.state, ready)
    return ready


def _start_failed(server: EmbeddedServer, what: str) -> ServiceStartError:
    log = server.places.log(server.name)
    last: Sequence[str] = processes.tail(log).splitlines()
    no_room = shutil.disk_usage(server.places.home).free < FREE_BYTES_NEEDED
    full = no_room or any("No space left on device" in line for line in last)
    return ServiceStartError(
        f"the disk is full: {server.title} {what}" if full else f"{server.title} {what}",
        code="disk_full" if full else "server_start_failed",
        hint="\n".join([f"The end of its log ({log}):", *last]) if last else f"Its log is {log}.",
    )
