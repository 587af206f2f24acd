"""The set of servers as a whole: connect, start, stop.

A store that the settings place elsewhere is left alone; the others are embedded, shared by every command with the same home, and keep
running until `stop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chronos_assets.errors import ServiceStartError, ServiceUnavailableError
from chronos_assets.services import embedded, jar, locks, start_cache, state
from chronos_assets.services.connections import (
    POSTGRES,
    QUESTDB,
    Connections,
    embeds_questdb,
    remote_postgres,
    remote_questdb,
    through_listener,
)
from chronos_assets.services.embedded import Answer, EmbeddedServer, Say
from chronos_assets.services.launch import Launch
from chronos_assets.services.places import Places
from chronos_assets.services.postgres import EmbeddedPostgres, embedded_dsn
from chronos_assets.services.questdb import EmbeddedQuestDB, embedded_questdb
from chronos_assets.services.state import Passwords, ServerRecord
from chronos_assets.settings import Settings, remember_home
from chronos_assets.storage.restoring import require_whole


def connect(
    settings: Settings, *, start: bool = True, progress: Say | None = None, meanwhile: Callable[[], object] | None = None
) -> Connections:
    """Addresses of both stores; embedded ones are started if they do not run, and `meanwhile` is called while they boot.

    With `start=False` nothing is started: `ServiceUnavailableError` if an embedded store does not run. Raises `RefusedError` for a home
    that is half restored.
    """
    require_whole(settings.home)
    _check_remote(settings)
    found = _running_records(settings)
    if found is not None:
        return _connections(settings, *found)
    if start:
        return start_servers(settings, progress, meanwhile=meanwhile)
    raise ServiceUnavailableError(
        "the embedded servers do not run", code="services_not_running", hint="`chronos services start` starts them.", home=settings.home
    )


def start_servers(
    settings: Settings,
    progress: Say | None = None,
    *,
    durable: bool = True,
    restoring: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> Connections:
    """Start the embedded servers that do not run yet, call `meanwhile` while they boot, and wait until they answer.

    Raises `ServiceStartError`, or what `meanwhile` raises, with nothing of this attempt left running. `durable=False` is for tests: no
    fsync, quick to start. `restoring`: the caller is the restore that a home is not whole without.
    """
    say = progress or _silent
    if not restoring:
        require_whole(settings.home)
    _check_remote(settings)
    found = _running_records(settings, ask=True)
    if found is not None:
        _tell_of_other_options(settings, *found, say)
        return _connections(settings, *found)
    places = Places.of(settings)
    places.create()
    remember_home(settings)
    with _start_lock(settings, places, say):
        secrets = state.passwords(places.passwords)
        servers = _embedded(settings, places, secrets, durable=durable)
        records = _ensure_all(servers, say, meanwhile)
    if durable and QUESTDB in records:
        start_cache.make_in_background(jar.place(settings), settings.cache, settings.questdb_memory)
    return _connections(settings, records, secrets)


def stop_servers(settings: Settings, progress: Say | None = None) -> list[str]:
    """Stop the embedded servers and whatever is left of them; the names of those that ran."""
    places = Places.of(settings)
    if not places.folder.is_dir():
        return []
    settings = settings.model_copy(update={"postgres_os_user": None})  # who started it counts, not who would start it now
    with _start_lock(settings, places, progress or _silent):
        secrets = state.read_passwords(places.passwords) or Passwords("", "", "")
        # Both, whatever the settings say now: they may have been embedded when they were started.
        servers: tuple[EmbeddedServer, ...] = (EmbeddedQuestDB(settings, places, secrets), EmbeddedPostgres(settings, places, secrets))
        ran, errors = [], []
        for server in servers:
            try:
                ran += [server.name] if embedded.stop(server) else []
            except ServiceStartError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return ran


def _check_remote(settings: Settings) -> None:
    """Refuse a malformed address before anything is started for the other store."""
    if not embeds_questdb(settings):
        remote_questdb(settings)
    if settings.postgres_dsn is not None:
        remote_postgres(settings)


def _embedded(settings: Settings, places: Places, secrets: Passwords, *, durable: bool = True) -> list[EmbeddedServer]:
    servers: list[EmbeddedServer] = []
    if embeds_questdb(settings):
        servers.append(EmbeddedQuestDB(settings, places, secrets, durable=durable))
    if settings.postgres_dsn is None:
        servers.append(EmbeddedPostgres(settings, places, secrets, durable=durable))
    return servers


def _ensure_all(servers: list[EmbeddedServer], say: Say, meanwhile: Callable[[], object] | None) -> dict[str, ServerRecord]:
    """Launch all, then wait for all, so that one boots while the other does. What this call launched is stopped if one fails."""
    launches = [Launch(server, say) for server in servers]
    try:
        for launch in launches:
            launch.begin()
        if meanwhile is not None:
            meanwhile()
        return {launch.server.name: launch.finish() for launch in reversed(launches)}
    except BaseException:
        for launch in launches:
            launch.abandon()
        raise


def _running_records(settings: Settings, *, ask: bool = False) -> tuple[dict[str, ServerRecord], Passwords] | None:
    """Records of every embedded server where all of them run (and, with `ask`, let us in); no lock is taken."""
    if not embeds_questdb(settings) and settings.postgres_dsn is not None:
        return {}, Passwords("", "", "")
    places = Places.of(settings)
    secrets = state.read_passwords(places.passwords)
    if secrets is None:
        return None
    records = {}
    for server in _embedded(settings, places, secrets):
        seen = embedded.running(server)
        if seen is None or (ask and server.answer(seen[0]) is not Answer.READY):
            return None
        records[server.name] = seen[0]
    return records, secrets


def _connections(settings: Settings, records: dict[str, ServerRecord], secrets: Passwords) -> Connections:
    if QUESTDB in records:
        questdb = through_listener(embedded_questdb(records[QUESTDB], secrets), settings, records[QUESTDB].ports.get("ilp"))
    else:
        questdb = remote_questdb(settings)
    dsn = embedded_dsn(records[POSTGRES], secrets) if POSTGRES in records else remote_postgres(settings)
    pid = records[QUESTDB].pid if QUESTDB in records else None
    return Connections(questdb.conf, questdb.http, questdb.user, questdb.password, dsn, frozenset(records), pid)


def _tell_of_other_options(settings: Settings, records: dict[str, ServerRecord], secrets: Passwords, say: Say) -> None:
    for server in _embedded(settings, Places.of(settings), secrets):
        if server.options() != records[server.name].options:
            say(f"{server.title} runs with other settings than the present ones; `chronos services stop`, then start, applies them")


@contextmanager
def _start_lock(settings: Settings, places: Places, say: Say) -> Iterator[None]:
    timeout = 2 * settings.start_timeout_seconds + 60
    waiting = "another command is starting or stopping the servers; waiting for it"
    with locks.start_lock(places.start_lock, timeout_seconds=timeout, waiting=lambda: say(waiting)):
        yield


def _silent(line: str) -> None:
    return None
