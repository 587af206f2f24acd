"""Folds taken from earlier runs of the same dataset: found by content key, copied with their predictions, never trained twice.

A fold whose key is known was trained on the same rows, and its predictions are the same. Mostly everything else is, too: its place in
the bars and the targets of its test rows. Such folds are copied within the stores, by one statement in each. The others (their targets
have filled, or their rows have another number) are written again, with metrics computed afresh.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.metrics import METRICS_VERSION
from chronos_assets.pipeline.walkforward.by_fold import Columns, PredictionsByFold
from chronos_assets.pipeline.walkforward.data import RunData
from chronos_assets.pipeline.walkforward.store import EDGES, FoldWriter
from chronos_assets.storage.fold_copies import StoredFold, copy_folds, find_folds_by_key, read_folds
from chronos_assets.storage.runs import read_predictions


@dataclass(frozen=True)
class KnownFold:
    """A fold that is missing in this run, and the stored fold of another run that has the same key."""

    fold: Fold
    source: StoredFold


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
        stored = PredictionsByFold(read_predictions(writer.stores, run_id))
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


def _copy_within(writer: FoldWriter, folds: Sequence[StoredFold], stored: PredictionsByFold) -> set[int]:
    """Copy folds that are the same within the stores; returns the numbers copied."""
    if not folds:
        return set()
    request = writer.request
    expected = stored.frame.filter(pl.col("fold").is_in([fold.fold_number for fold in folds]))
    labels = {"run_id": request.run_id, "dataset": request.record.dataset_id, "target": request.target}
    copied = copy_folds(writer.stores, writer.lock, folds, expected, **labels)
    writer.stored |= copied
    return copied


def _write_again(writer: FoldWriter, folds: Sequence[KnownFold], stored: PredictionsByFold) -> None:
    """Write folds of one run as this run's own, with metrics computed afresh."""
    if not folds:
        return
    records = read_folds(writer.stores.postgres, folds[0].source.run_id, [one.source.fold_number for one in folds])
    for one in folds:
        rows, record = stored.of(one.source.fold_number), records.get(one.source.fold_number)
        if rows is not None and record is not None and record.fold_key == one.source.files.fold_key:
            writer.copy(one.fold, record, rows["prediction"], rows["score"])
