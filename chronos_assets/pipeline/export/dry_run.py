"""What an export would do, found out by reading only: no table is made, no row written, no file kept."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chronos_assets.errors import ChronosError
from chronos_assets.pipeline.export.normalize import normalize_dataset
from chronos_assets.pipeline.export.plan import History, plan_export, plan_unregistered
from chronos_assets.pipeline.export.planning import on_columns
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.export.write import check_transport
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.migrate import current_version, newest_version
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.questdb import QuestDB

# Stands for the random part of a tag, which is chosen when the export runs.
ANY_RANDOM_PART = "*"


def dry_run(
    loaded: LoadedManifest,
    settings: Settings,
    questdb: QuestDB | None,
    postgres: Postgres | None,
    *,
    registry: bool = True,
    options: ExportOptions | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """The plan of an export as a JSON-able document. Refuses what the export would refuse. A store that is None was not looked at."""
    options = options or ExportOptions()
    if questdb is not None:
        check_transport(options, questdb.transport)
    with tempfile.TemporaryDirectory(prefix="chronos-dry-run-") as folder:
        elsewhere = Settings(**{**settings.model_dump(), "home": Path(folder)})
        normalized = normalize_dataset(
            loaded,
            elsewhere,
            progress=progress,
            published=lambda: _published_checksum(postgres, loaded.manifest.dataset),
        )
        source = Source.of(loaded, normalized)
        options = on_columns(options, source)
        plan = (
            plan_export(source, questdb, _history(postgres, source.slug), elsewhere, options=options, progress=progress)
            if registry
            else plan_unregistered(source, questdb, settings, token=ANY_RANDOM_PART, options=options, progress=progress)
        )
    return {
        "dataset": source.slug,
        "dry_run": True,
        "rows_total": source.rows,
        "first_bar": source.first_bar.isoformat(),
        "last_bar": source.last_bar.isoformat(),
        "checksum": source.checksum,
        "content_hash": source.content_hash,
        "columns": [asdict(column) for column in plan.source.columns],
        "warnings": [warning.model_dump() for warning in normalized.report.warnings],
        **plan.as_dict(),
    }


def _history(postgres: Postgres | None, slug: str) -> History | None:
    """What the registry says; nothing yet if it has no tables, None if it was not looked at."""
    if postgres is None:
        return None
    return History.of(postgres, slug) if _has_registry(postgres) else History()


def _has_registry(postgres: Postgres) -> bool:
    return current_version(postgres) == newest_version()


def _published_checksum(postgres: Postgres | None, slug: str) -> str | None:
    try:
        record = find_dataset(postgres, slug) if postgres is not None and _has_registry(postgres) else None
    except ChronosError:
        return None
    return None if record is None else record.checksum
