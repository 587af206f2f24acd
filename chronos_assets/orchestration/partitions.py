"""One partition per dataset, named by its slug and kept until the user retires the dataset."""

from __future__ import annotations

from collections.abc import Mapping

from dagster import AssetKey, DagsterEvent, DagsterInstance, DynamicPartitionsDefinition, OpExecutionContext, RunRequest

from chronos_assets.orchestration.dagster_internals import BACKFILL_ID_TAG, AssetMaterializationPlannedData
from chronos_assets.orchestration.run_tags import PARTITION_TAG

DATASETS = DynamicPartitionsDefinition(name="dataset")


def known_slugs(instance: DagsterInstance) -> list[str]:
    """Slugs that have a partition, in alphabetical order."""
    return sorted(instance.get_dynamic_partitions("dataset"))


def add_partitions(instance: DagsterInstance, slugs: list[str]) -> list[str]:
    """Add what is missing; returns the slugs that were new."""
    new = sorted(set(slugs) - set(instance.get_dynamic_partitions("dataset")))
    if new:
        instance.add_dynamic_partitions("dataset", new)
    return new


def launched_in_ui(tags: Mapping[str, str]) -> str:
    """Why a run exists that neither a command nor a sensor asked for."""
    return f"backfill {tags[BACKFILL_ID_TAG]} in the UI" if BACKFILL_ID_TAG in tags else "launched in the UI"


def drop_partition(instance: DagsterInstance, slug: str) -> bool:
    """Take the partition of `slug` away; whether there was one. Its runs and their events stay on record."""
    if slug not in instance.get_dynamic_partitions("dataset"):
        return False
    instance.delete_dynamic_partition("dataset", slug)
    return True


def mark_damaged(context: OpExecutionContext, *assets: str) -> None:
    """Show the partition of these assets as failed until they are materialized again, though their last materialization succeeded.

    Dagster calls a partition failed if the last attempt to materialize it is newer than the last materialization, and its run failed. So
    this run, which is about to fail, counts as an attempt.
    """
    for asset in assets:
        planned = AssetMaterializationPlannedData(AssetKey(asset), partition=context.partition_key)
        event = DagsterEvent.build_asset_materialization_planned_event(
            context.job_name, context.get_step_execution_context().step.key, planned
        )
        context.instance.report_dagster_event(event, run_id=context.run_id)


def partition_run(run_key: str, slug: str, tags: Mapping[str, str]) -> RunRequest:
    """A request of a run of `slug`, whose partition exists or is added in the same tick.

    It bears the tag of its partition already: without it, Dagster asks its database about the partition of every request one by one.
    """
    return RunRequest(run_key=run_key, partition_key=slug, tags={**tags, PARTITION_TAG: slug})
