"""Local Feature Selections in Postgres: their requests, how far they are, and the features that they chose.

Whether a process works on a selection is told by the session advisory lock on its id, never by its status alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import ConflictError, NotPublishedError
from chronos_assets.storage.postgres import Connection, Postgres, Row, lock_number
from chronos_assets.storage.queries import query

DIED = {"error": {"code": "died", "message": "the process that ran it is gone; the same request resumes it"}}
_JSON = ("feature_columns", "config")


@dataclass(frozen=True)
class LfsRecord:
    """One row of `lfs_runs`."""

    lfs_id: str
    dataset_id: str
    target_column: str
    feature_columns: list[str]
    config: dict[str, Any]
    status: str
    requested_by: str | None
    dagster_run_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    progress: dict[str, Any] | None
    summary_metrics: dict[str, Any] | None
    dataset_checksum: str | None
    questdb_tag: str | None
    content_hash: str | None
    code_version: str | None
    device: str | None
    cancel_requested: bool


@dataclass(frozen=True)
class LfsFeature:
    """One row of `lfs_features`; `excluded` says why a feature has no counts."""

    feature: str
    feature_no: int
    selected_count: int | None
    pct: float | None
    p_solo: float | None = None
    p_unbiased: float | None = None
    excluded: str | None = None


def lfs_lock(postgres: Postgres, lfs_id: str, *, wait_seconds: float = 0) -> AbstractContextManager[Connection]:
    """The session lock of a selection; raises `ConflictError` if another process works on it."""
    return postgres.session_lock(lock_key(lfs_id), wait_seconds=wait_seconds, what=f"feature selection {lfs_id}")


def find_lfs(postgres: Postgres, lfs_id: str) -> LfsRecord | None:
    """The selection, or None. A text that is no UUID is no selection."""
    try:
        UUID(lfs_id)
    except ValueError:
        return None
    with postgres.connection() as connection:
        row = connection.execute(query("lfs_get"), {"lfs_id": lfs_id}).fetchone()
    return None if row is None else _record(row)


def get_lfs(postgres: Postgres, lfs_id: str) -> LfsRecord:
    """The selection; raises `NotPublishedError` with the nearest known id."""
    record = find_lfs(postgres, lfs_id)
    if record is None:
        close = nearest(lfs_id, [known.lfs_id for known in list_lfs(postgres)])
        raise NotPublishedError(
            f"there is no feature selection {lfs_id}",
            code="lfs_unknown",
            hint=(f"Did you mean {close}? " if close else "") + "`chronos lfs SLUG` makes one.",
        )
    return record


def list_lfs(postgres: Postgres, dataset: str | None = None, *, target: str | None = None, status: str | None = None) -> list[LfsRecord]:
    """Selections, newest first."""
    with postgres.connection() as connection:
        rows = connection.execute(query("lfs_list"), {"dataset_id": dataset, "target": target, "status": status}).fetchall()
    return [_record(row) for row in rows]


def count_tries(postgres: Postgres, dataset: str, target: str) -> int:
    """How many selections were requested on a dataset and target."""
    with postgres.connection() as connection:
        row: Any = connection.execute(query("lfs_tries"), {"dataset_id": dataset, "target": target}).fetchone()
    return int(row["tries"])


def begin_lfs(lock: Connection, row: Mapping[str, Any]) -> None:
    """Write the request and the status `running`; call it under the selection's lock."""
    lock.execute(query("lfs_begin"), _binds(row))


