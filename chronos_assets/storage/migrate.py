"""Runs the Alembic migrations in `migrations/`. Alembic is imported only if the schema is not the newest yet.

Our versions have their own table: Dagster's storage may share the database and keeps its versions in Alembic's usual one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from chronos_assets.errors import StoreError
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query

FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "chronos_schema_version"
LOCK = "schema"
LOCK_SECONDS = 120.0


def newest_version() -> str:
    """Number of the last migration, which is also its revision id."""
    return max(file.name.split("_", 1)[0] for file in (FOLDER / "versions").glob("[0-9]*.py"))


def migrate(postgres: Postgres, target: str | None = None) -> None:
    """Upgrade the schema to `target` (default: the newest); cheap if there is nothing to do, and safe in many processes at once.

    Raises `StoreError` if the database is newer than this program.
    """
    newest = newest_version()
    with postgres.wrapped():
        if current_version(postgres) == (target or newest):
            return
        with postgres.session_lock(LOCK, wait_seconds=LOCK_SECONDS, what="the schema of the registry"):
            current = current_version(postgres)
            if current is not None and current > newest:
                raise StoreError(
                    "the registry's schema is newer than this program",
                    code="schema_newer",
                    expected=f"version {newest} at most",
                    found=f"version {current}",
                    hint="Update chronos_assets.",
                )
            if current != (target or newest):
                _upgrade(postgres, target or newest)


def current_version(postgres: Postgres) -> str | None:
    """Version of the schema in the database, or None if there is none yet."""
    with postgres.connection() as connection:
        try:
            row = connection.execute(query("schema_version")).fetchone()
        except psycopg.errors.UndefinedTable:
            return None
        return None if row is None else str(row["version_num"])


def _upgrade(postgres: Postgres, target: str) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: _plain(postgres), poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, target)
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig is not None:
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def _plain(postgres: Postgres) -> Any:
    """A connection as SQLAlchemy expects it: transactions on, rows as tuples."""
    from psycopg.rows import tuple_row

    connection: Any = postgres.take()
    connection.autocommit = False
    connection.row_factory = tuple_row
    return connection
