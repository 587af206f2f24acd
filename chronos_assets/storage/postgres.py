"""Postgres as the rest of the house sees it: connections and session locks. Driver errors are wrapped here, once.

Connections are in autocommit mode and give rows as dictionaries: `with postgres.connection() as c, c.transaction(): ...` makes a
transaction, and a single statement is one by itself. A connection that was given back is kept for the next one who asks: a login costs
more than most of our statements. A server may be far away, so what belongs together is asked in one trip (`ask`, `opened`).
"""

from __future__ import annotations

import hashlib
import json
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, LiteralString, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.sql import Composed

from chronos_assets.errors import ConflictError, UsageError
from chronos_assets.storage.postgres_errors import as_ours
from chronos_assets.storage.queries import query

Row: TypeAlias = DictRow
Connection: TypeAlias = psycopg.Connection[DictRow]

CONNECT_SECONDS = 10
# How long an idle connection may take for a first answer before it counts as lost.
ANSWER_SECONDS = 5.0
# How many connections wait open for their next use; a process that needs more at a time closes the others at once.
IDLE_CONNECTIONS = 4
_LOCK_POLL_SECONDS = 0.1
# TCP keepalive finds a server that went away without a word.
_OPTIONS: dict[str, Any] = {
    "application_name": "chronos_assets",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


Asked: TypeAlias = tuple[LiteralString | Composed, Mapping[str, Any]]


class Postgres:
    """One Postgres database. `repr` and errors show host, port and database, never user or password. Thread-safe.

    A pool of our own: psycopg's hides why a connection could not be made, and retries in the background while a caller waits.
    """

    keeps = IDLE_CONNECTIONS
    # UTC keeps every timestamp that is shown or compared in one zone. Not by `options` of the login: some poolers drop those in silence.
    session_settings: ClassVar[Mapping[str, str]] = {"TimeZone": "UTC"}

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn = without_driver(dsn)
        self.address = _address(dsn)
        # As the connection opened last found them: the version of our schema, and whether somebody answers in the server's place.
        self.schema_version: str | None = None
        self.behind_pooler = False
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def __repr__(self) -> str:
        return f"Postgres({self.address})"

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that nobody else has meanwhile. One that failed, or was left inside a transaction, is not used again.

        psycopg's errors come out as `ServiceUnavailableError` or `StoreError`.
        """
        with self.wrapped():
            connection = self.take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)

    def take(self) -> Connection:
        """An idle connection, or a new one; the caller closes it."""
        return self._idle_one() or self._open()

    def close(self) -> None:
        """Close the idle connections."""
        with self._guard:
            _close_all(self._idle)

    def _idle_one(self) -> Connection | None:
        """An idle connection that still answers: a server that was restarted has closed the others."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _answers(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
            with self._guard:
                if len(self._idle) < self.keeps:
                    self._idle.append(connection)
                    return
        connection.close()

    def _open(self) -> Connection:
        return self.connect()

    def connect(self, *, connect_timeout: int = CONNECT_SECONDS) -> Connection:
        """An open connection in autocommit mode, in UTC; the caller closes it. `connect_timeout` in seconds."""
        options = {**_OPTIONS, "connect_timeout": connect_timeout}
        connection = psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row, **options)
        try:
            self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: Connection) -> None:
        """Settings of the session, and what `schema_version` and `behind_pooler` say, in one trip; two if there is no schema yet."""
        session: Asked = (query("session"), {"settings": json.dumps(self.session_settings)})
        try:
            (backend,), versions = ask(connection, session, (query("schema_version"), {}))
        except psycopg.errors.UndefinedTable:
            [(backend,)], versions = ask(connection, session), []
        self.schema_version = str(versions[0]["version_num"]) if versions else None
        self.behind_pooler = backend["pid"] != connection.info.backend_pid

    @contextmanager
    def wrapped(self) -> Iterator[None]:
        """Turn psycopg's errors into ours."""
        try:
            yield
        except psycopg.Error as error:
            raise as_ours(error, self.address) from error

    @contextmanager
    def session_lock(
        self, key: str, *, wait_seconds: float = 0, what: str = "", waiting: Callable[[], None] | None = None
    ) -> Iterator[Connection]:
        """Hold the advisory lock of `key` on a connection of its own, which is given: what it commits is committed under the lock.

        Raises `ConflictError` ("another process works on WHAT") when the lock is not free within `wait_seconds`. The lock goes when
        the process or the connection dies.
        """
        with self.wrapped():
            connection = self.take()
        try:
            with self.wrapped():
                self._take(connection, key, wait_seconds, what or key, waiting)
            yield connection
        finally:
            self._unlock(connection)

    def _unlock(self, connection: Connection) -> None:
        """Free the lock, then keep the connection. One that is lost, or in the middle of something, frees it by its end.

        Closing alone frees the lock only when the server has noticed it: who asks at once, and does not wait, would be refused.
        """
        free = False
        with suppress(psycopg.Error):
            if connection.info.transaction_status is TransactionStatus.IDLE:
                connection.execute(query("unlock_all"))
                free = True
        if free:
            self._give_back(connection)
        else:
            connection.close()

    def _take(self, connection: Connection, key: str, wait_seconds: float, what: str, waiting: Callable[[], None] | None) -> None:
        deadline = time.monotonic() + wait_seconds
        while not _one(connection, "try_lock", key=lock_number(key)):
            if waiting is not None:
                waiting()
                waiting = None
            if time.monotonic() >= deadline:
                raise ConflictError(
                    f"another process works on {what}",
                    code="locked",
                    hint="Wait for it to end, then run the command again. A process that died leaves no lock.",
                )
            time.sleep(_LOCK_POLL_SECONDS)

    def ask(self, *asked: Asked) -> list[list[Row]]:
        """Rows of each of these statements, by one trip to the server."""
        with self.connection() as connection:
            return ask(connection, *asked)

    @contextmanager
    def opened(self) -> Iterator[Postgres]:
        """This database over one connection for as long as the block takes, not to be asked at each use whether it is still there."""
        with self.connection() as connection:
            yield self.over(connection)

    def over(self, connection: Connection) -> Postgres:
        """This database over `connection`, which the caller keeps open; for one thread. Once it is lost, others take its place."""
        return _Over(self, connection)

    def ping(self) -> None:
        """Raise `ServiceUnavailableError` or `StoreError` unless the server answers."""
        with self.connection() as connection:
            connection.execute("SELECT 1")

    def lock_is_free(self, key: str) -> bool:
        """True if nobody holds the advisory lock of `key`."""
        with self.connection() as connection:
            return not _one(connection, "lock_is_held", key=lock_number(key))


