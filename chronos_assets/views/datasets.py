"""Published datasets as readers see them: the registry's rows, one dataset whole, its columns with their statistics, its audits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from chronos_assets.domain.redaction import without_folders
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import ChronosError, NotPublishedError
from chronos_assets.pipeline.upkeep import datasets as use_case
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import AuditRecord
from chronos_assets.storage.datasets import DatasetRecord, Role, get_dataset, iter_bars, standing_on
from chronos_assets.storage.datasets import list_datasets as registry
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest, manifest_path
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.pages import Page

# Values that are read at once for statistics of columns.
STATISTICS_CELLS = 4_000_000


def list_summaries(stores: Stores) -> doc.DatasetList:
    """All published datasets as the command line lists them."""
    return doc.DatasetList(datasets=[doc.DatasetSummary(**one) for one in use_case.summaries(_registry(stores.postgres))])


def report(stores: Stores, slug: str) -> doc.DatasetReport:
    """One dataset as the command line shows it; raises `NotPublishedError`."""
    return doc.DatasetReport(**use_case.describe(stores, slug))


def list_datasets(
    postgres: Postgres, *, symbol: str | None = None, granularity: str | None = None, q: str | None = None
) -> list[doc.Dataset]:
    """The registry's rows by name. `q`: part of the name, in any case."""
    chosen = [
        record
        for record in _registry(postgres)
        if symbol in {None, record.symbol} and granularity in {None, record.granularity} and (q or "").lower() in record.dataset_id
    ]
    standing = _standing(postgres) if chosen else {}
    return [_dataset(record, *standing.get(record.dataset_id, (0, 0))) for record in chosen]


def read_dataset(stores: Stores, slug: str) -> doc.DatasetDetail:
    """One dataset with its columns, its last audit and the profiles of its manifest."""
    record, counts = get_dataset(stores.postgres, slug), standing_on(stores.postgres, slug)
    audits = list_audits(stores.postgres, slug, limit=1).items
    loaded, warnings = _manifest(stores.settings, slug)
    return doc.DatasetDetail(
        **_dataset(record, counts.runs, counts.simulations).model_dump(),
        columns=[doc.Column.model_validate(column) for column in record.columns],
        last_audit=audits[0] if audits else None,
        walkforward_profiles={} if loaded is None else {n: p.model_dump(mode="json") for n, p in loaded.manifest.walkforward.items()},
        simulation_profiles={} if loaded is None else {n: p.model_dump(mode="json") for n, p in loaded.manifest.simulation.items()},
        warnings=warnings,
    )


def list_audits(postgres: Postgres, slug: str, *, limit: int = 100, before: int | None = None) -> Page[doc.Audit]:
    """Attempts on a dataset, the newest first, from audit `before` on; the cursor is the last audit's number."""
    with postgres.connection() as connection:
        total = connection.execute(query("attempts_total"), {"slug": slug}).fetchone()
        rows = connection.execute(query("attempts_page"), {"slug": slug, "before": before, "limit": limit + 1}).fetchall()
    audits = [doc.Audit.model_validate(AuditRecord(**row)) for row in rows[:limit]]
    return Page(audits, total["total"] if total else 0, str(audits[-1].audit_id) if len(rows) > limit else None)


def column_statistics(stores: Stores, slug: str, role: Role, *, q: str | None = None) -> list[doc.ColumnStatistics]:
    """Columns of one role with nulls, smallest, largest and mean value over the published bars. Targets say how far they look ahead."""
    record = get_dataset(stores.postgres, slug)
    columns = [column for column in record.columns if column.role == role and (q or "").lower() in column.name.lower()]
    if not columns:
        return []
    found = _statistics(stores, record, [column.name for column in columns])
    loaded, _ = _manifest(stores.settings, slug)
    statistics: list[doc.ColumnStatistics] = []
    for column in columns:
        values = {**asdict(column), **found[column.name]}
        if role == "target":
            horizon, assumed = (1, True) if loaded is None else loaded.manifest.horizon(column.name)
            statistics.append(doc.TargetStatistics(**values, horizon=horizon, horizon_assumed=assumed))
        else:
            statistics.append(doc.ColumnStatistics(**values))
    return statistics


