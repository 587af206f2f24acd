"""Both stores and the artifacts, opened together and ready to use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chronos_assets.settings import Settings, remember_home
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets.storage.artifacts_owner import require_own_place
from chronos_assets.storage.compaction import finish_swap
from chronos_assets.storage.migrate import migrate, newest_version
from chronos_assets.storage.pooling import require_sessions
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.privacy import private_home
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_http import SWAP_SECONDS
from chronos_assets.storage.questdb_tables import OLD, READY, TABLES
from chronos_assets.storage.table_locks import alone_with


class ConnectionsLike(Protocol):
    """Addresses of both servers; what `services.connect` gives, or anything with the same attributes."""

    @property
    def questdb_conf(self) -> str: ...
    @property
    def questdb_http(self) -> str: ...
    @property
    def questdb_user(self) -> str | None: ...
    @property
    def questdb_password(self) -> str | None: ...
    @property
    def questdb_pid(self) -> int | None: ...
    @property
    def postgres_dsn(self) -> str: ...


@dataclass(frozen=True)
class Stores:
    """Where datasets, runs and simulations are kept."""

    questdb: QuestDB
    postgres: Postgres
    artifacts: ArtifactStore
    settings: Settings


def open_questdb(connections: ConnectionsLike) -> QuestDB:
    """QuestDB with all tables in place; raises `StoreError` if one has another shape."""
    questdb = QuestDB(
        connections.questdb_conf,
        connections.questdb_http,
        connections.questdb_user,
        connections.questdb_password,
        pid=connections.questdb_pid,
    )
    for spec in TABLES:
        questdb.ensure_table(spec)
    return questdb


def open_stores(connections: ConnectionsLike, settings: Settings, say: Callable[[str], object] | None = None) -> Stores:
    """Open both stores: migrates Postgres and creates the QuestDB tables. Idempotent, and safe in many processes at once.

    `say` is told that the registry of an older version was brought forward. Raises `UsageError` if a pooler before a remote Postgres would
    let no lock hold, and `ConflictError` if `artifacts` names a place of another registry.
    """
    postgres = Postgres(connections.postgres_dsn)
    with postgres.connection():  # the first one finds out about schema and pooler
        pass
    if settings.postgres_dsn is not None:
        require_sessions(postgres)
    before, newest = postgres.schema_version, newest_version()
    if before != newest:
        migrate(postgres)
        if before is not None and say is not None:
            say(f"the registry of an older version was brought forward, from schema {before} to {newest}")
    private_home(settings.home)
    remember_home(settings)
    settings.artifacts_dir.mkdir(exist_ok=True)
    finish_swaps(connections, postgres)
    artifacts = open_artifacts(settings)
    if settings.artifacts is not None:
        require_own_place(artifacts, postgres)
    return Stores(open_questdb(connections), postgres, artifacts, settings)


def finish_swaps(connections: ConnectionsLike, postgres: Postgres) -> None:
    """Wait for a table that is being swapped for its compacted copy, or finish the swap of a process that was killed.

    A table that is missing must not be created empty in its place.
    """
    questdb = QuestDB(connections.questdb_conf, connections.questdb_http, connections.questdb_user, connections.questdb_password)
    there = questdb.table_names()
    for spec in TABLES:
        beside = {f"{spec.name}{OLD}", f"{spec.name}{READY}"}
        if beside <= there or (spec.name not in there and beside & there):
            with alone_with(postgres, spec.name, wait_seconds=SWAP_SECONDS):
                finish_swap(questdb, spec.name)
