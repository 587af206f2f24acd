"""What runs, where, and what it costs: the figures behind `chronos services status`. Nothing is started or changed here."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chronos_assets.services import embedded, ports, processes, state
from chronos_assets.services.connections import (
    POSTGRES,
    QUESTDB,
    embeds_questdb,
    mask_url,
    remote_postgres,
    remote_questdb,
)
from chronos_assets.services.embedded import EmbeddedServer
from chronos_assets.services.places import Places
from chronos_assets.services.postgres import EmbeddedPostgres
from chronos_assets.services.questdb import EmbeddedQuestDB
from chronos_assets.services.state import Passwords, ServerRecord
from chronos_assets.settings import Settings
from chronos_assets.storage.client_string import parse_client_string
from chronos_assets.storage.questdb_room import process_use


@dataclass(frozen=True)
class ServiceStatus:
    """One store. `mode` is `embedded` or `remote`; of a remote one only `answers` and `address` are known.

    `rss_bytes` is the resident memory of the main process, `memory_bytes` that of all its processes with shared pages counted once
    (where the system tells; else the sum of what is resident). `open_files` and `memory_maps`, with their limits, are told of QuestDB,
    which opens and maps a file for each column of each year.
    """

    name: str
    mode: str
    running: bool
    answers: bool
    address: str
    version: str | None = None
    pid: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    uptime_seconds: float | None = None
    rss_bytes: int | None = None
    memory_bytes: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    memory_maps: int | None = None
    memory_maps_limit: int | None = None
    data_dir: str | None = None
    data_bytes: int | None = None
    log: str | None = None
    password_file: str | None = None
    os_user: str | None = None
    programs: str | None = None


def status(settings: Settings) -> list[ServiceStatus]:
    """QuestDB and Postgres, in this order."""
    places = Places.of(settings)
    settings = settings.model_copy(update={"postgres_os_user": None})  # who started it counts, not who would start it now
    secrets = state.read_passwords(places.passwords) or Passwords("", "", "")
    questdb = _embedded(EmbeddedQuestDB(settings, places, secrets)) if embeds_questdb(settings) else _remote_questdb(settings)
    postgres = _embedded(EmbeddedPostgres(settings, places, secrets)) if settings.postgres_dsn is None else _remote_postgres(settings)
    return [questdb, postgres]


def _embedded(server: EmbeddedServer) -> ServiceStatus:
    record = state.load_records(server.places.state).get(server.name)
    seen = embedded.running(server)
    process = seen[1] if seen else next(iter(processes.find(server.owns)), None)
    cost = _cost(process) if process else None
    use = {one.what: one for one in process_use(process.pid)} if process and server.name == QUESTDB else {}
    files, maps = use.get("open files"), use.get("memory maps")
    return ServiceStatus(
        name=server.name,
        mode="embedded",
        running=cost is not None,
        answers=seen is not None and server.answer(seen[0]) is embedded.Answer.READY,
        address=_address(server, record),
        version=record.version if record else None,
        pid=process.pid if process and cost else None,
        ports=record.ports if record else {},
        uptime_seconds=cost.uptime_seconds if cost else None,
        rss_bytes=cost.rss_bytes if cost else None,
        memory_bytes=cost.memory_bytes if cost else None,
        open_files=files.used if files else None,
        open_files_limit=files.limit if files else None,
        memory_maps=maps.used if maps else None,
        memory_maps_limit=maps.limit if maps else None,
        data_dir=str(server.data_dir),
        data_bytes=disk_usage(server.data_dir),
        log=str(server.places.log(server.name)),
        password_file=str(server.places.passwords),
        os_user=server.os_user,
        programs=record.programs if record else None,
    )


def _address(server: EmbeddedServer, record: ServerRecord | None) -> str:
    if record is None:
        return ""
    if server.name == QUESTDB:
        return f"http://{ports.LOOPBACK}:{record.ports['http']}"
    return f"postgresql://chronos:***@{ports.LOOPBACK}:{record.ports['sql']}/chronos"


def _remote_questdb(settings: Settings) -> ServiceStatus:
    address = remote_questdb(settings)
    host, _, port = address.http.rpartition(":")
    there = _listens(host, int(port))
    url = f"{parse_client_string(address.conf).read_scheme}://{address.http}"
    return ServiceStatus(QUESTDB, "remote", running=there, answers=there, address=url)


def _remote_postgres(settings: Settings) -> ServiceStatus:
    import psycopg  # only a remote store needs it here

    dsn = remote_postgres(settings)
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
        there = True
    except psycopg.OperationalError:
        there = False
    return ServiceStatus(POSTGRES, "remote", running=there, answers=there, address=mask_url(dsn))


def _listens(host: str, port: int) -> bool:
    import socket  # only a remote store needs it here

    try:
        with socket.create_connection((host.strip("[]"), port), timeout=5):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class _Cost:
    uptime_seconds: float
    rss_bytes: int
    memory_bytes: int


def _cost(process: psutil.Process) -> _Cost | None:
    """What a living process takes; None if it ended meanwhile."""
    try:
        return _Cost(round(time.time() - process.create_time(), 1), process.memory_info().rss, _memory(process))
    except psutil.NoSuchProcess:
        return None


def _memory(process: psutil.Process) -> int:
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            full = member.memory_full_info()
            total += getattr(full, "pss", full.rss)
        except psutil.AccessDenied:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return int(total)


def disk_usage(folder: Path) -> int:
    """Bytes that the files below `folder` take on disk (sparse files count what they take)."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
            except OSError:
                continue
    return total
