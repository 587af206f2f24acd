"""Folds that another run has stored: found by their key, and copied by one statement in each store.

Only a fold that is the same in both runs is copied like this (`pipeline.walkforward.reuse` compares). The order is that of `store_folds`:
predictions first, a wait until they are visible, then files and rows in one transaction on the connection that holds the run's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from chronos_assets.storage.fold_artifacts import FoldArtifacts, FoldFiles
from chronos_assets.storage.identifiers import quote_identifier, quote_literal
from chronos_assets.storage.postgres import Connection, Postgres, lock_number
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import WALKFORWARD_PREDICTIONS
from chronos_assets.storage.runs import FILES, FoldRecord, fold_from, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing_to


@dataclass(frozen=True)
class StoredFold:
    """A stored fold of another run, without what is long: its place in the bars, its thresholds, its files."""

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
    long_threshold: float | None
    short_threshold: float | None
    metrics_version: int | None
    files: FoldFiles


def find_folds_by_key(postgres: Postgres, dataset_id: str, run_id: str, keys: Sequence[str]) -> dict[str, StoredFold]:
    """The newest stored fold of each key among the dataset's other runs."""
    with postgres.connection() as connection:
        rows = connection.execute(query("folds_by_key"), {"dataset_id": dataset_id, "run_id": run_id, "keys": list(keys)}).fetchall()
    found: dict[str, StoredFold] = {}
    for row in rows:
        files = FoldFiles(**{name: row.pop(name) for name in FoldFiles.__dataclass_fields__})
        assert files.fold_key is not None
        found[files.fold_key] = StoredFold(files=files, **row)
    return found


def read_folds(postgres: Postgres, run_id: str, numbers: Sequence[int]) -> dict[int, FoldRecord]:
    """These folds of a run as they are stored, with everything; one that is gone is left out."""
    with postgres.connection() as connection:
        rows = connection.execute(query("folds_whole"), {"run_id": run_id, "numbers": list(numbers)}).fetchall()
    return {row["fold_number"]: fold_from(row) for row in rows}


def copy_folds(stores: Stores, lock: Connection, folds: Sequence[StoredFold], expected: pl.DataFrame, **labels: str) -> set[int]:
    """Copy folds of one run to the run whose lock `lock` holds; returns the numbers copied.

    `expected`: their predictions, as `read_predictions` gives them. `labels`: `run_id`, `dataset` and `target` of the copies.
    Nothing is copied if QuestDB then shows other rows than these (the other run goes, and a compaction was faster), and no fold whose
    files or row have gone.
    """
    source, numbers = folds[0].run_id, sorted(fold.fold_number for fold in folds)
    table = WALKFORWARD_PREDICTIONS.name
    with stores.postgres.wrapped(), writing_to(lock, table):
        for first, last in _ranges(numbers):
            stores.questdb.execute(_copy_sql(source, first, last, labels))
        stores.questdb.wait_applied(table, stores.settings.apply_timeout_seconds)
    there = read_predictions(stores, labels["run_id"]).filter(pl.col("fold").is_in(numbers))
    if not there.equals(expected.sort("bar_index", "fold")):
        return set()
    with stores.postgres.wrapped(), lock.transaction():
        lock.execute(query("lock_shared_until_commit"), {"key": lock_number(FILES)})
        states = FoldArtifacts(stores.artifacts).states(fold.files for fold in folds)
        whole = [fold for fold, state in zip(folds, states, strict=True) if state == "whole"]
        binds: dict[str, Any] = {"run_id": labels["run_id"], "source": source, "numbers": [fold.fold_number for fold in whole]}
        binds["keys"] = [fold.files.fold_key for fold in whole]
        lock.execute(query("folds_clear"), binds)
        return {row["fold_number"] for row in lock.execute(query("folds_copy"), binds).fetchall()}


def _copy_sql(source: str, first: int, last: int, labels: dict[str, str]) -> str:
    """The statement that copies the predictions of folds `first` to `last` of run `source`, under labels of their own."""
    own = {name: quote_literal(value) for name, value in labels.items()}
    columns = list(WALKFORWARD_PREDICTIONS.types)
    names = ", ".join(map(quote_identifier, columns))
    values = ", ".join(own.get(name, quote_identifier(name)) for name in columns)
    table = quote_identifier(WALKFORWARD_PREDICTIONS.name)
    where = f"run_id = {quote_literal(source)} AND cast(fold AS int) BETWEEN {first} AND {last}"
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {where}"  # noqa: S608 - quoted


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges, first and last included."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
