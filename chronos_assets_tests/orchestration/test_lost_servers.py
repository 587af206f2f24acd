"""What a user reads when a server goes away in the middle of a run."""

from __future__ import annotations

import io
import re
from urllib.parse import urlsplit

import psycopg2
import pytest
import sqlalchemy
from dagster import RetryRequested, job, op
from dagster_postgres.utils import DagsterPostgresException, retry_pg_connection_fn

from chronos_assets.cli.run_progress import RunProgress
from chronos_assets.errors import ServiceUnavailableError, StoreError
from chronos_assets.orchestration import instance
from chronos_assets.services import Connections


@pytest.mark.parametrize(
    "lost",
    [
        DagsterPostgresException("too many retries"),
        sqlalchemy.exc.OperationalError("select 1", {}, Exception()),
        psycopg2.OperationalError(),
    ],
)
def test_lost_records_of_dagster_are_one_sentence(lost: Exception) -> None:
    """Whatever Dagster's storage raises when its Postgres is gone, the user gets exit status 4 and the next step."""
    with pytest.raises(ServiceUnavailableError, match=r"records cannot be reached.*chronos services start"), instance._records_reachable():
        raise lost


@pytest.mark.parametrize(
    ("options", "statement", "kind", "words"),
    [
        ("-c default_transaction_read_only=on", "CREATE TABLE lost (n int)", StoreError, "read-only.*of Dagster's records"),
        ("-c statement_timeout=50", "SELECT pg_sleep(30)", StoreError, "statement_timeout"),
    ],
)
def test_records_that_refuse_are_not_called_unreachable(
    servers: Connections, options: str, statement: str, kind: type[Exception], words: str
) -> None:
    """A Postgres that is there and says no: exit status 1 and its reason, as SQLAlchemy and Dagster hand it on."""
    engine = sqlalchemy.create_engine(
        servers.postgres_dsn.replace("postgresql://", "postgresql+psycopg2://"), connect_args={"options": options}
    )
    with pytest.raises(kind, match=words), instance._records_reachable(), engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def test_records_that_want_another_password_are_not_called_unreachable(servers: Connections) -> None:
    """Dagster gives up after some tries; below its own error stands what the server said."""
    address = urlsplit(servers.postgres_dsn)
    wrong = address._replace(scheme="postgresql+psycopg2", netloc=f"{address.username}:hush@{address.hostname}:{address.port}").geturl()
    with (
        pytest.raises(StoreError, match=r"refused the user or password.*CHRONOS_DAGSTER_POSTGRES_URL") as refused,
        instance._records_reachable(),
    ):
        retry_pg_connection_fn(sqlalchemy.create_engine(wrong).connect, retry_limit=1, retry_wait=0)
    assert "hush" not in str(refused.value)


def test_a_step_that_starts_again_says_why_and_when() -> None:
    """Nobody waits for a server that is gone without knowing it."""

    @op
    def fragile() -> None:
        raise RetryRequested(max_retries=1, seconds_to_wait=0) from ServiceUnavailableError("QuestDB cannot be reached", address="there")

    @job
    def lost() -> None:
        fragile()

    shown = io.StringIO()
    progress = RunProgress(shown)
    for event in lost.execute_in_process(raise_on_error=False).all_events:
        progress.take(event)
    text = " ".join(shown.getvalue().split())
    assert re.search(r"again .* fragile: QuestDB cannot be reached \(address there\)\. Next attempt in 0 s\.", text)
