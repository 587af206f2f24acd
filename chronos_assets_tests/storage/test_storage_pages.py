"""What docs/storage says about both stores, tried on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from psycopg.sql import SQL, Identifier

from chronos_assets.services import Connections
from chronos_assets.storage.migrate import VERSION_TABLE, migrate
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.questdb_tables import TABLES
from chronos_assets.storage.stores import Stores

STORAGE = Path(__file__).resolve().parents[2] / "docs" / "storage"
CATALOG = """
    SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') || is_identity
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> %(versions)s
    UNION ALL SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> %(versions)s
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> %(versions)s
"""


@pytest.fixture
def databases(servers: Connections) -> Iterator[list[Postgres]]:
    """Two empty databases, dropped afterwards."""
    names = ("page_documented", "page_migrated")
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        for name in names:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield [Postgres(urlsplit(servers.postgres_dsn)._replace(path=f"/{name}").geturl()) for name in names]
        for name in names:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def catalog(postgres: Postgres) -> list[str]:
    with postgres.connection() as connection:
        rows = connection.execute(CATALOG, {"versions": VERSION_TABLE}).fetchall()
    return sorted(str(value) for row in rows for value in row.values())  # type: ignore[attr-defined]


def test_the_documented_schema_makes_the_tables_of_the_migrations(databases: list[Postgres]) -> None:
    """postgres_schema.sql, run on an empty database, gives the columns, constraints and indexes that the migrations give."""
    documented, migrated = databases
    with documented.connection() as connection:
        connection.execute((STORAGE / "postgres_schema.sql").read_bytes())
    migrate(migrated)
    assert catalog(documented) == catalog(migrated)


def test_questdb_takes_the_documented_lines(stores: Stores, servers: Connections, unique_slug: str) -> None:
    """Each line of ILP on the page is a row of the table as it was made, once however often it is sent, with the values it names."""
    page = (STORAGE / "QUESTDB_INGESTION.md").read_text(encoding="utf-8")
    assert servers.questdb_user is not None
    assert servers.questdb_password is not None
    access = (servers.questdb_user, servers.questdb_password)
    for spec in TABLES:
        [line] = [line for line in page.splitlines() if line.startswith(f"{spec.name},")]
        tag = spec.symbols[0]
        line = line.replace(f"{tag}={spec.example[tag]}", f"{tag}={unique_slug}")
        for _ in range(2):
            answer = requests.post(f"{servers.questdb_url}/write", data=f"{line}\n", auth=access, timeout=30)
            assert answer.status_code in (200, 204), answer.text
        stores.questdb.wait_applied(spec.name)
        [row] = stores.questdb.rows(f"SELECT * FROM {spec.name} WHERE {tag} = '{unique_slug}'")
        found = {name.lower(): value for name, value in row.items()}  # QuestDB keeps the case of whoever made a column first
        for name, value in {**spec.example, tag: unique_slug}.items():
            assert name == "timestamp" or found[name.lower()] == value, (spec.name, name)
