"""Dagster's pools on our Postgres: what two runs that start at once, and a changed limit, find there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from dagster import DagsterInstance
from dagster._core.storage.event_log.schema import ConcurrencyLimitsTable

from chronos_assets.orchestration.instance import open_instance
from chronos_assets.services import Connections
from chronos_assets.settings import Settings


@pytest.fixture
def instance(servers: Connections, settings: Settings) -> Iterator[DagsterInstance]:
    with open_instance(settings, captured_output=False) as opened:
        yield opened


def limit_of(instance: DagsterInstance, pool: str) -> tuple[int, bool]:
    [found] = [one for one in instance.event_log_storage.get_pool_limits() if one.name == pool]
    return found.limit, found.from_default


def test_a_pool_that_two_runs_meet_first_at_once_is_there_for_both(instance: DagsterInstance) -> None:
    """The run that comes second finds the pool, and no error; nothing changes."""
    pool = f"pool_{secrets.token_hex(4)}"
    assert instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
    first = limit_of(instance, pool)
    assert instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
    assert limit_of(instance, pool) == first == (instance.global_op_concurrency_default_limit, True)


def test_a_default_limit_that_changed_is_taken_by_pools_that_had_it(instance: DagsterInstance) -> None:
    """A pool with another default limit gets the one of today; one whose limit somebody set keeps it."""
    storage = instance.event_log_storage
    pool, own = f"pool_{secrets.token_hex(4)}", f"pool_{secrets.token_hex(4)}"
    storage.initialize_concurrency_limit_to_default(pool)
    default = limit_of(instance, pool)[0]
    with storage.index_transaction() as connection:
        before = ConcurrencyLimitsTable.update().values(limit=default + 3).where(ConcurrencyLimitsTable.c.concurrency_key == pool)
        connection.execute(before)
    storage.set_concurrency_slots(own, default + 5)
    for name in (pool, own):
        storage.initialize_concurrency_limit_to_default(name)
    assert limit_of(instance, pool) == (default, True)
    assert limit_of(instance, own) == (default + 5, False)
