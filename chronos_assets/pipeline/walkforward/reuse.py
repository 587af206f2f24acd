"""Folds taken from earlier runs of the same dataset: found by content key, copied with their predictions, never trained twice.

A fold whose key is known was trained on the same rows, and its predictions are the same. Mostly everything else is, too: its place in
the bars and the targets of its test rows. Such folds are copied within the stores, by one statement in each. The others (their targets
have filled, or their rows have another number) are written again, with metrics computed afresh.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.metrics import METRICS_VERSION
from chronos_assets.pipeline.walkforward.data import RunData
from chronos_assets.pipeline.walkforward.store import EDGES, FoldWriter
from chronos_assets.storage.fold_copies import StoredFold, copy_folds, find_folds_by_key, read_folds
from chronos_assets.storage.runs import read_predictions

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class KnownFold:
    """A fold that is missing in this run, and the stored fold of another run that has the same key."""

    fold: Fold
    source: StoredFold


class _Predictions:
    """The predictions of a run as they are stored, fold by fold in bar order."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame.sort("fold", "bar_index")
        folds, starts = np.unique(self.frame["fold"].to_numpy(), return_index=True)
        self._rows = dict(zip(folds.tolist(), zip(starts, np.append(starts[1:], len(self.frame)), strict=True), strict=True))

    @cached_property
    def _columns(self) -> Columns:
        filled = self.frame.drop("fold").with_columns(cs.float().fill_null(float("nan")))
        return {name: filled[name].to_numpy() for name in filled.columns}

    def of(self, number: int) -> Columns | None:
        """The columns of one fold, as views (doubles: null is NaN); None if it has none."""
        if number not in self._rows:
            return None
        start, end = self._rows[number]
        return {name: values[start:end] for name, values in self._columns.items()}


def find_known_folds(writer: FoldWriter, missing: Mapping[int, tuple[Fold, str]]) -> dict[int, KnownFold]:
    """What earlier runs know of `missing` (fold number -> fold, key), by fold number."""
    request = writer.request
    keys = [key for _, key in missing.values()]
    sources = find_folds_by_key(writer.stores.postgres, request.record.dataset_id, request.run_id, keys)
    return {n: KnownFold(fold, sources[key]) for n, (fold, key) in missing.items() if key in sources}


def copy_known_folds(writer: FoldWriter, known: Mapping[int, KnownFold]) -> set[int]:
    """Copy folds from earlier runs; returns the numbers copied.

    A source whose predictions or files are not complete, or go while it is copied, is passed over: its fold is to be trained again.
    """
    by_run: dict[str, list[KnownFold]] = defaultdict(list)
    for one in known.values():
        by_run[one.source.run_id].append(one)
    for run_id, folds in by_run.items():
        stored = _Predictions(read_predictions(writer.stores, run_id))
        whole = [one for one in folds if _is_whole(one.fold, stored.of(one.source.fold_number))]
        same = [one for one in whole if _is_same(writer.data, one, stored.of(one.source.fold_number) or {})]
        copied = _copy_within(writer, [one.source for one in same], stored)
        _write_again(writer, [one for one in whole if one.fold.number not in copied], stored)
    writer.flush()
    return writer.stored & known.keys()


def _is_whole(fold: Fold, rows: Columns | None) -> bool:
    """Whether every prediction of a fold is there."""
    if rows is None or len(rows["prediction"]) != fold.test_end - fold.test_start:
        return False
    return not (np.isnan(rows["prediction"]).any() or np.isnan(rows["score"]).any())


def _is_same(data: RunData, one: KnownFold, rows: Columns) -> bool:
    """Whether nothing of a fold would change if it was written again: its number, its place, its test targets, how it is measured."""
    fold, source = one.fold, one.source
    if source.fold_number != fold.number or source.metrics_version != METRICS_VERSION:
        return False
    for name in EDGES:
        edge = getattr(fold, name)
        if (getattr(source, f"{name}_idx"), getattr(source, f"{name}_ts")) != (edge, data.time_of(edge)):
            return False
    due = slice(fold.test_start, fold.test_end)
    expected = {
        "bar_index": np.arange(fold.test_start, fold.test_end),
        "timestamp_unix": data.timestamps[due],
        "target_value": data.arrays.targets[due],
        "long_threshold": np.full(len(rows["score"]), np.nan if source.long_threshold is None else source.long_threshold),
        "short_threshold": np.full(len(rows["score"]), np.nan if source.short_threshold is None else source.short_threshold),
    }
    return all(np.array_equal(rows[name], values, equal_nan=values.dtype.kind == "f") for name, values in expected.items())


def _copy_within(writer: FoldWriter, folds: Sequence[StoredFold], stored: _Predictions) -> set[int]:
    """Copy folds that are the same within the stores; returns the numbers copied."""
    if not folds:
        return set()
    request = writer.request
    expected = stored.frame.filter(pl.col("fold").is_in([fold.fold_number for fold in folds]))
    labels = {"run_id": request.run_id, "dataset": request.record.dataset_id, "target": request.target}
    copied = copy_folds(writer.stores, writer.lock, folds, expected, **labels)
    writer.stored |= copied
    return copied


def _write_again(writer: FoldWriter, folds: Sequence[KnownFold], stored: _Predictions) -> None:
    """Write folds of one run as this run's own, with metrics computed afresh."""
    if not folds:
        return
    records = read_folds(writer.stores.postgres, folds[0].source.run_id, [one.source.fold_number for one in folds])
    for one in folds:
        rows, record = stored.of(one.source.fold_number), records.get(one.source.fold_number)
        if rows is not None and record is not None and record.fold_key == one.source.files.fold_key:
            writer.copy(one.fold, record, rows["prediction"], rows["score"])
