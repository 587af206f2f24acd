"""Postgres may be far away: how often commands ask it, over how many connections, and what a lost connection leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import get_dataset, list_datasets
from chronos_assets.storage.migrate import migrate, newest_version
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.reading import ReadingPostgres, open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.views.datasets import list_summaries
from chronos_assets.views.runs import list_runs_with_space
from chronos_assets_tests.storage.test_reading import make_runs
from chronos_assets_tests.support.counting_proxy import CountingProxy, counting_proxy
from chronos_assets_tests.support.export_case import make_case


@pytest.fixture
def far(servers: Connections, stores: Stores) -> Iterator[tuple[Connections, CountingProxy]]:
    """The servers of this run, with Postgres behind a proxy that counts."""
    with counting_proxy(servers.postgres_dsn) as (dsn, proxy):
        yield replace(servers, postgres_dsn=dsn), proxy


def test_a_listing_makes_eight_trips_at_most(
    far: tuple[Connections, CountingProxy], settings: Settings, stores: Stores, unique_slug: str
) -> None:
    """Login, settings, schema and all that is shown of runs and datasets, one of the runs at work: one connection."""
    make_runs(stores, unique_slug, 3)
    make_runs(stores, unique_slug, 1, status="running")
    connections, proxy = far
    for listing in (lambda reader: list_runs_with_space(reader, unique_slug, limit=50), list_summaries):
        proxy.reset()
        reader = open_reading(connections, settings)
        assert listing(reader)
        assert isinstance(reader.postgres, ReadingPostgres)
        reader.postgres.close()
        assert proxy.connections == 1
        assert 3 < proxy.trips <= 8


def test_an_export_makes_twenty_trips_at_most_and_ten_if_nothing_changed(
    far: tuple[Connections, CountingProxy], settings: Settings, stores: Stores, unique_slug: str
) -> None:
    """Opening the stores included; one connection holds the lock and asks everything."""
    case = make_case(stores, settings.exports_dir, unique_slug)
    connections, proxy = far
    for most, unchanged in ((20, False), (10, True)):
        proxy.reset()
        opened = open_stores(connections, settings.model_copy(update={"postgres_dsn": connections.postgres_dsn}))
        result = export_dataset(case.save(), opened, settings)
        opened.postgres.close()
        assert (result.published, result.unchanged) == (True, unchanged)
        assert proxy.connections == 1
        assert 3 < proxy.trips <= most


def test_an_export_whose_lock_was_cut_in_the_middle_looks_before_it_publishes(
    servers: Connections, settings: Settings, stores: Stores, unique_slug: str
) -> None:
    """The session that held the lock is ended while bars are audited: the verdict is kept, the lock taken again, the dataset published."""
    case = make_case(stores, settings.exports_dir, unique_slug)
    cut: list[int] = []

    def progress(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "audit" and not cut:
            with stores.postgres.connection() as connection:
                rows = connection.execute(
                    "SELECT pg_terminate_backend(pid, 10000), pid FROM pg_stat_activity"
                    " WHERE application_name = 'chronos_assets' AND query LIKE %s AND pid <> pg_backend_pid()",
                    ("%pg_advisory_unlock_shared%",),
                ).fetchall()
            cut.extend(row["pid"] for row in rows)

    own = replace(stores, postgres=Postgres(servers.postgres_dsn))
    assert export_dataset(case.save(), own, settings, progress=progress).published
    assert cut
    assert [attempt.verdict for attempt in list_attempts(stores.postgres, unique_slug)] == ["passed"]
    assert get_dataset(stores.postgres, unique_slug).revision == 1
    own.postgres.close()


def test_a_connection_that_is_lost_is_replaced(servers: Connections, stores: Stores) -> None:
    """What is asked over one connection goes over another once the server has ended it; a statement that fails loses nothing."""
    postgres = Postgres(servers.postgres_dsn)
    with stores.postgres.connection() as other, postgres.session_lock("replaced") as held:
        one = postgres.over(held)
        assert list_datasets(one) is not None
        with one.connection() as connection:
            assert connection is held
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (held.info.backend_pid,))
        with one.connection() as connection:
            assert connection is not held
            assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    postgres.close()


def test_an_older_registry_that_is_brought_forward_is_told(servers: Connections, settings: Settings, stores: Stores) -> None:
    """Both schemas are named, once."""
    told: list[str] = []
    with stores.postgres.connection() as connection:
        connection.execute("CREATE DATABASE brought_forward")
    older = urlsplit(servers.postgres_dsn)._replace(path="/brought_forward").geturl()
    try:
        migrate(Postgres(older), "0001")
        for _ in range(2):
            open_stores(replace(servers, postgres_dsn=older), settings, told.append).postgres.close()
    finally:
        with stores.postgres.connection() as connection:
            connection.execute("DROP DATABASE brought_forward WITH (FORCE)")
    assert told == [f"the registry of an older version was brought forward, from schema 0001 to {newest_version()}"]
