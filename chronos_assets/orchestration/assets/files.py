"""From the indicator file to normalized Arrow, and the profiles that decide what is done with it."""

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    DataVersion,
    DataVersionsByPartition,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    ResourceParam,
    asset,
)

from chronos_assets.orchestration.columns import lineage
from chronos_assets.orchestration.failures import failure, user_facing_errors
from chronos_assets.orchestration.metadata import column_schema, rounded, sparkline, table
from chronos_assets.orchestration.partitions import DATASETS, known_slugs, launched_in_ui
from chronos_assets.orchestration.preview import observed_source, versions_by_partition
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, WHY_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from chronos_assets.domain.manifest import Manifest
    from chronos_assets.ingest.report import BarsReport
    from chronos_assets.pipeline.export.normalize import NormalizedBars
    from chronos_assets.storage.manifest_files import LoadedManifest

# Among the dependencies of every asset: Dagster marks stale what depends on the change itself, not what is further down
SOURCE_FILE = "indicator_csv"
Metadata = dict[str, Any]
# Raised if the step would write other data from the same input; the data versions themselves come from content
CODE_VERSION = "1"


def asked_slugs(context: OpExecutionContext) -> list[str]:
    """The partition that is observed, or every one if the button asks for all."""
    return [context.partition_key] if context.has_partition_key else known_slugs(context.instance)


def observed(context: OpExecutionContext, workplace: Workplace, version: "Callable[[LoadedManifest], str]") -> dict[str, str]:
    """Version by slug. One dataset that cannot be read is an error where it was asked for alone, else a warning: it harms no other."""
    from chronos_assets.errors import ChronosError

    slugs = asked_slugs(context)
    found = {}
    for slug in slugs:
        try:
            found[slug] = version(workplace.manifest(slug))
        except ChronosError as error:
            if context.has_partition_key:
                raise failure(error) from None
            context.log.warning("%s: %s", slug, error)
    return found


@observed_source(
    name=SOURCE_FILE,
    group_name="ingest",
    tags={"dagster/kind/csv": "", "dagster/kind/file": ""},
    description="The indicator file that a manifest in exports/ names. Its data version is its SHA-256, so a touched file is no change.",
)
def indicator_csv(context: OpExecutionContext, workplace: ResourceParam[Workplace]) -> DataVersionsByPartition:
    """Observe the file's checksum."""
    from chronos_assets.pipeline.export.normalize import source_checksum

    return versions_by_partition(observed(context, workplace, lambda loaded: source_checksum(loaded, workplace.settings)))


@observed_source(
    name="walkforward_profiles",
    group_name="research",
    tags={"dagster/kind/yaml": ""},
    description="What the manifest asks to be trained: walk-forward profiles and target horizons. A change makes the predictions stale.",
)
def walkforward_profiles(context: OpExecutionContext, workplace: ResourceParam[Workplace]) -> DataVersionsByPartition:
    """Observe the profiles' digest."""
    return versions_by_partition(observed(context, workplace, lambda loaded: walkforward_digest(loaded.manifest)))


@observed_source(
    name="simulation_profiles",
    group_name="research",
    tags={"dagster/kind/yaml": ""},
    description="What the manifest asks to be traded: its simulation profiles. Changing one makes the simulations stale.",
)
def simulation_profiles(context: OpExecutionContext, workplace: ResourceParam[Workplace]) -> DataVersionsByPartition:
    """Observe the profiles' digest."""
    return versions_by_partition(observed(context, workplace, lambda loaded: simulation_digest(loaded.manifest)))


@asset(
    partitions_def=DATASETS,
    deps=[SOURCE_FILE],
    group_name="ingest",
    kinds={"arrow", "polars"},
    code_version=CODE_VERSION,
    description=(
        "Bars of one dataset as a typed Arrow file: UTC times strictly increasing, every indicator, target and price a float64, missing "
        "values as nulls. Refused if the file differs from the manifest's checksum (unless `on_change: grow`), or holds text."
    ),
)
def normalized_bars(context: AssetExecutionContext, workplace: ResourceParam[Workplace]) -> MaterializeResult[None]:
    """Read, normalize, write the Arrow file."""
    with user_facing_errors(context):
        bars = _normalize(context, workplace)
        report = bars.report
        note_content(context, workplace, report.checksum)
        for warning in report.warnings:
            context.log.warning("%s: %s", warning.code, warning.message)
        return MaterializeResult(data_version=DataVersion(report.content_hash), metadata=_bars_metadata(bars, report))


