"""Walk-forward runs in both stores: their rows, their folds' rows, their predictions.

A fold is stored when its Postgres row commits, and that only after its predictions are visible in QuestDB (`store_folds` keeps the
order). Whether anybody works on a run is told by the session advisory lock on its `run_id`, never by its status alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from psycopg.types.json import Jsonb

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import ConflictError, NotPublishedError, StoreError
from chronos_assets.storage.fold_artifacts import FoldFiles
from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.postgres import Connection, Postgres, Row, lock_number
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import TIMESTAMP, WALKFORWARD_PREDICTIONS
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing_to

PREDICTION_COLUMNS = (*WALKFORWARD_PREDICTIONS.longs, *WALKFORWARD_PREDICTIONS.doubles)
# More names would not fit into the request line that QuestDB takes.
IDS_PER_QUERY = 100
# Writes or verifies the files of folds; gives the folds that have them, with their hashes.
KeepFiles = Callable[[Sequence["FoldRecord"]], Sequence["FoldRecord"]]
JSON_COLUMNS = ("thresholds", "metrics", "importance", "versions")
# Keys of `walk_config` that follow from the content: runs that differ in nothing else asked for the same.
OF_CONTENT = ("rows", "folds_planned")
FILES, FILES_SECONDS = "walkforward files", 60.0
DIED = {"error": {"code": "died", "message": "the process that ran it is gone; the same request resumes it"}}


@dataclass(frozen=True)
class RunRecord:
    """One row of `walkforward_runs`."""

    run_id: str
    dataset_id: str
    target_column: str
    feature_columns: list[str]
    hyperparameters: dict[str, Any]
    walk_config: dict[str, Any]
    status: str
    requested_by: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    summary_metrics: dict[str, Any] | None
    created_at: datetime
    dataset_checksum: str | None
    questdb_tag: str | None
    content_hash: str | None
    code_version: str | None
    device: str | None
    pinned_at: datetime | None = None
    folds_present: int | None = None


@dataclass(frozen=True)
class FoldRecord:
    """One row of `walkforward_folds`. Indices are half-open row positions; `*_end_ts` is the time of the first bar outside."""

    run_id: str
    fold_number: int
    train_start_idx: int
    train_end_idx: int
    test_start_idx: int
    test_end_idx: int
    train_start_ts: datetime | None
    train_end_ts: datetime | None
    test_start_ts: datetime | None
    test_end_ts: datetime | None
    samples_train: int
    samples_test: int
    best_iteration: int | None
    best_score: float | None
    thresholds: dict[str, Any]
    metrics: dict[str, Any]
    fold_key: str | None
    artifact: str | None
    importance: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    artifact_sha256: str | None = None
    artifact_bytes: int | None = None
    validation_sha256: str | None = None
    validation_bytes: int | None = None
    pack: str | None = None

    @property
    def files(self) -> FoldFiles:
        """The fold's model and cases as they were stored."""
        return FoldFiles(**{name: getattr(self, name) for name in FoldFiles.__dataclass_fields__})


@dataclass(frozen=True)
class FeatureImportance:
    """Importance of one feature, summed over the folds of a run."""

    gain: float
    splits: int
    shap: float
    test_rows: int


def lock_key(run_id: str) -> str:
    """Name of the session lock of a run."""
    return f"walkforward:{run_id}"


def run_lock(postgres: Postgres, run_id: str, *, wait_seconds: float = 0) -> AbstractContextManager[Connection]:
    """The session lock of a run, as the connection that holds it; raises `ConflictError` if another process works on the run."""
    return postgres.session_lock(lock_key(run_id), wait_seconds=wait_seconds, what=f"run {run_id}")


def find_run(postgres: Postgres, run_id: str) -> RunRecord | None:
    """The run, or None. A text that is no UUID is no run."""
    try:
        UUID(run_id)
    except ValueError:
        return None
    with postgres.connection() as connection:
        row = connection.execute(query("run_get"), {"run_id": run_id}).fetchone()
    return None if row is None else _run_from(row)


