"""Folds taken from earlier runs of the same dataset: found by content key, copied with their predictions, never trained twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.targets import Floats
from chronos_assets.pipeline.walkforward.store import FoldWriter
from chronos_assets.storage.runs import FoldRecord, find_folds_by_key, read_predictions


@dataclass(frozen=True)
class KnownFold:
    """A fold that is missing in this run, and the stored fold of another run that has the same key."""

    fold: Fold
    source: FoldRecord


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
        stored = _by_fold(read_predictions(writer.stores, run_id))
        for one in folds:
            values = stored.get(one.source.fold_number)
            if values is not None and len(values[0]) == one.fold.test_end - one.fold.test_start and not np.isnan(values).any():
                writer.copy(one.fold, one.source, values[0], values[1])
    writer.flush()
    return writer.stored & known.keys()


def _by_fold(predictions: pl.DataFrame) -> dict[int, tuple[Floats, Floats]]:
    """Predictions and scores of each fold, in bar order, as views of two arrays."""
    ordered = predictions.sort("fold", "bar_index")
    folds, starts = np.unique(ordered["fold"].to_numpy(), return_index=True)
    values, scores = (ordered[name].fill_null(np.nan).to_numpy() for name in ("prediction", "score"))
    ends = np.append(starts[1:], len(values))
    return {int(n): (values[a:b], scores[a:b]) for n, a, b in zip(folds, starts, ends, strict=True)}
