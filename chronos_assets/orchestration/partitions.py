"""One partition per dataset, named by its slug and kept until the user retires the dataset; and the tags that say why a run exists."""

from __future__ import annotations

from dagster import DagsterInstance, DynamicPartitionsDefinition

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
