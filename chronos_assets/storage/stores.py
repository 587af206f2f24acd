"""Both stores and the folder of artifacts, opened together and ready to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chronos_assets.settings import Settings, remember_home
from chronos_assets.storage.migrate import migrate
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.privacy import private_home
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.tables import TABLES


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
    def postgres_dsn(self) -> str: ...


@dataclass(frozen=True)
class Stores:
    """Where datasets, runs and simulations are kept."""

    questdb: QuestDB
    postgres: Postgres
    artifacts: Path
    settings: Settings


def open_questdb(connections: ConnectionsLike) -> QuestDB:
    """QuestDB with all four tables in place; raises `StoreError` if one has another shape."""
    questdb = QuestDB(connections.questdb_conf, connections.questdb_http, connections.questdb_user, connections.questdb_password)
    for spec in TABLES:
        questdb.ensure_table(spec)
    return questdb


def open_stores(connections: ConnectionsLike, settings: Settings) -> Stores:
    """Open both stores: migrates Postgres and creates the QuestDB tables. Idempotent, and safe in many processes at once."""
    postgres = Postgres(connections.postgres_dsn)
    migrate(postgres)
    private_home(settings.home)
    remember_home(settings)
    settings.artifacts_dir.mkdir(exist_ok=True)
    return Stores(open_questdb(connections), postgres, settings.artifacts_dir, settings)
