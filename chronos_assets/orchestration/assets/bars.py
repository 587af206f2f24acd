"""From Arrow to QuestDB, and, once audited, into the registry."""

from typing import TYPE_CHECKING

from dagster import (
    AssetExecutionContext,
    Config,
    DataVersion,
    MaterializeResult,
    ResourceParam,
    asset,
)
from pydantic import Field

from chronos_assets.orchestration.assets.files import CODE_VERSION, SOURCE_FILE, Metadata
from chronos_assets.orchestration.columns import lineage, of_registry
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import column_schema, console_link, page_link
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.pipeline.export.dataset import ExportAttempt
    from chronos_assets.storage.datasets import DatasetRecord
    from chronos_assets.storage.stores import Stores


class ExportConfig(Config):
    """How bars are written. The defaults suit every dataset."""

    replace: bool = Field(default=False, description="Write all rows under a new tag, even if published bars changed: a new revision.")
    batch_rows: int = Field(default=0, ge=0, le=100_000, description="Rows in one request; 0: the setting CHRONOS_BATCH_ROWS.")


@asset(
    partitions_def=DATASETS,
    deps=["normalized_bars", SOURCE_FILE],
    group_name="storage",
    kinds={"questdb"},
    code_version=CODE_VERSION,
    description=(
        "The bars in QuestDB, under a tag that no reader looks at before the registry names it. The check `post_export_diff` reads every "
        "row back and compares it with the Arrow file; only what passes is published."
    ),
)
def indicator_bars(context: AssetExecutionContext, config: ExportConfig, workplace: ResourceParam[Workplace]) -> MaterializeResult[None]:
    """Write what the registry does not have yet."""
    from chronos_assets.pipeline.export.dataset import ExportOptions, write_bars

    with user_facing_errors(context):
        loaded, stores = workplace.manifest(context.partition_key), workplace.stores
        bars = workplace.normalized(loaded)
        options = ExportOptions(batch_rows=config.batch_rows or None, replace=config.replace)
        attempt = write_bars(bars, loaded, stores, options=options, progress=workplace.progress(context))
        context.log.info("%s: %s of %s rows written under tag %s", attempt.kind, attempt.rows_written, attempt.rows_total, attempt.tag)
        return MaterializeResult(data_version=DataVersion(bars.report.content_hash), metadata=_written(attempt, stores))


def _written(attempt: "ExportAttempt", stores: "Stores") -> Metadata:
    from chronos_assets.storage.console import last_bars

    made_from = {c.questdb_column: [("normalized_bars", c.name)] for c in attempt.columns}
    return {
        "dagster/row_count": attempt.rows_total,
        "dagster/column_schema": column_schema(
            [("timestamp", "timestamp_ns", "bar time, UTC"), ("dataset", "symbol", f"the tag {attempt.tag}")]
            + [(c.questdb_column, "double", f"{c.role} {c.name}") for c in attempt.columns]
        ),
        "dagster/column_lineage": lineage(made_from),
        "rows_written": attempt.rows_written,
        "kind": attempt.kind,
        "questdb_tag": attempt.tag,
        "transport": attempt.transport,
        "write_seconds": round(attempt.seconds, 3),
        "unchanged": attempt.unchanged,
        "dashboard": page_link(stores.settings, f"/datasets/{attempt.dataset_id}"),
        "rows_in_console": console_link(stores.questdb.http.base, last_bars(attempt.tag), "the last 100 bars"),
    }


@asset(
    partitions_def=DATASETS,
    deps=["indicator_bars", SOURCE_FILE],
    group_name="storage",
    kinds={"postgres"},
    code_version=CODE_VERSION,
    description=(
        "The dataset's row in the registry: the one place where readers learn which tag and which bars are good. Written only if a full "
        "audit of exactly this content has passed."
    ),
)
def indicator_datasets(context: AssetExecutionContext, workplace: ResourceParam[Workplace]) -> MaterializeResult[None]:
    """Publish what a passed audit vouches for."""
    from chronos_assets.pipeline.export.dataset import publish_dataset

    with user_facing_errors(context):
        loaded, stores = workplace.manifest(context.partition_key), workplace.stores
        bars = workplace.normalized(loaded)
        record = publish_dataset(bars, loaded, stores, progress=workplace.progress(context))
        return MaterializeResult(data_version=DataVersion(record.content_hash), metadata=_published(record))


def _published(record: "DatasetRecord") -> Metadata:
    return {
        "dagster/row_count": record.row_count,
        **of_registry(record),
        "revision": record.revision,
        "questdb_tag": record.questdb_tag,
        "first_bar": record.first_bar_ts.isoformat(),
        "last_bar": record.last_bar_ts.isoformat(),
        "features": len(record.names("feature")),
        "targets": ", ".join(record.names("target")),
        "checksum": record.checksum,
        "content_hash": record.content_hash,
    }
