"""Both stores opened for reading only: nothing is migrated, created or written, and no request waits long.

Postgres connections come from one pool per process, cannot write, and carry a statement timeout. Each new one checks that the schema is
the one this program knows. QuestDB is asked with short patience.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from chronos_assets.errors import NotPublishedError, ServiceUnavailableError, StoreError
from chronos_assets.settings import Settings
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.migrate import newest_version
from chronos_assets.storage.postgres import Connection, Postgres
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_http import Patience
from chronos_assets.storage.stores import ConnectionsLike, Stores

POOL_CONNECTIONS = 8
# How long a reader waits for a connection that others use.
POOL_SECONDS = 10.0
STATEMENT_SECONDS = 10.0
CONNECT_SECONDS = 3
READING_PATIENCE = Patience(connect_seconds=CONNECT_SECONDS, read_seconds=STATEMENT_SECONDS, restart_seconds=0.0, busy_seconds=5.0)
NOTHING_STORED = "nothing_stored"


class ReadingPostgres(Postgres):
    """One Postgres database, read through at most `POOL_CONNECTIONS` connections that cannot write. Thread-safe."""

    keeps = POOL_CONNECTIONS
    session_settings: ClassVar[Mapping[str, str]] = {
        **Postgres.session_settings,
        "default_transaction_read_only": "on",
        "statement_timeout": f"{STATEMENT_SECONDS * 1000:.0f}ms",
    }

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self._free = threading.BoundedSemaphore(POOL_CONNECTIONS)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool.

        Errors come out as `ServiceUnavailableError`, `StoreError`, or `NotPublishedError` (`nothing_stored`) if there is no schema yet.
        """
        if not self._free.acquire(timeout=POOL_SECONDS):
            raise _all_busy(self.address)
        try:
            with super().connection() as connection:
                yield connection
        finally:
            self._free.release()

    def for_writing(self) -> Postgres:
        """The same database through connections that can write: none is of this pool."""
        return Postgres(self._dsn)

    def _open(self) -> Connection:
        connection = self.connect(connect_timeout=CONNECT_SECONDS)
        try:
            _check_schema(self.schema_version)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reading(connections: ConnectionsLike, settings: Settings) -> Stores:
    """Both stores for reading. Nothing is connected to yet, so a store that is down is met by the first request that needs it."""
    c = connections
    questdb = QuestDB(c.questdb_conf, c.questdb_http, c.questdb_user, c.questdb_password, patience=READING_PATIENCE)
    return Stores(questdb, ReadingPostgres(c.postgres_dsn), open_artifacts(settings), settings)


def _check_schema(found: str | None) -> None:
    """Raise unless the schema is this program's: readers do not migrate."""
    if found is None:
        raise NotPublishedError(
            "nothing is stored here yet", code=NOTHING_STORED, hint="`chronos demo`, or `chronos run SLUG`, makes the first dataset."
        )
    newest = newest_version()
    if found != newest:
        older = found < newest
        raise StoreError(
            f"the registry's schema is {'older' if older else 'newer'} than this program",
            code="schema_older" if older else "schema_newer",
            expected=f"version {newest}",
            found=f"version {found}",
            hint="`chronos services start` brings it forward." if older else "Update chronos_assets.",
        )


def _all_busy(address: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        "every connection to Postgres is in use",
        code="store_slow",
        found=f"none came free in {POOL_SECONDS:g} s",
        hint="Ask again in a few seconds.",
        address=address,
    )
