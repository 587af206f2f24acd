"""Puts the parts together: assets, checks, the jobs, the schedule, the sensors and the resource."""

from __future__ import annotations

from collections.abc import Mapping

from dagster import AssetSelection, Definitions, define_asset_job

from chronos_assets.orchestration.assets import ASSETS, SOURCE_NAMES, SOURCES
from chronos_assets.orchestration.catalogue import dressed
from chronos_assets.orchestration.checks import CHECKS
from chronos_assets.orchestration.executors import lineage_executor
from chronos_assets.orchestration.jobs.lfs import lfs_job
from chronos_assets.orchestration.jobs.sweep import sweep_job
from chronos_assets.orchestration.jobs.upkeep import upkeep_job
from chronos_assets.orchestration.jobs.validate_dataset import validate_job
from chronos_assets.orchestration.nightly.nightly_summary import night_summary
from chronos_assets.orchestration.nightly.schedules import nightly
from chronos_assets.orchestration.nightly.sensors import failure_alert, manifest_sensor, night_watch
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace

JOB = "whole_way"


def build_defs(resource_overrides: Mapping[str, object] | None = None) -> Definitions:
    """Everything that Dagster loads; `resource_overrides` replaces resources by name (tests and the command line give their own)."""
    workplace = Workplace()
    given = (resource_overrides or {}).get("workplace")
    if isinstance(given, Workplace):
        workplace = given
    whole_way = define_asset_job(
        JOB,
        selection=AssetSelection.assets(*SOURCE_NAMES, *ASSETS) | AssetSelection.checks_for_assets(*ASSETS),
        description="One dataset all the way: file, Arrow, QuestDB, audit, registry, walk-forward, simulation, live model.",
        tags={"dagster/retry_strategy": "ALL_STEPS"},
    )
    upkeep = upkeep_job()
    with accepted():
        return Definitions(
            assets=dressed([*SOURCES, *ASSETS, night_summary], workplace.settings),
            asset_checks=CHECKS,
            jobs=[whole_way, validate_job(), sweep_job(), lfs_job(), upkeep],
            schedules=[nightly(whole_way, workplace)],
            sensors=[manifest_sensor(whole_way, workplace), night_watch(upkeep, workplace), failure_alert(workplace)],
            resources={"workplace": workplace, **(resource_overrides or {})},
            executor=lineage_executor,
        )
