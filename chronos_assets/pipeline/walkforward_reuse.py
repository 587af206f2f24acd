"""Folds taken from earlier runs of the same dataset: found by content key, copied with their predictions, never trained twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import polars as pl

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.targets import Floats
from chronos_assets.pipeline.walkforward_store import FoldWriter
from chronos_assets.storage.runs import FoldRecord, find_folds_by_key, read_predictions


def copy_known_folds(writer: FoldWriter, missing: Mapping[int, tuple[Fold, str]]) -> set[int]:
    """Copy what earlier runs know of `missing` (fold number -> fold, key); returns the numbers copied.

    A source whose predictions or files are not complete, or go while it is copied, is passed over: its fold is trained again.
    """
    request, stores = writer.request, writer.stores
    known = find_folds_by_key(stores.postgres, request.record.dataset_id, request.run_id, [key for _, key in missing.values()])
    by_run: dict[str, list[tuple[Fold, FoldRecord]]] = defaultdict(list)
    for fold, key in missing.values():
        source = known.get(key)
        if source is not None and writer.artifacts.exists(source.artifact):
            by_run[source.run_id].append((fold, source))
    for run_id, pairs in by_run.items():
        stored = _by_fold(read_predictions(stores, run_id))
        for fold, source in pairs:
            values = stored.get(source.fold_number)
            if values is not None and len(values[0]) == fold.test_end - fold.test_start and not np.isnan(values).any():
                writer.copy(fold, source, values[0], values[1])
    writer.flush()
    return set(writer.stored)


def _by_fold(predictions: pl.DataFrame) -> dict[int, tuple[Floats, Floats]]:
    """Predictions and scores of each fold, in bar order, as views of two arrays."""
    ordered = predictions.sort("fold", "bar_index")
    folds, starts = np.unique(ordered["fold"].to_numpy(), return_index=True)
    values, scores = (ordered[name].fill_null(np.nan).to_numpy() for name in ("prediction", "score"))
    ends = np.append(starts[1:], len(values))
    return {int(n): (values[a:b], scores[a:b]) for n, a, b in zip(folds, starts, ends, strict=True)}
