"""Reading never writes: not by the connection, not by a list, not by opening the stores."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.sql import SQL

from chronos_assets.cli.common import print_json
from chronos_assets.errors import NotPublishedError, ServiceUnavailableError, StoreError
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage import reading
from chronos_assets.storage.listing import RUNS, list_page
from chronos_assets.storage.migrate import current_version, migrate
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.reading import ReadingPostgres, open_reading
from chronos_assets.storage.runs import get_run, run_lock
from chronos_assets.storage.stores import Stores
from chronos_assets.views.datasets import list_datasets, list_summaries
from chronos_assets.views.runs import list_runs, list_runs_with_space, run_with_space
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish

RUN = """
INSERT INTO walkforward_runs
    (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status, duration_ms, created_at)
SELECT gen_random_uuid(), %(slug)s, 't', '[]', '{}', '{"folds_planned": 3}', %(status)s, nullif(n, 2) * 10, now() - n * interval '1 minute'
FROM generate_series(1, %(count)s) n RETURNING run_id::text AS run_id
"""


@pytest.fixture
def reader(servers: Connections, settings: Settings, stores: Stores) -> Iterator[Stores]:
    """The stores of this run, opened for reading."""
    opened = open_reading(servers, settings)
    yield opened
    assert isinstance(opened.postgres, ReadingPostgres)
    opened.postgres.close()


@pytest.fixture
def empty(servers: Connections) -> Iterator[str]:
    """The address of an empty database."""
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE unread")
    yield urlsplit(servers.postgres_dsn)._replace(path="/unread").geturl()
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE unread WITH (FORCE)")


def make_runs(stores: Stores, slug: str, count: int, *, status: str = "completed") -> list[str]:
    """Rows of runs, a minute apart, the newest first; the second has no duration."""
    publish(stores, slug, make_bars(30))
    with stores.postgres.connection() as connection:
        return [row["run_id"] for row in connection.execute(RUN, {"slug": slug, "count": count, "status": status}).fetchall()]


def test_the_server_itself_refuses_what_a_reader_writes(reader: Stores) -> None:
    """The connection is read-only, so that no mistake of ours can change a row; and the next reader gets a connection that works."""
    with pytest.raises(StoreError, match="read-only"), reader.postgres.connection() as connection:
        connection.execute("UPDATE walkforward_runs SET status = 'failed'")
    with reader.postgres.connection() as connection:
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_database_without_tables_reads_as_empty_and_stays_so(empty: str, stores: Stores) -> None:
    """Lists are empty, a single thing is unknown with a hint, and nothing was created."""
    unread = ReadingPostgres(empty)
    assert list_datasets(unread) == []
    assert list_runs(unread, {}).items == []
    assert list_summaries(Stores(stores.questdb, unread, stores.artifacts, stores.settings)).datasets == []
    with pytest.raises(NotPublishedError, match="nothing is stored"):
        get_run(unread, "11111111-1111-1111-1111-111111111111")
    assert current_version(Postgres(empty)) is None
    unread.close()


def test_an_older_schema_is_said_and_left_alone(empty: str) -> None:
    """A reader neither migrates nor guesses: it names the command that brings the tables forward."""
    migrate(Postgres(empty), "0001")
    with pytest.raises(StoreError, match=r"older than this program.*`chronos services start`"):
        list_runs(ReadingPostgres(empty), {})
    assert current_version(Postgres(empty)) == "0001"


def test_a_run_whose_process_is_gone_is_shown_as_failed_and_not_changed(reader: Stores, stores: Stores, unique_slug: str) -> None:
    """`running` with a free lock is shown as died, with a held lock as running, and the filter by status agrees; the row says `running`."""

    def chosen(status: str) -> tuple[list[str], int]:
        page = list_runs(reader.postgres, {"dataset": unique_slug, "status": [status]})
        return [run.run_id for run in page.items], page.total

    (run_id,) = make_runs(stores, unique_slug, 1, status="running")
    (shown,) = list_runs(reader.postgres, {"dataset": unique_slug}).items
    assert (shown.status, (shown.summary_metrics or {})["error"]["code"]) == ("failed", "died")
    assert run_with_space(reader, run_id).status == "failed"
    assert get_run(stores.postgres, run_id).status == "running"
    assert (chosen("failed"), chosen("running")) == (([run_id], 1), ([], 0))
    with run_lock(stores.postgres, run_id):
        assert list_runs(reader.postgres, {"dataset": unique_slug}).items[0].status == "running"
        assert (chosen("failed"), chosen("running")) == (([], 0), ([run_id], 1))


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-duration_ms", "duration_ms"])
def test_pages_hold_every_run_once_while_others_come(reader: Stores, stores: Stores, unique_slug: str, sort: str) -> None:
    """Keyset pages go on where they were, whatever is added meanwhile; a run without a value comes last both ways."""
    run_ids = make_runs(stores, unique_slug, 7)
    seen, cursor = [], None
    for _ in range(7):
        page = list_runs(reader.postgres, {"dataset": unique_slug}, sort=sort, limit=2, cursor=cursor)
        seen += [run.run_id for run in page.items]
        cursor = page.cursor
        with stores.postgres.connection() as connection:
            connection.execute(
                "INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status,"
                " duration_ms, created_at) SELECT gen_random_uuid(), %s, 'late', '[]', '{}', '{}', 'completed', d, t FROM (VALUES"
                " (1000000, now()), (-1000000, now() - interval '1 year')) v (d, t)",
                (unique_slug,),
            )
        if cursor is None:
            break
    expected = run_ids if sort == "-created_at" else list(reversed(run_ids))
    if sort.endswith("duration_ms"):
        by_duration = [run for run in run_ids if run != run_ids[1]]
        expected = [*(by_duration if sort == "duration_ms" else reversed(by_duration)), run_ids[1]]
    assert [run for run in seen if run in run_ids] == expected
    assert len(set(seen)) == len(seen)


def test_a_page_is_read_by_index(stores: Stores, unique_slug: str) -> None:
    """No page sorts the table, and files are looked up by index: what made the list of a thousand runs take minutes."""
    make_runs(stores, unique_slug, 3)
    with stores.postgres.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        for key in ("created_at", *RUNS.numbers.values()):
            plan = connection.execute(f"EXPLAIN SELECT * FROM walkforward_runs t ORDER BY {key} DESC, t.run_id DESC LIMIT 5").fetchall()  # type: ignore[arg-type]
            assert any("Index Scan Backward" in row["QUERY PLAN"] for row in plan), key
        plan = connection.execute("EXPLAIN SELECT 1 FROM walkforward_folds WHERE fold_key = 'x'").fetchall()
        assert any("walkforward_folds_key" in row["QUERY PLAN"] for row in plan)


def test_the_command_line_pages_through_runs(
    reader: Stores, stores: Stores, unique_slug: str, cli_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--limit` and `--before` show every run once, with the documents that the API answers with."""
    run_ids = make_runs(stores, unique_slug, 5)
    first = list_runs_with_space(reader, unique_slug, limit=3)
    rest = list_runs_with_space(reader, unique_slug, limit=3, before=first[-1].run_id)
    assert [run.run_id for run in (*first, *rest)] == run_ids
    done = run_program("runs", "list", unique_slug, "--limit", "3", "--json", env=cli_environment, check=True)
    print_json(first)
    assert json.loads(done.stdout) == json.loads(capsys.readouterr().out)
    assert [run.model_dump(exclude={"space"}) for run in first] == [
        run.model_dump() for run in list_runs(reader.postgres, {"dataset": unique_slug}, limit=3).items
    ]


