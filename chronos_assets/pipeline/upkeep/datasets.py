"""Published datasets seen from outside: what there is, what their revisions take in space, and how one is retired.

QuestDB has no row delete. A retired dataset, like an old revision, is out of every reader's reach but stays on disk until the table is
made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chronos_assets.errors import ConflictError
from chronos_assets.pipeline.upkeep.retire import remove_folds
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import DatasetRecord, Standing, delete_dataset, get_dataset, lock_key, standing_on
from chronos_assets.storage.delivery import bars_of, table_bytes
from chronos_assets.storage.lfs import list_lfs
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import list_models
from chronos_assets.storage.retention import fold_files_of_dataset
from chronos_assets.storage.runs import files_lock
from chronos_assets.storage.stores import Stores

RECLAIM = (
    "`chronos prune` gives the space of dead rows back once they are more than half of a table; `chronos services status` counts them."
)
AUDITS_SHOWN = 10


@dataclass(frozen=True)
class TagSpace:
    """Rows under one tag, the part of the table's disk that they take (by share of rows), and whether readers use it."""

    tag: str
    rows: int
    bytes: int
    registered: bool


def summaries(records: Sequence[DatasetRecord]) -> list[dict[str, Any]]:
    """Published datasets, one line each."""
    return [_summary(record) for record in records]


def describe(stores: Stores, slug: str) -> dict[str, Any]:
    """One dataset: its record, columns, tags with their space, the last audits, and what stands on it."""
    record = get_dataset(stores.postgres, slug)
    tags = tag_space(stores, record)
    audits = list_attempts(stores.postgres, slug)[-AUDITS_SHOWN:]
    return {
        **_summary(record),
        "columns": [asdict(column) for column in record.columns],
        "tags": [asdict(tag) for tag in tags],
        "old_revision_rows": sum(tag.rows for tag in tags if not tag.registered),
        "old_revision_bytes": sum(tag.bytes for tag in tags if not tag.registered),
        "audits": [
            {
                "audit_id": a.audit_id,
                "questdb_tag": a.questdb_tag,
                "mode": a.mode,
                "verdict": a.verdict,
                "rows": a.row_count,
                "started_at": a.started_at.isoformat(),
            }
            for a in audits
        ],
        **asdict(standing_on(stores.postgres, slug)),
        "reclaim": RECLAIM if len(tags) > 1 else None,
    }


def tag_space(stores: Stores, record: DatasetRecord) -> list[TagSpace]:
    """Every tag that was ever used for the dataset and still holds rows, with the space it takes."""
    names = dict.fromkeys([record.questdb_tag, *(a.questdb_tag for a in list_attempts(stores.postgres, record.dataset_id))])
    return _space_of(stores, names, record.questdb_tag)


def _space_of(stores: Stores, names: Iterable[str], registered: str | None) -> list[TagSpace]:
    per_row = table_bytes(stores.questdb)
    rows = {name: bars_of(stores.questdb, name) for name in names}
    return [TagSpace(name, n, round(n * per_row), name == registered) for name, n in rows.items() if n]


def retire(stores: Stores, slug: str, *, with_runs: bool = False) -> dict[str, Any]:
    """Take a dataset out of the registry, with its feature selections and the files that nothing else uses; says what stays in QuestDB.

    Raises `ConflictError` if runs stand on it (unless `with_runs`: then they and their simulations go too) or an export works on it.
    """
    record = get_dataset(stores.postgres, slug)
    with stores.postgres.session_lock(lock_key(slug), what=f"dataset {slug}") as connection:
        tags = tag_space(stores, record)
        standing = standing_on(stores.postgres, slug)
        if standing.runs and not with_runs:
            raise _in_use(slug, standing)
        selections = list_lfs(stores.postgres, slug)
        with files_lock(stores.postgres):
            folds, models = fold_files_of_dataset(stores.postgres, slug), list_models(stores.postgres, slug)
            with stores.postgres.wrapped():
                delete_dataset(connection, slug)
            remove_folds(stores, folds)
            for model in models:
                ModelArtifacts(stores.artifacts).remove(model.model_id)
        # A process that still works on one notices that its row is gone, and removes what it wrote since.
        for selection in selections:
            LfsArtifacts(stores.artifacts, selection.lfs_id, len(selection.feature_columns)).remove()
    return _retired(slug, standing, tags, published=True)


def retire_unpublished(stores: Stores, slug: str) -> dict[str, Any]:
    """What stays of a dataset whose attempts never came as far as the registry: the rows under their tags."""
    names = dict.fromkeys(attempt.questdb_tag for attempt in list_attempts(stores.postgres, slug))
    return _retired(slug, standing_on(stores.postgres, slug), _space_of(stores, names, None), published=False)


def _retired(slug: str, standing: Standing, tags: Sequence[TagSpace], *, published: bool) -> dict[str, Any]:
    return {
        "retired": slug,
        "published": published,
        **asdict(standing),
        "rows_left": sum(tag.rows for tag in tags),
        "bytes_left": sum(tag.bytes for tag in tags),
        "tags": [asdict(tag) | {"registered": False} for tag in tags],
        "reclaim": RECLAIM,
    }


def _in_use(slug: str, standing: Standing) -> ConflictError:
    return ConflictError(
        f"{standing.runs} walk-forward runs depend on dataset {slug}",
        code="dataset_in_use",
        found=f"{standing.runs} runs, {standing.simulations} simulations",
        hint=f"`chronos datasets retire {slug} --with-runs` takes them out of the registry too.",
        slug=slug,
    )


def _summary(record: DatasetRecord) -> dict[str, Any]:
    return {
        "dataset": record.dataset_id,
        "symbol": record.symbol,
        "granularity": record.granularity,
        "source": record.source,
        "questdb_tag": record.questdb_tag,
        "revision": record.revision,
        "rows": record.row_count,
        "first_bar": record.first_bar_ts.isoformat(),
        "last_bar": record.last_bar_ts.isoformat(),
        "features": len(record.names("feature")),
        "targets": record.names("target"),
        "prices": record.names("price"),
        "checksum": record.checksum,
        "content_hash": record.content_hash,
        "updated_at": record.updated_at.isoformat(),
    }