def queue_lfs(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Write the request as `queued`; False if it is queued, running or completed already."""
    return connection.execute(query("lfs_queue"), _binds(row)).rowcount == 1


def request_lock(connection: Connection, lfs_id: str) -> None:
    """Wait for the lock of requests for a selection; it goes with the transaction."""
    connection.execute(query("lock_until_commit"), {"key": lock_number(f"lfs request:{lfs_id}")})


def set_dagster_run(postgres: Postgres, lfs_id: str, dagster_run_id: str) -> None:
    """Note the run of Dagster that a selection waits for."""
    with postgres.connection() as connection:
        connection.execute(query("lfs_launched"), {"lfs_id": lfs_id, "dagster_run_id": dagster_run_id})


def unqueue_lfs(postgres: Postgres, lfs_id: str, before: LfsRecord | None) -> None:
    """Take a queued request back: the row is as it was `before`."""
    with postgres.connection() as connection:
        if before is None:
            connection.execute(query("lfs_forget"), {"lfs_id": lfs_id})
        else:
            binds = {"lfs_id": lfs_id, "status": before.status, "completed_at": before.completed_at}
            connection.execute(query("lfs_restore"), binds)


def end_queued(postgres: Postgres, lfs_id: str) -> None:
    """Set a request that still waits to `failed`."""
    with postgres.connection() as connection:
        connection.execute(query("lfs_restore"), {"lfs_id": lfs_id, "status": "failed", "completed_at": None})


def tell_progress(lock: Connection, lfs_id: str, progress: Mapping[str, Any]) -> bool:
    """Write how far a selection is; True if it was asked to stop, or went with its dataset."""
    row = lock.execute(query("lfs_progress"), {"lfs_id": lfs_id, "progress": Jsonb(dict(progress))}).fetchone()
    return row is None or bool(row["cancel_requested"])


def write_features(lock: Connection, lfs_id: str, features: Sequence[LfsFeature]) -> None:
    """Write the counts and p-values of all features in one transaction."""
    with lock.transaction():
        lock.cursor().executemany(query("lfs_feature_write"), [{"lfs_id": lfs_id, **vars(feature)} for feature in features])


def end_lfs(
    lock: Connection,
    lfs_id: str,
    status: str,
    *,
    seconds: float,
    summary: Mapping[str, Any] | None,
    progress: Mapping[str, Any] | None,
) -> bool:
    """Write the status that a selection ended with, on the connection that holds its lock; False if it went with its dataset."""
    binds = {
        "lfs_id": lfs_id,
        "status": status,
        "milliseconds": round(1000 * seconds),
        "summary_metrics": None if summary is None else Jsonb(dict(summary)),
        "progress": None if progress is None else Jsonb(dict(progress)),
    }
    return lock.execute(query("lfs_end"), binds).rowcount == 1


def ask_to_cancel(postgres: Postgres, lfs_id: str) -> bool:
    """Ask a selection to stop (one that waits is cancelled at once); False if it neither waits nor runs."""
    with postgres.connection() as connection:
        return connection.execute(query("lfs_cancel"), {"lfs_id": lfs_id}).rowcount == 1


def declare_dead_lfs(postgres: Postgres) -> list[str]:
    """Set every selection that is `running` while nobody holds its lock to `failed`; returns their ids."""
    with postgres.connection() as connection:
        running = [str(row["lfs_id"]) for row in connection.execute(query("lfs_running")).fetchall()]
    return [lfs_id for lfs_id in running if _declare_dead(postgres, lfs_id)]


def get_lfs_features(postgres: Postgres, lfs_id: str) -> list[LfsFeature]:
    """Features of a selection, most often chosen first."""
    with postgres.connection() as connection:
        return [LfsFeature(**row) for row in connection.execute(query("lfs_features"), {"lfs_id": lfs_id}).fetchall()]


def _declare_dead(postgres: Postgres, lfs_id: str) -> bool:
    try:
        with lfs_lock(postgres, lfs_id) as connection, postgres.wrapped():
            return connection.execute(query("lfs_declare_dead"), {"lfs_id": lfs_id, "note": Jsonb(DIED)}).rowcount == 1
    except ConflictError:
        return False


def _binds(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if name in _JSON else value for name, value in row.items()}


def lock_key(lfs_id: str) -> str:
    """Name of the session lock of a selection."""
    return f"lfs:{lfs_id}"


def _record(row: Row) -> LfsRecord:
    kept = {name: value for name, value in row.items() if name in LfsRecord.__dataclass_fields__}
    return LfsRecord(**(kept | {"lfs_id": str(row["lfs_id"])}))
