"""The registry's schema and its locks, on a real Postgres."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg.sql import SQL, Identifier

from chronos_assets.errors import ConflictError, ServiceUnavailableError, StoreError, UsageError
from chronos_assets.services import Connections
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.migrate import FOLDER, VERSION_TABLE, current_version, migrate, newest_version
from chronos_assets.storage.postgres import Postgres, lock_number
from chronos_assets.storage.postgres_schema import METADATA, is_ours
from chronos_assets.storage.queries import query

CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY table_name, column_name""",
    "constraints": """
        SELECT conrelid::regclass::text AS table_name, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
}
OLD_ROWS = """
INSERT INTO indicator_datasets VALUES ('old_1d_v1', 'old', '1d', 'chronosflow', 'old_1d_v1', 3, '2020-01-01', '2020-01-03', now());
INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)
VALUES ('00000000-0000-0000-0000-000000000001', 'old_1d_v1', 't', '[]', '{}', '{}', 'completed');
INSERT INTO walkforward_folds VALUES ('00000000-0000-0000-0000-000000000001', 0, 0, 1, 1, 2, 1, 1, 0, 0.5, '{}', '{}');
INSERT INTO simulation_runs (simulation_id, run_id, dataset_id, mode, config, status) VALUES
('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'old_1d_v1', 'dual', '{}', 'completed');
INSERT INTO simulation_trade_buckets VALUES ('00000000-0000-0000-0000-000000000002', 'long', 1, 1, 2.0, 1.0, 0.5, NULL);
"""


def database(servers: Connections, name: str) -> Postgres:
    """A new, empty database on the server of this run."""
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return Postgres(urlsplit(servers.postgres_dsn)._replace(path=f"/{name}").geturl())


@pytest.fixture
def empty(servers: Connections) -> Iterator[Postgres]:
    postgres = database(servers, "schema_test")
    yield postgres
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE schema_test WITH (FORCE)")


def catalog(postgres: Postgres) -> dict[str, list[dict[str, object]]]:
    with postgres.connection() as connection:
        return {name: connection.execute(sql).fetchall() for name, sql in CATALOG.items()}  # type: ignore[call-overload]


def test_a_migrated_schema_with_rows_equals_a_fresh_one(servers: Connections, empty: Postgres) -> None:
    """The first schema, filled and brought forward, has the columns, constraints and indexes of a fresh one, and its rows are readable."""
    migrate(empty, "0001")
    with empty.connection() as connection:
        connection.execute(OLD_ROWS)
    migrate(empty)
    fresh = database(servers, "schema_fresh")
    migrate(fresh)
    assert catalog(empty) == catalog(fresh)
    old = get_dataset(empty, "old_1d_v1")
    assert (old.revision, old.checksum, old.columns) == (1, "", ())


def test_tables_that_were_made_by_hand_are_brought_forward(empty: Postgres) -> None:
    """The agreed tables without any version table are taken as the first schema."""
    migrate(empty, "0001")
    with empty.connection() as connection:
        connection.execute(OLD_ROWS)
        connection.execute(SQL("DROP TABLE {}").format(Identifier(VERSION_TABLE)))
    migrate(empty)
    assert current_version(empty) == newest_version()
    assert get_dataset(empty, "old_1d_v1").row_count == 3


def test_the_metadata_and_the_migrations_agree(empty: Postgres) -> None:
    """Alembic's autogenerate finds nothing to add."""
    migrate(empty)
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(empty._dsn))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": is_ours, "compare_server_default": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_migrations_are_numbered_in_one_line() -> None:
    """Each file begins with its revision id, and ids are four digits without gaps."""
    numbers = sorted(file.name[:4] for file in (FOLDER / "versions").glob("[0-9]*.py"))
    assert numbers == [f"{n:04d}" for n in range(1, len(numbers) + 1)]
    for file in (FOLDER / "versions").glob("[0-9]*.py"):
        assert f'revision = "{file.name[:4]}"' in file.read_text()


