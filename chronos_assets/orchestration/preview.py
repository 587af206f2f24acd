"""Interfaces of Dagster that are not final yet, used through here only: checks that belong to a partition, and observed sources.

pyproject.toml pins the minor release because of them. Their warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dagster import (
    AssetChecksDefinition,
    AssetCheckSpec,
    AssetsDefinition,
    BetaWarning,
    DataVersionsByPartition,
    PreviewWarning,
    asset_check,
    multi_asset_check,
    observable_source_asset,
)

from chronos_assets.orchestration.dagster_internals import create_external_asset_from_source_asset
from chronos_assets.orchestration.partitions import DATASETS


@contextmanager
def accepted() -> Iterator[None]:
    """Use an interface that Dagster calls beta or preview, knowingly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)
        warnings.simplefilter("ignore", PreviewWarning)
        # Dagster itself reads this deprecated property when it resolves an observed source
        warnings.filterwarnings("ignore", message="Property `OpDefinition.version` is deprecated", category=DeprecationWarning)
        yield


def versions_by_partition(versions: Mapping[str, str]) -> DataVersionsByPartition:
    """What an observed source saw: partition -> data version."""
    with accepted():
        return DataVersionsByPartition(versions)


def observed_source(**options: Any) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """`observable_source_asset`, partitioned by dataset."""

    def decorate(function: Callable[..., Any]) -> AssetsDefinition:
        with accepted():
            source = observable_source_asset(partitions_def=DATASETS, **options)(function)
            return source if isinstance(source, AssetsDefinition) else create_external_asset_from_source_asset(source)

    return decorate


def dataset_check(**options: Any) -> Callable[[Callable[..., Any]], AssetChecksDefinition]:
    """`asset_check` whose evaluations belong to the dataset's partition."""

    def decorate(function: Callable[..., Any]) -> AssetChecksDefinition:
        with accepted():
            return asset_check(partitions_def=DATASETS, **options)(function)

    return decorate


def dataset_checks(
    asset: str, checks: dict[str, tuple[str, bool]], **options: Any
) -> Callable[[Callable[..., Any]], AssetChecksDefinition]:
    """Several checks of one asset in one step: name -> (description, blocking)."""

    def decorate(function: Callable[..., Any]) -> AssetChecksDefinition:
        with accepted():
            specs: Sequence[AssetCheckSpec] = [
                AssetCheckSpec(name, asset=asset, description=text, blocking=blocking, partitions_def=DATASETS)
                for name, (text, blocking) in checks.items()
            ]
            return multi_asset_check(specs=specs, can_subset=True, **options)(function)

    return decorate


__all__ = ["accepted", "dataset_check", "dataset_checks", "observed_source", "versions_by_partition"]