def note_content(context: AssetExecutionContext, workplace: Workplace, checksum: str) -> None:
    """Tag the run with the content that it reads (a night asks only for what no run has covered), and with why it runs."""
    from chronos_assets.pipeline.upkeep.changes import content_as_read

    content = content_as_read(workplace.manifest(context.partition_key), checksum, workplace.settings)
    tags = {CONTENT_TAG: content, WHY_TAG: context.run.tags.get(WHY_TAG) or launched_in_ui(context.run.tags)}
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run.run_id, tags)


def _normalize(context: AssetExecutionContext, workplace: Workplace) -> "NormalizedBars":
    """The normalized bars of this partition; an unchanged file is not read again."""
    from chronos_assets.pipeline.export.normalize import normalize_dataset

    slug = context.partition_key
    published = partial(workplace.published_checksum, slug)
    return normalize_dataset(workplace.manifest(slug), workplace.settings, published=published, progress=workplace.progress(context))


def _bars_metadata(bars: "NormalizedBars", report: "BarsReport") -> Metadata:
    values = sum(c.nulls for c in report.columns)
    cells = max(1, report.rows * len(report.columns))
    return {
        "dagster/row_count": report.rows,
        "dagster/column_schema": column_schema(
            [(k.name, "int64", "key") for k in report.keys if k.role == "key"]
            + [(c.name, "float64", _column_words(c.role, c.nulls, report.rows)) for c in report.columns]
        ),
        "dagster/column_lineage": lineage({c.name: [("indicator_csv", c.name)] for c in report.columns}),
        "prices": sparkline(_closes(bars), "closes", dates=(report.first_bar, report.last_bar)),
        "columns": len(report.columns),
        "feature_columns": len(report.by_role("feature")),
        "target_columns": len(report.by_role("target")),
        "price_columns": len(report.by_role("price")),
        "constant_columns": sum(c.constant for c in report.columns),
        "null_share": rounded(values / cells),
        "gaps": report.gaps,
        "missing_bars": report.missing_bars,
        "unexpected_gaps": report.unexpected_gaps,
        "first_bar": report.first_bar,
        "last_bar": report.last_bar,
        "checksum": report.checksum,
        "warnings": table([{"code": w.code, "message": w.message} for w in report.warnings]),
        "most_nulls": table(_most_nulls(report)),
        "file": MetadataValue.path(bars.path),
    }


def _most_nulls(report: "BarsReport") -> list[dict[str, object]]:
    ordered = sorted((c for c in report.columns if c.nulls), key=lambda c: -c.nulls)
    return [{"column": c.name, "role": c.role, "nulls": c.nulls, "share": rounded(c.nulls / max(1, report.rows))} for c in ordered]


def _column_words(role: str, nulls: int, rows: int) -> str:
    return f"{role}, {nulls:,} nulls ({100 * nulls / max(1, rows):.1f} %)" if nulls else role


def _closes(bars: "NormalizedBars") -> list[float | None]:
    import polars as pl

    names = {c.name.casefold(): c.name for c in bars.report.columns if c.role == "price"}
    if "close" not in names:
        return []
    closes: list[float | None] = pl.read_ipc(bars.path, columns=[names["close"]]).to_series().to_list()
    return closes


def walkforward_digest(manifest: "Manifest") -> str:
    """Digest of what decides the training of a dataset."""
    return _digest({"walkforward": {k: p.model_dump() for k, p in manifest.walkforward.items()}, "horizon": manifest.target_horizon})


def simulation_digest(manifest: "Manifest") -> str:
    """Digest of what decides the simulations of a dataset."""
    return _digest({"simulation": {k: p.model_dump() for k, p in manifest.simulation.items()}, "ohlcv_file": manifest.ohlcv_file})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
