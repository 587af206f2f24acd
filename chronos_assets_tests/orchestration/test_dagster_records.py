"""Dagster's records on our Postgres: what goes with a run that is deleted."""

from __future__ import annotations

import secrets

from dagster import AssetCheckResult, AssetKey, DagsterInstance, asset, asset_check, materialize
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from sqlalchemy import func, select

from chronos_assets.orchestration.instance import open_instance
from chronos_assets.services import Connections
from chronos_assets.settings import Settings


def _checks_of(instance: DagsterInstance, run_id: str) -> int:
    """Evaluations of checks that are kept of a run."""
    table = AssetCheckExecutionsTable
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        return int(connection.execute(select(func.count()).select_from(table).where(table.c.run_id == run_id)).scalar_one())


def test_the_checks_of_a_run_go_with_it_and_those_of_others_stay(servers: Connections, settings: Settings) -> None:
    name = f"records_{secrets.token_hex(4)}"

    @asset(name=name)
    def some_asset() -> None: ...

    @asset_check(asset=AssetKey(name))
    def some_check() -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    with open_instance(settings, captured_output=False) as instance:
        old, new = (materialize([some_asset, some_check], instance=instance).run_id for _ in range(2))
        assert (_checks_of(instance, old), _checks_of(instance, new)) == (1, 1)
        instance.delete_run(old)
        assert (_checks_of(instance, old), _checks_of(instance, new)) == (0, 1)
        instance.delete_run(new)
        instance.wipe_assets([AssetKey(name)])