def get_run(postgres: Postgres, run_id: str) -> RunRecord:
    """The run; raises `NotPublishedError` with the nearest known run_id."""
    record = find_run(postgres, run_id)
    if record is None:
        with postgres.connection() as connection:
            near = connection.execute(query("runs_near"), {"prefix": hint_prefix(run_id)}).fetchall()
        close = nearest(run_id, [row["id"] for row in near])
        raise NotPublishedError(
            f"there is no walk-forward run {run_id}",
            code="run_unknown",
            hint=(f"Did you mean {close}? " if close else "") + "`chronos runs list` shows them.",
        )
    return record


def hint_prefix(text: str) -> str:
    """The beginning of a mistyped id, as the hint looks it up: four characters, none of which LIKE takes for a pattern."""
    return "".join(c for c in text.lower()[:4] if c in "0123456789abcdef-")


def list_runs(postgres: Postgres, slug: str | None = None) -> list[RunRecord]:
    """Runs, newest first, with the number of folds that each has stored."""
    with postgres.connection() as connection:
        return [_run_from(row) for row in connection.execute(query("run_list"), {"dataset_id": slug}).fetchall()]


def begin_run(postgres: Postgres, row: Mapping[str, Any]) -> None:
    """Write the run's request and the status `running`; call it under the run's lock."""
    json_columns = ("feature_columns", "hyperparameters", "walk_config")
    with postgres.connection() as connection:
        connection.execute(query("run_begin"), {k: Jsonb(v) if k in json_columns else v for k, v in row.items()})


def end_run(lock: Connection, run_id: str, status: str, *, seconds: float, summary: dict[str, Any] | None) -> None:
    """Write the status that a run ended with, the time it took, and its summary.

    On the connection that holds the run's lock: whoever lost the lock must not speak over the one who went on with the run.
    """
    binds = {
        "run_id": run_id,
        "status": status,
        "milliseconds": round(1000 * seconds),
        "summary_metrics": None if summary is None else Jsonb(summary),
    }
    lock.execute(query("run_end"), binds)


def keep_in_summary(postgres: Postgres, run_id: str, entries: Mapping[str, Any]) -> None:
    """Put `entries` into the summary of a run that has one."""
    with postgres.connection() as connection:
        connection.execute(query("run_summary_add"), {"run_id": run_id, "entries": Jsonb(dict(entries))})


def request_as(postgres: Postgres, run_id: str, profile: str) -> None:
    """Record that a profile of the dataset's manifest asks for a run now."""
    with postgres.connection() as connection:
        connection.execute(query("run_profile_request"), {"run_id": run_id, "profile": profile, "of_content": list(OF_CONTENT)})


def run_bars(postgres: Postgres, run_ids: Sequence[str]) -> dict[str, int]:
    """Bars of the dataset as each of these runs saw it."""
    with postgres.connection() as connection:
        rows = connection.execute(query("run_bars"), {"run_ids": list(run_ids)}).fetchall()
    return {row["run_id"]: row["bars"] for row in rows}


def pin_run(postgres: Postgres, run_id: str, *, pinned: bool) -> None:
    """Keep a run from the retention policy, or leave it to the policy again."""
    with postgres.connection() as connection:
        connection.execute(query("run_pin" if pinned else "run_unpin"), {"run_id": run_id})


def declare_dead_runs(postgres: Postgres) -> list[str]:
    """Set every run that is `running` while nobody holds its lock to `failed`; returns their ids."""
    with postgres.connection() as connection:
        running = [str(row["run_id"]) for row in connection.execute(query("runs_running")).fetchall()]
    return [run_id for run_id in running if _declare_dead(postgres, run_id)]


def _declare_dead(postgres: Postgres, run_id: str) -> bool:
    """Under the run's lock, so that nobody can begin the run meanwhile."""
    try:
        with run_lock(postgres, run_id) as connection, postgres.wrapped():
            return connection.execute(query("run_declare_dead"), {"run_id": run_id, "note": Jsonb(DIED)}).rowcount == 1
    except ConflictError:
        return False


