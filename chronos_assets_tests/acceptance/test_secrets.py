"""Passwords and tokens stay where they were given: whatever fails, none is printed, logged, or kept in a table or a file."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from chronos_assets.services import Connections
from chronos_assets.settings import PREFIX
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.dagster_data import write_dataset

SECRET = "5EKR1T/p@ss:%;'w ord#?é"
SLUG, OTHER = "hushed_1d_v1", "hushed_1d_v2"
DATABASE = "hushed"


@pytest.fixture
def hushed(servers: Connections) -> Iterator[str]:
    """A database whose user has a recognizable password, as host:port."""
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE hushed SUPERUSER LOGIN PASSWORD {}").format(Literal(SECRET)))
        connection.execute("CREATE DATABASE hushed")
    address = urlsplit(servers.postgres_dsn)
    yield f"{address.hostname}:{address.port}"
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE hushed WITH (FORCE)")
        connection.execute("DROP ROLE hushed")


def dsn(where: str, password: str = SECRET) -> str:
    return f"postgresql://hushed:{quote(password, safe='')}@{where}/{DATABASE}"


def rows_of(connection: psycopg.Connection[tuple[str, ...]]) -> Iterator[str]:
    """Every row of every table, as text."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:
        for (row,) in connection.execute(SQL("SELECT t::text FROM {} t").format(Identifier(table))):
            yield f"{table}: {row}"


def test_no_secret_is_left_anywhere(servers: Connections, hushed: str, tmp_path: Path) -> None:
    """Right and wrong passwords in every form, unknown options, cut addresses, a Dagster run that fails, all at level DEBUG."""
    password = servers.questdb_password
    assert password is not None
    good = f"http::addr={servers.questdb_http};username={servers.questdb_user};password={password};"
    for slug in (SLUG, OTHER):
        write_dataset(tmp_path / "exports", slug)
    variables = {
        **os.environ,
        f"{PREFIX}HOME": str(tmp_path / "home"),
        f"{PREFIX}EXPORTS_DIR": str(tmp_path / "exports"),
        f"{PREFIX}QUESTDB_CONF": good,
        f"{PREFIX}POSTGRES_DSN": dsn(hushed),
        f"{PREFIX}LOG_LEVEL": "DEBUG",
    }
    wrong_conf = good.replace(password, "5EKR1T;;wrong")
    escaped = SECRET.replace("'", "\\'")
    keys_and_values = f"host={hushed.partition(':')[0]} port={hushed.rpartition(':')[2]} user=hushed dbname=hushed password='{escaped}'"
    said = {}
    for code, program, arguments, changes in (
        (0, "export", [SLUG], {}),
        (0, "export", [SLUG, "--postgres", keys_and_values], {}),
        (0, "validate", [SLUG], {}),
        (0, "chronos", ["config", "show"], {}),
        (1, "export", [SLUG, "--questdb", wrong_conf], {}),
        (1, "export", [SLUG, "--postgres", dsn(hushed, "5EKR1T wrong")], {}),
        (1, "validate", [SLUG], {"POSTGRES_DSN": dsn(hushed, "5EKR1T wrong")}),
        (4, "export", [SLUG, "--postgres", dsn("127.0.0.1:1")], {}),
        (4, "validate", [SLUG], {"QUESTDB_CONF": wrong_conf.replace(servers.questdb_http, "127.0.0.1:1")}),
        (2, "export", [SLUG, "--questdb", f"{good}pasword=5EKR1T;"], {}),
        (2, "export", [SLUG, "--replace", "--questdb", f"{good}token=5EKR1T;"], {}),
        (2, "export", [SLUG, "--questdb", f"http::addr=me:5EKR1T@{servers.questdb_http};"], {}),
        (2, "export", [SLUG, "--postgres", f"postgresql://hushed:{SECRET}@{hushed}/hushed"], {}),
        (2, "validate", [SLUG], {"POSTGRES_DSN": f"postgresql://hushed:p@5EKR1T@{hushed}/hushed"}),
        (1, "chronos", ["run", SLUG], {"QUESTDB_CONF": wrong_conf}),
        (2, "chronos", ["run", OTHER], {"QUESTDB_CONF": f"{good}request_timeout=soon;"}),  # its writing step fails
    ):
        environment = {**variables, **{f"{PREFIX}{name}": value for name, value in changes.items()}}
        done = run_program(*arguments, program=program, env=environment)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        said[f"{program} {len(said)}"] = done.stdout + done.stderr
    with psycopg.connect(urlsplit(servers.postgres_dsn)._replace(path=f"/{DATABASE}").geturl()) as connection:
        kept = dict(enumerate(rows_of(connection)))
    assert any("event_logs:" in row and "the QuestDB client string cannot be used" in row for row in kept.values())
    files = {str(path): path.read_bytes().decode("latin-1") for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert any(name.endswith(".arrow") for name in files)
    header = base64.b64encode(f"{servers.questdb_user}:{password}".encode()).decode()
    for needle in ("5EKR1T", password, header, quote(password, safe="")):
        for texts in (said, kept, files):
            assert [where for where, text in texts.items() if needle.casefold() in text.casefold()] == []