def sample_columns(stores: Stores, slug: str, points: int = 40) -> dict[str, list[float | None]]:
    """About `points` values of every column, taken at equal distances over the published bars."""
    record = get_dataset(stores.postgres, slug)
    step, parts, offset = max(1, record.row_count // points), [], 0
    for piece in iter_bars(stores.questdb, record, [record.column(column.name) for column in record.columns]):
        parts.append(piece.slice(-offset % step).gather_every(step))
        offset += piece.height
    frame = pl.concat(parts)
    return {column.name: frame[column.name].cast(pl.Float64).fill_nan(None).to_list() for column in record.columns}


def check_slug(postgres: Postgres, slug: str) -> None:
    """Raise `NotPublishedError` that names the nearest dataset if there is none of this name."""
    names = [record.dataset_id for record in _registry(postgres)]
    if slug not in names:
        close = nearest(slug, names)
        hint = f"Did you mean {close!r}?" if close else "`chronos datasets list` shows them."
        raise NotPublishedError(f"there is no dataset {slug}", code="not_published", hint=hint, slug=slug)


def _statistics(stores: Stores, record: DatasetRecord, names: list[str]) -> dict[str, dict[str, Any]]:
    """Per column: `nulls`, `min`, `max`, `mean`. The bars are read in pieces of bounded size."""
    columns = [record.column(name) for name in names]
    parts = []
    for piece in iter_bars(stores.questdb, record, columns, cells=STATISTICS_CELLS):
        filled = piece.select(pl.col(name).cast(pl.Float64).fill_nan(None) for name in names)
        parts.append(
            pl.DataFrame(
                {
                    "name": names,
                    "nulls": filled.null_count().row(0),
                    "count": filled.count().row(0),
                    "min": pl.Series(filled.min().row(0), dtype=pl.Float64),
                    "max": pl.Series(filled.max().row(0), dtype=pl.Float64),
                    "sum": pl.Series(filled.sum().row(0), dtype=pl.Float64),
                }
            )
        )
    pooled = pl.concat(parts).group_by("name").agg(pl.col("nulls", "count", "sum").sum(), pl.col("min").min(), pl.col("max").max())
    mean = pl.when(pl.col("count") > 0).then(pl.col("sum") / pl.col("count"))
    return {row.pop("name"): row for row in pooled.select("name", "nulls", "min", "max", mean=mean).to_dicts()}


def _manifest(settings: Settings, slug: str) -> tuple[LoadedManifest | None, list[doc.Warn]]:
    """The dataset's manifest if there is a readable one, else why it is left out."""
    path = manifest_path(settings.exports_dir, slug)
    if not path.is_file():
        return None, []
    try:
        return load_manifest(path, data_roots=settings.data_roots), []
    except ChronosError as error:
        return None, [doc.Warn(code="manifest_unreadable", message=without_folders(str(error)))]


def _registry(postgres: Postgres) -> list[DatasetRecord]:
    try:
        return registry(postgres)
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []


def _standing(postgres: Postgres) -> dict[str, tuple[int, int]]:
    with postgres.connection() as connection:
        rows = connection.execute(query("standing_by_dataset")).fetchall()
    return {row["dataset_id"]: (row["runs"], row["simulations"]) for row in rows}


def _dataset(record: DatasetRecord, runs: int, simulations: int) -> doc.Dataset:
    values = {name: value for name, value in vars(record).items() if name != "columns"}
    counts = {"features": len(record.names("feature")), "targets": len(record.names("target")), "runs": runs, "simulations": simulations}
    return doc.Dataset(**values, **counts)