def get_folds(postgres: Postgres, run_id: str) -> list[FoldRecord]:
    """Stored folds of a run, by number, without their feature importance (`pooled_importance` sums it)."""
    with postgres.connection() as connection:
        return [fold_from(row) for row in connection.execute(query("folds_get"), {"run_id": run_id}).fetchall()]


def fold_numbers(postgres: Postgres, run_id: str) -> list[int]:
    """Numbers of the folds that a run has stored, in order."""
    with postgres.connection() as connection:
        return [row["fold_number"] for row in connection.execute(query("fold_numbers"), {"run_id": run_id}).fetchall()]


def stored_fold_files(postgres: Postgres, run_id: str) -> dict[int, FoldFiles]:
    """The files of the folds that a run has stored, by fold number."""
    with postgres.connection() as connection:
        rows = connection.execute(query("fold_files"), {"run_id": run_id}).fetchall()
    return {row.pop("fold_number"): FoldFiles(**row) for row in rows}


def pooled_importance(postgres: Postgres, run_id: str) -> list[FeatureImportance]:
    """Sums over the folds of a run, one entry per feature in the run's order."""
    with postgres.connection() as connection:
        return [FeatureImportance(**row) for row in connection.execute(query("run_importance"), {"run_id": run_id}).fetchall()]


def files_lock(postgres: Postgres, *, wait_seconds: float | None = None) -> AbstractContextManager[Connection]:
    """The lock under which files of folds are removed: nobody stores a fold meanwhile, so none is stored whose files just went."""
    seconds = FILES_SECONDS if wait_seconds is None else wait_seconds
    return postgres.session_lock(FILES, wait_seconds=seconds, what="the files of folds")


def store_folds(
    stores: Stores,
    lock: Connection,
    folds: Sequence[FoldRecord],
    predictions: pl.DataFrame,
    *,
    keep_files: KeepFiles,
) -> set[int]:
    """Store folds: predictions first, a wait until they are visible, then files and rows in one transaction on the run's lock's connection.

    So a process that has lost its lock stores nothing more. `keep_files` writes or verifies the folds' files while nobody removes any
    (`files_lock`), and gives those folds that have them, with their hashes; the others are not stored. Returns the numbers stored.
    A fold that is stored already is replaced; other runs that share its files learn their hashes.
    `predictions`: `timestamp` (int64 seconds), `run_id`, `fold`, `dataset`, `target` and the columns of `PREDICTION_COLUMNS`.
    """
    table = WALKFORWARD_PREDICTIONS
    if predictions.height:
        with stores.postgres.wrapped(), writing_to(lock, table.name):
            stores.questdb.write(predictions, table=table.name, symbols=table.symbols)
            stores.questdb.wait_applied(table.name, stores.settings.apply_timeout_seconds)
    with stores.postgres.wrapped(), lock.transaction():
        lock.execute(query("lock_shared_until_commit"), {"key": lock_number(FILES)})
        whole = keep_files(folds)
        rows = [vars(fold) | {name: Jsonb(getattr(fold, name)) for name in JSON_COLUMNS} for fold in whole]
        lock.execute(query("folds_lock_by_key"), {"keys": [fold.fold_key for fold in whole]})
        lock.cursor().executemany(query("fold_store"), rows)
        lock.cursor().executemany(query("fold_files_share"), rows)
    return {fold.fold_number for fold in whole}


