"""Whether a pooler between us and Postgres gives each transaction another session: then locks, time zone and temporary tables are nobody's.

PgBouncer does so with `pool_mode = transaction` (or `statement`). A lock that one command holds would be another's, and two could write
the same dataset at once. With `pool_mode = session` all is well.

A pooler names a process of its own when it lets somebody in, since it cannot know yet who will serve. Where that is the process that
answers, nobody stands between, and one connection is enough to know it.
"""

from __future__ import annotations

from chronos_assets.errors import UsageError
from chronos_assets.storage.postgres import Connection, Postgres
from chronos_assets.storage.queries import query

_TRIES = 3
HINT = "Set `pool_mode = session` for this database in the pooler, or let CHRONOS_POSTGRES_DSN name Postgres itself."
_kept: set[str] = set()


def require_sessions(postgres: Postgres) -> None:
    """Raise `UsageError` if connections share sessions; asked once per process and address. `postgres` has opened a connection before."""
    if postgres.address in _kept:
        return
    if postgres.behind_pooler and shares_sessions(postgres):
        raise UsageError(
            "Postgres is behind a pooler that gives each transaction another session, so no lock would hold",
            code="postgres_pooled",
            found=postgres.address,
            hint=HINT,
        )
    _kept.add(postgres.address)


def shares_sessions(postgres: Postgres) -> bool:
    """Whether two open connections are served by one backend process, or one by several: no server does that by itself.

    A pooler gives the session that came free last to whoever asks next, so the second connection gets that of the first.
    """
    with postgres.connection() as first, postgres.connection() as second:
        for _ in range(_TRIES):  # others may come between
            before, beside, after = (_backend(connection) for connection in (first, second, first))
            if before == beside or before != after:
                return True
    return False


def _backend(connection: Connection) -> int:
    row = connection.execute(query("backend")).fetchone()
    assert row is not None
    return int(row["pid"])