def test_many_processes_may_start_at_once(empty: Postgres) -> None:
    """Eight migrations at the same time: all return, one schema."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            migrate(empty)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert current_version(empty) == newest_version()


def test_a_schema_from_the_future_is_refused(empty: Postgres) -> None:
    """An older program leaves a newer schema alone and says so."""
    migrate(empty)
    with empty.connection() as connection:
        connection.execute(SQL("UPDATE {} SET version_num = '9999'").format(Identifier(VERSION_TABLE)))
    with pytest.raises(StoreError, match="newer than this program"):
        migrate(empty)


@pytest.mark.parametrize("table", ["walkforward_runs", "simulation_runs"])
def test_a_status_that_is_none_is_refused(empty: Postgres, table: str) -> None:
    """The CHECK knows the five words."""
    migrate(empty, "0001")
    with empty.connection() as connection:
        connection.execute(OLD_ROWS)
    migrate(empty)
    with pytest.raises(StoreError, match="refused"), empty.connection() as connection:
        connection.execute(SQL("UPDATE {} SET status = 'finished'").format(Identifier(table)))


def test_a_session_lock_keeps_others_out_until_it_goes(servers: Connections) -> None:
    """Taken: `ConflictError` that names the thing; released or dead: free."""
    postgres = Postgres(servers.postgres_dsn)
    with postgres.session_lock("k", what="dataset x") as connection:
        assert not postgres.lock_is_free("k")
        with pytest.raises(ConflictError, match="another process works on dataset x"), postgres.session_lock("k", what="dataset x"):
            pass
        with postgres.session_lock("other"):
            pass
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    assert postgres.lock_is_free("k")


def test_errors_of_the_driver_never_show_the_password() -> None:
    """Unreachable, or a string that cannot be read: our error, no secret."""
    with pytest.raises(ServiceUnavailableError) as unreachable, Postgres("postgresql://u:hush@127.0.0.1:1/x").connection():
        pass
    assert "hush" not in str(unreachable.value)
    for dsn in ("postgresql://u:hush@[broken/x", "postgresql://u:p@hush@127.0.0.1:1/x"):
        with pytest.raises(UsageError, match="%40") as unreadable:
            Postgres(dsn)
        assert "hush" not in str(unreadable.value)
        assert unreadable.value.__cause__ is None
    with (
        pytest.raises(UsageError, match="wrong value for sslmode") as misread,
        Postgres("postgresql://u@127.0.0.1/x?sslmode=hush").connection(),
    ):
        pass
    assert "hush" not in str(misread.value)


def test_a_wrong_password_is_said_as_such(servers: Connections) -> None:
    """The server answered, and refused: exit code 1, not 4."""
    address = urlsplit(servers.postgres_dsn)
    wrong = address._replace(netloc=f"{address.username}:wrong@{address.hostname}:{address.port}").geturl()
    with pytest.raises(StoreError, match="refused the user or password"), Postgres(wrong).connection():
        pass


@pytest.mark.parametrize(
    ("server_options", "statement", "code", "hint"),
    [
        ("default_transaction_read_only=on", "CREATE TABLE t (n int)", "postgres_read_only", "default_transaction_read_only"),
        ("statement_timeout=50", "SELECT pg_sleep(30)", "postgres_cancelled", "statement_timeout"),
        ("search_path=public", "SELECT nothing FROM nowhere", "postgres_refused", "log of the Postgres server"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(servers: Connections, server_options: str, statement: str, code: str, hint: str) -> None:
    """Read-only, a statement that was cut off, a statement that is wrong: exit code 1, the reason, and the next step."""
    address = urlsplit(servers.postgres_dsn)
    options = address._replace(query=f"options=-c%20{server_options.replace('=', '%3D')}").geturl()
    with pytest.raises(StoreError) as refused, Postgres(options).connection() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    assert refused.value.code == code
    assert hint in refused.value.hint


def test_a_user_with_too_few_rights_or_connections_reads_what_to_change(servers: Connections, empty: Postgres) -> None:
    """No right to make tables, no connection left, no such database, no right to log in: each said by itself, with what to do."""
    address = urlsplit(servers.postgres_dsn)
    mine = address._replace(netloc=f"schema_guest:guest@{address.hostname}:{address.port}", path="/schema_test")
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS schema_guest")
        connection.execute("CREATE ROLE schema_guest LOGIN PASSWORD 'guest' CONNECTION LIMIT 2")
    try:
        with pytest.raises(StoreError) as missing:
            migrate(Postgres(mine._replace(path="/gone").geturl()))
        guest = Postgres(mine.geturl())
        with pytest.raises(StoreError) as forbidden:
            migrate(guest)
        with guest.connection(), guest.connection(), pytest.raises(ServiceUnavailableError) as crowded, guest.connection():
            pass
        with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
            connection.execute("ALTER ROLE schema_guest NOLOGIN")
        with pytest.raises(StoreError) as locked_out:
            migrate(Postgres(mine.geturl()))  # who is in already stays in
    finally:
        with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
            connection.execute("DROP ROLE schema_guest")
    for refused, code, hint in (
        (forbidden, "postgres_forbidden", "Grant the user"),
        (crowded, "postgres_connections", "max_connections"),
        (missing, "postgres_database_missing", "CREATE DATABASE"),
        (locked_out, "postgres_denied", "rights of the role"),
    ):
        assert refused.value.code == code
        assert hint in refused.value.hint
    assert "is not permitted to log in" in str(locked_out.value)


def test_a_connection_is_kept_for_its_next_use_while_it_is_whole(servers: Connections) -> None:
    """The same one again and again, for statements and locks; not after an error, inside a transaction, or once the server has cut it."""

    def session() -> int:
        with postgres.connection() as connection:
            return int(connection.info.backend_pid)

    postgres = Postgres(servers.postgres_dsn)
    first = session()
    with postgres.session_lock("kept") as connection:
        assert connection.info.backend_pid == first
    with postgres.connection() as connection, postgres.connection() as other:
        assert connection.info.backend_pid == first != other.info.backend_pid
    failed = session()
    with pytest.raises(StoreError), postgres.connection() as connection:
        connection.execute("SELECT nothing")
    with postgres.connection() as connection:
        left_open = connection.info.backend_pid
        connection.execute("BEGIN")
    cut = session()
    with Postgres(servers.postgres_dsn).connection() as another:
        another.execute("SELECT pg_terminate_backend(%s, 10000)", (cut,))
    assert len({failed, left_open, cut, session()}) == 4
    postgres.close()


def test_a_frozen_session_is_not_waited_for(servers: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle connection whose server gives no answer is closed after a moment, and a new one is opened."""
    monkeypatch.setattr("chronos_assets.storage.postgres.ANSWER_SECONDS", 0.2)
    postgres = Postgres(servers.postgres_dsn)
    with postgres.connection() as connection:
        frozen = connection.info.backend_pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        with postgres.connection() as connection:
            assert connection.info.backend_pid != frozen
    finally:
        os.kill(frozen, signal.SIGCONT)
    with postgres.connection() as connection:
        assert connection.execute("SELECT 2 AS two").fetchone() == {"two": 2}
    postgres.close()


def test_a_lock_that_was_given_back_is_free_at_once(servers: Connections) -> None:
    """Who asks right afterwards, on a connection that is open already, gets it: every time."""
    postgres, number = Postgres(servers.postgres_dsn), {"key": lock_number("given back")}
    with postgres.connection() as other:
        for _ in range(100):
            with postgres.session_lock("given back"):
                pass
            assert other.execute(query("try_lock"), number).fetchone() == {"taken": True}
            other.execute(query("unlock_all"))
