"""What a user reads when a server goes away in the middle of a run."""

from __future__ import annotations

import io
import re

import psycopg2
import pytest
import sqlalchemy
from dagster import RetryRequested, job, op
from dagster_postgres.utils import DagsterPostgresException

from chronos_assets.cli.run_progress import RunProgress
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration import instance


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


def test_a_step_that_starts_again_says_why_and_when() -> None:
    """Nobody waits for a server that is gone without knowing it."""

    @op
    def fragile() -> None:
        raise RetryRequested(max_retries=1, seconds_to_wait=0) from ServiceUnavailableError("QuestDB cannot be reached", address="there")

    @job
    def lost() -> None:
        fragile()

    shown = io.StringIO()
    progress = RunProgress("x_1d_v1", shown)
    for event in lost.execute_in_process(raise_on_error=False).all_events:
        progress.take(event)
    text = " ".join(shown.getvalue().split())
    assert re.search(r"again .* fragile: QuestDB cannot be reached \(address there\)\. Next attempt in 0 s\.", text)
