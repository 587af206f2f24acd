"""The summary of a run: sums and counts pooled over its stored predictions, never an average of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.metrics import SideReturns, returns_by_side
from chronos_assets.pipeline.walkforward_store import LEARNED_NOTHING
from chronos_assets.storage.runs import FoldRecord


def pooled_returns(predictions: pl.DataFrame, *, binary: bool) -> SideReturns:
    """Returns of all signals of a run, each bar judged by its own fold's thresholds (columns as `read_predictions` gives them)."""
    column = {name: predictions[name].fill_null(np.nan).to_numpy() for name in predictions.columns[3:]}
    with np.errstate(invalid="ignore"):
        long = column["prediction"] >= column["long_threshold"]
        short = column["prediction"] <= column["short_threshold"]
    return returns_by_side(long & ~short, short & ~long, column["target_value"], binary=binary)


def summarize(folds: Sequence[FoldRecord], predictions: pl.DataFrame, features: Sequence[str], *, binary: bool) -> dict[str, Any]:
    """`summary_metrics` of a run from what both stores hold."""
    iterations = [fold.best_iteration for fold in folds if fold.best_iteration is not None]
    return {
        **pooled_returns(predictions, binary=binary).as_json(),
        "binary_target": binary,
        "folds_present": len(folds),
        "bars_predicted": predictions.height,
        "bars_scored": predictions["target_value"].count(),
        "samples_train": sum(fold.samples_train for fold in folds),
        "samples_test": sum(fold.samples_test for fold in folds),
        "folds_without_long": sum(fold.thresholds["long"] is None for fold in folds),
        "folds_without_short": sum(fold.thresholds["short"] is None for fold in folds),
        "folds_learned_nothing": sum(LEARNED_NOTHING in fold.metrics.get("notes", []) for fold in folds),
        "best_iteration_median": float(np.median(iterations)) if iterations else None,
        "feature_importance": pooled_importance(folds, features),
    }


def pooled_importance(folds: Sequence[FoldRecord], features: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per feature `gain` (total gain / splits) and `shap` (mean |SHAP| over all test rows), the sums pooled first."""
    parts = [fold.importance for fold in folds if fold.importance]
    if not parts:
        return {}
    gain, splits, shap = (np.sum([part[name] for part in parts], axis=0) for name in ("total_gain", "splits", "shap_sum"))
    rows = max(1, sum(part["rows"] for part in parts))
    return {
        name: {"gain": float(gain[i] / splits[i]) if splits[i] else 0.0, "splits": int(splits[i]), "shap": float(shap[i] / rows)}
        for i, name in enumerate(features)
    }