def read_predictions(
    stores: Stores, run_id: str, folds: Sequence[int] | None = None, *, times: tuple[float, float] | None = None
) -> pl.DataFrame:
    """Stored predictions of a run in bar order; of some `folds`, or between two `times` (unix seconds, the second excluded).

    Columns: `timestamp_unix` int64, `bar_index` int64, `fold` int64, then float64 (null for NULL) `prediction`, `target_value`,
    `long_threshold`, `short_threshold`, `score`.
    """
    where = f"run_id = {quote_literal(run_id)}"
    if folds is not None:
        where += f" AND fold IN ({', '.join(quote_literal(str(n)) for n in folds)})"
    if times is not None:
        first, end = (math.ceil(seconds) * 1_000_000_000 for seconds in times)
        where += f" AND {TIMESTAMP} >= {first} AND {TIMESTAMP} < {end}"
    names = ", ".join(PREDICTION_COLUMNS)
    sql = f"SELECT {TIMESTAMP}, fold, {names} FROM {WALKFORWARD_PREDICTIONS.name} WHERE {where}"  # noqa: S608 - literals are quoted
    frame = stores.questdb.read(sql).cast({"fold": pl.String})
    odd = frame.filter(~pl.col("fold").fill_null("").str.contains(r"^[0-9]+$"))
    if odd.height:
        raise StoreError(
            f"{odd.height} predictions of run {run_id} have a fold that is not a number",
            code="fold_label",
            found=odd["fold"][0],
            hint=f"`validate_dataset --run {run_id}` says more; another program changed QuestDB's rows.",
        )
    seconds = (pl.col(TIMESTAMP).dt.timestamp("ns") // 1_000_000_000).alias("timestamp_unix")
    doubles = [pl.col(name).cast(pl.Float64).fill_nan(None) for name in WALKFORWARD_PREDICTIONS.doubles]
    typed = frame.select(seconds, pl.col("bar_index").cast(pl.Int64), pl.col("fold").cast(pl.Int64), *doubles)
    return typed.sort("bar_index", "fold")


def prediction_labels(stores: Stores, run_id: str) -> list[dict[str, Any]]:
    """What the predictions of a run say they belong to: `dataset`, `target`, `fold` and how many (`n`), each kind once."""
    where = f"run_id = {quote_literal(run_id)}"
    sql = f"SELECT dataset, target, fold, count() AS n FROM {WALKFORWARD_PREDICTIONS.name} WHERE {where} ORDER BY dataset, target, fold"  # noqa: S608 - quoted
    return stores.questdb.rows(sql)


def count_predictions(stores: Stores, run_ids: Sequence[str]) -> dict[str, int]:
    """Stored predictions of runs; a run that has none is left out."""
    counts: dict[str, int] = {}
    for start in range(0, len(run_ids), IDS_PER_QUERY):
        names = ", ".join(quote_literal(run_id) for run_id in run_ids[start : start + IDS_PER_QUERY])
        sql = f"SELECT run_id, count() AS n FROM {WALKFORWARD_PREDICTIONS.name} WHERE run_id IN ({names}) GROUP BY run_id"  # noqa: S608 - quoted
        counts |= {row["run_id"]: int(row["n"]) for row in stores.questdb.rows(sql)}
    return counts


def predictions_by_fold(stores: Stores, run_id: str) -> dict[int, int]:
    """Stored predictions of each fold of a run."""
    table = WALKFORWARD_PREDICTIONS.name
    sql = f"SELECT fold, count() AS n FROM {table} WHERE run_id = {quote_literal(run_id)} GROUP BY fold"  # noqa: S608 - quoted
    return {int(row["fold"]): int(row["n"]) for row in stores.questdb.rows(sql)}


def delete_run(postgres: Postgres, run_id: str) -> None:
    """Delete a run, its folds and simulations from Postgres; its trial and its models stay on record.

    Their rows in QuestDB stay there, unreachable.
    """
    with postgres.connection() as connection, connection.transaction():
        connection.execute(query("trial_retire"), {"run_id": run_id})
        connection.execute(query("simulations_delete"), {"run_id": run_id})
        connection.execute(query("models_retire"), {"run_id": run_id})
        connection.execute(query("run_folds_delete"), {"run_id": run_id})
        connection.execute(query("run_delete"), {"run_id": run_id})


def _run_from(row: Row) -> RunRecord:
    kept = {name: value for name, value in row.items() if name in RunRecord.__dataclass_fields__}
    return RunRecord(**(kept | {"run_id": str(row["run_id"])}))


def fold_from(row: Row) -> FoldRecord:
    """A row of `walkforward_folds` as a record."""
    kept = {name: value for name, value in row.items() if name in FoldRecord.__dataclass_fields__}
    return FoldRecord(**(kept | {"run_id": str(row["run_id"])}))
