"""The lock of a QuestDB table, in Postgres: writers share it until their rows are visible, a compaction has it alone.

A compaction waits for a moment in which nobody writes and never stands in a queue before writers; a writer waits for a compaction to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from chronos_assets.storage.postgres import Connection, Postgres, lock_number
from chronos_assets.storage.queries import query

WAIT_SECONDS = 30.0


def alone_with(postgres: Postgres, table: str, *, wait_seconds: float = WAIT_SECONDS) -> AbstractContextManager[Connection]:
    """The lock of a table for a compaction; raises `ConflictError` if somebody writes for as long as it waits."""
    return postgres.session_lock(_key(table), wait_seconds=wait_seconds, what=f"QuestDB's table {table}")


@contextmanager
def writing_to(connection: Connection, *tables: str) -> Iterator[None]:
    """Keep compactions of `tables` away while rows are sent and until they are visible. If `connection` is lost, so is the lock."""
    keys = [lock_number(_key(table)) for table in sorted(tables)]
    for key in keys:
        connection.execute(query("lock_shared"), {"key": key})
    try:
        yield
    finally:
        if not connection.closed:
            for key in keys:
                connection.execute(query("unlock_shared"), {"key": key})


@contextmanager
def writing(postgres: Postgres, *tables: str) -> Iterator[None]:
    """`writing_to` on a connection of its own."""
    with postgres.connection() as connection, writing_to(connection, *tables):
        yield


def _key(table: str) -> str:
    return f"table:{table}"