class _Over(Postgres):
    """A database over one connection of another `Postgres`: see `over`. Locks, and what is asked after its loss, are that one's."""

    def __init__(self, whole: Postgres, connection: Connection) -> None:
        super().__init__(whole._dsn)
        self.schema_version, self.behind_pooler = whole.schema_version, whole.behind_pooler
        self._whole, self._given = whole, connection

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        if _is_lost(self._given):
            with self._whole.connection() as another:
                yield another
            return
        with self.wrapped():
            yield self._given

    def take(self) -> Connection:
        return self._whole.take()

    def _give_back(self, connection: Connection) -> None:
        self._whole._give_back(connection)


def ask(connection: Connection, *asked: Asked) -> list[list[Row]]:
    """Rows of each of these statements, by one trip. In autocommit mode they are one transaction, each with a snapshot of its own."""
    with connection.pipeline():
        cursors = [connection.execute(statement, binds) for statement, binds in asked]
    return [cursor.fetchall() for cursor in cursors]


def without_driver(dsn: str) -> str:
    """An address without SQLAlchemy's way of naming a driver, which means nothing to psycopg."""
    for prefix in ("postgresql+psycopg://", "postgresql+psycopg2://"):
        dsn = dsn.replace(prefix, "postgresql://", 1) if dsn.startswith(prefix) else dsn
    return dsn


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _answers(connection: Connection) -> bool:
    """Whether the server still answers on an idle connection, and soon: one that is frozen keeps its connections open."""
    wire, deadline = connection.pgconn, time.monotonic() + ANSWER_SECONDS
    try:
        wire.send_query(b"SELECT 1")
        answer = select.poll()
        answer.register(wire.socket, select.POLLIN)
        while wire.flush() or wire.is_busy():
            if not answer.poll(1_000 * max(deadline - time.monotonic(), 0.0)):
                return False
            wire.consume_input()
        while wire.get_result() is not None:
            pass
    except psycopg.OperationalError:
        return False
    return connection.info.transaction_status is TransactionStatus.IDLE


def _is_lost(connection: Connection) -> bool:
    """Whether the server has ended an idle connection, as far as this machine knows: a server that says so needs no question."""
    wire, heard = connection.pgconn, select.poll()
    if connection.closed:
        return True
    heard.register(wire.socket, select.POLLIN)
    try:
        while heard.poll(0):
            wire.consume_input()
    except psycopg.OperationalError:
        return True
    return False


def lock_number(key: str) -> int:
    """The signed 64-bit number that stands for `key` among the advisory locks of the database."""
    digest = hashlib.sha256(f"chronos_assets:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _one(connection: Connection, name: str, **binds: Any) -> Any:
    row = connection.execute(query(name), binds).fetchone()
    return next(iter(row.values())) if row else None


def _address(dsn: str) -> str:
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parts = {"host": "@"}
    # libpq ends user and password at the first @: what it takes for the host may be the rest of a password.
    if "@" in str(parts.get("host", "")):
        raise UsageError(
            "the Postgres connection string cannot be read",
            code="postgres_dsn_invalid",
            expected="postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            hint="In the password write % as %25, @ as %40, / as %2F, : as %3A, ? as %3F, # as %23.",
        )
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
