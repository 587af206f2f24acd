"""What an export would do, found out by reading only: no table is made, no row written, no file kept."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chronos_assets.domain.manifest import LoadedManifest
from chronos_assets.errors import ChronosError
from chronos_assets.pipeline.export.growth import Growth
from chronos_assets.pipeline.export.normalize import normalize_dataset
from chronos_assets.pipeline.export.planning import find_growth, is_unchanged, make_plan, on_columns
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.export.write import check_transport
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.migrate import current_version, newest_version
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.tables import INDICATOR_BARS


def dry_run(
    loaded: LoadedManifest,
    settings: Settings,
    questdb: QuestDB | None,
    postgres: Postgres | None,
    *,
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
        document = {
            "dataset": source.slug,
            "dry_run": True,
            "rows_total": source.rows,
            "first_bar": source.first_bar.isoformat(),
            "last_bar": source.last_bar.isoformat(),
            "checksum": source.checksum,
            "content_hash": source.content_hash,
            "columns": [asdict(column) for column in source.columns],
            "warnings": [warning.model_dump() for warning in normalized.report.warnings],
        }
        return document | _plan(source, elsewhere, questdb, postgres, options)


def _plan(source: Source, settings: Settings, questdb: QuestDB | None, postgres: Postgres | None, options: ExportOptions) -> dict[str, Any]:
    if questdb is None or postgres is None or not _has_registry(postgres):
        kind = "first" if postgres is not None else "unknown"
        missing = None if questdb is None else _missing_columns(source, questdb)
        columns = [c.questdb_column for c in source.columns] if missing is None else missing
        return {"kind": kind, "questdb_tag": source.slug, "rows_to_write": source.rows, "columns_to_add": columns}
    missing = _missing_columns(source, questdb)
    record = find_dataset(postgres, source.slug)
    attempts = list_attempts(postgres, source.slug)
    if record is not None and not options.replace and is_unchanged(source, record, attempts):
        return {"kind": "unchanged", "questdb_tag": record.questdb_tag, "rows_to_write": 0, "columns_to_add": []}
    stores = Stores(questdb, postgres, settings.artifacts_dir, settings)
    with BarsFile(source.path) as bars:
        growth = Growth(0) if missing is None else find_growth(stores, record, source, bars, replace=options.replace, attempts=attempts)
        plan = make_plan(stores, record, source, replace=options.replace, attempts=attempts)
    rows = source.rows - growth.first_new + len(growth.filled) if plan.only_growth else source.rows
    return {
        "kind": plan.kind,
        "questdb_tag": plan.tag,
        "rows_to_write": rows,
        "columns_to_add": [c.questdb_column for c in source.columns] if missing is None else missing,
    }


def _missing_columns(source: Source, questdb: QuestDB) -> list[str] | None:
    """Columns that an export would add; None where there is no table yet."""
    if not questdb.has_table(INDICATOR_BARS.name):
        return None
    there = {name.casefold() for name in questdb.columns(INDICATOR_BARS.name)}
    return [c.questdb_column for c in source.columns if c.questdb_column.casefold() not in there]


def _has_registry(postgres: Postgres) -> bool:
    return current_version(postgres) == newest_version()


def _published_checksum(postgres: Postgres | None, slug: str) -> str | None:
    try:
        record = find_dataset(postgres, slug) if postgres is not None and _has_registry(postgres) else None
    except ChronosError:
        return None
    return None if record is None else record.checksum