def test_readers_share_a_few_connections(reader: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """More readers at once than connections wait for each other; who waits too long is told, and the pool is whole afterwards."""
    monkeypatch.setattr(reading, "POOL_SECONDS", 0.2)
    release, inside = threading.Event(), threading.Barrier(reading.POOL_CONNECTIONS + 1)

    def hold() -> None:
        with reader.postgres.connection():
            inside.wait(300)
            release.wait(300)

    threads = [threading.Thread(target=hold) for _ in range(reading.POOL_CONNECTIONS)]
    for thread in threads:
        thread.start()
    inside.wait(300)
    with pytest.raises(ServiceUnavailableError, match="in use"), reader.postgres.connection():
        pass
    release.set()
    for thread in threads:
        thread.join()
    with reader.postgres.connection() as connection:
        assert connection.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone() == {"n": 1}


def test_a_connection_that_the_server_ended_is_not_used_again(reader: Stores, stores: Stores) -> None:
    """After a restart of the server readers go on without an error."""
    with reader.postgres.connection() as connection:
        pid = connection.info.backend_pid
    with stores.postgres.connection() as connection:
        connection.execute(SQL("SELECT pg_terminate_backend({})").format(pid))
    assert list_page(reader.postgres, RUNS, {"dataset": "none"}, sort="created_at", limit=1, after=None).rows == []
