"""One partition per dataset, named by its slug and kept until the user retires the dataset; and the tags that say why a run exists."""

from __future__ import annotations

from collections.abc import Mapping

from dagster import DagsterInstance, DynamicPartitionsDefinition, RunRequest

DATASETS = DynamicPartitionsDefinition(name="dataset")
PARTITION_TAG = "dagster/partition"
NIGHT_TAG = "chronos/night"
WHY_TAG = "chronos/why"
CONTENT_TAG = "chronos/content"


def known_slugs(instance: DagsterInstance) -> list[str]:
    """Slugs that have a partition, in alphabetical order."""
    return sorted(instance.get_dynamic_partitions("dataset"))


def add_partitions(instance: DagsterInstance, slugs: list[str]) -> list[str]:
    """Add what is missing; returns the slugs that were new."""
    new = sorted(set(slugs) - set(instance.get_dynamic_partitions("dataset")))
    if new:
        instance.add_dynamic_partitions("dataset", new)
    return new


def partition_run(run_key: str, slug: str, tags: Mapping[str, str]) -> RunRequest:
    """A request of a run of `slug`, whose partition exists or is added in the same tick.

    It bears the tag of its partition already: without it, Dagster asks its database about the partition of every request one by one.
    """
    return RunRequest(run_key=run_key, partition_key=slug, tags={**tags, PARTITION_TAG: slug})
