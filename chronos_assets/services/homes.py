"""Every home of this user that has running servers: found by the processes themselves, since a home may be anywhere."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from chronos_assets.project_home import project_of
from chronos_assets.services import processes
from chronos_assets.services.embedded import EmbeddedServer, Say
from chronos_assets.services.places import Places
from chronos_assets.services.postgres import EmbeddedPostgres
from chronos_assets.services.postgres_user import HOME_NOTE
from chronos_assets.services.questdb import EmbeddedQuestDB
from chronos_assets.services.state import Passwords
from chronos_assets.services.workplace import stop_servers
from chronos_assets.settings import Settings

_DATA_OPTIONS = ("-d", "-D")  # QuestDB's and Postgres' own


@dataclass(frozen=True)
class RunningHome:
    """A home with servers that run. `project` is where its checkout was last seen, None if nobody wrote it down."""

    home: Path
    project: Path | None
    servers: dict[str, int]
    """Process id of each server, by name."""


def running_homes(settings: Settings) -> list[RunningHome]:
    """Homes that belong to this user and have a running server, by path; the one of `settings` among them."""
    if sys.platform == "win32":
        return []  # nothing embedded runs there
    found = []
    for home in sorted(set(_candidates())):
        servers = {server.name: process.pid for server in _servers(settings, home) for process in processes.find(server.owns)[:1]}
        if servers:
            found.append(RunningHome(home, project_of(home), servers))
    return found


def stop_all(settings: Settings, progress: Say | None = None) -> dict[Path, list[str]]:
    """Stop the servers of every home of this user; the names of those that ran, by home."""
    return {one.home: stop_servers(at(settings, one.home), progress) for one in running_homes(settings)}


def at(settings: Settings, home: Path) -> Settings:
    """These settings for another home, whose servers are embedded."""
    return settings.model_copy(update={"home": home, "postgres_os_user": None})


def _servers(settings: Settings, home: Path) -> tuple[EmbeddedServer, ...]:
    there = at(settings, home)
    places, nobody = Places.of(there), Passwords("", "", "")
    return EmbeddedQuestDB(there, places, nobody), EmbeddedPostgres(there, places, nobody)


def _candidates() -> Iterator[Path]:
    """Homes that the command lines of running processes lead to, and that are ours."""
    for process in psutil.process_iter():
        words = processes.command_line(process)
        for option, value in itertools.pairwise(words):
            home = _home_of(Path(value)) if option in _DATA_OPTIONS and value.startswith("/") else None
            if home is not None and processes.owns_folder(home):
                yield home


def _home_of(data: Path) -> Path | None:
    """The home that a data folder belongs to: two kinds lie below it, one elsewhere with a note of where it is."""
    for home in (data.parent, data.parent.parent):
        if Places(home).state.is_file():
            return home
    try:
        noted = Path((data.parent.parent / HOME_NOTE).read_text(encoding="utf-8").strip())
    except OSError:
        return None
    return noted if Places(noted).state.is_file() else None
