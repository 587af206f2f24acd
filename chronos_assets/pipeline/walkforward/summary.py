"""The summary of a run: sums and counts pooled over its stored predictions, never an average of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.metrics import SideReturns, returns_by_side
from chronos_assets.pipeline.walkforward.store import LEARNED_NOTHING
from chronos_assets.storage.runs import FeatureImportance, get_folds, pooled_importance, read_predictions
from chronos_assets.storage.stores import Stores


def pooled_returns(predictions: pl.DataFrame, *, binary: bool) -> SideReturns:
    """Returns of all signals of a run, each bar judged by its own fold's thresholds (columns as `read_predictions` gives them)."""
    column = {name: predictions[name].fill_null(np.nan).to_numpy() for name in predictions.columns[3:]}
    with np.errstate(invalid="ignore"):
        long = column["prediction"] >= column["long_threshold"]
        short = column["prediction"] <= column["short_threshold"]
    return returns_by_side(long & ~short, short & ~long, column["target_value"], binary=binary)


def summarize(stores: Stores, run_id: str, features: Sequence[str], *, binary: bool) -> dict[str, Any]:
    """`summary_metrics` of a run, computed from what both stores hold."""
    folds, predictions = get_folds(stores.postgres, run_id), read_predictions(stores, run_id)
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
        "feature_importance": _importance(pooled_importance(stores.postgres, run_id), features),
    }


def remarks(summary: dict[str, Any]) -> list[dict[str, str]]:
    """What the summary should make a reader stop at, as warnings."""
    found = []
    for side in ("long", "short"):
        if summary[f"folds_without_{side}"]:
            message = f"{summary[f'folds_without_{side}']} of {summary['folds_present']} folds found no {side} threshold with a profit"
            found.append({"code": f"{side}_off", "message": f"{message}: that side is off there"})
    if summary["folds_learned_nothing"]:
        message = f"{summary['folds_learned_nothing']} of {summary['folds_present']} folds learned nothing"
        found.append({"code": LEARNED_NOTHING, "message": f"{message} (best iteration 0, or constant predictions)"})
    return found


def _importance(pooled: Sequence[FeatureImportance], features: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per feature `gain` (total gain / splits) and `shap` (mean |SHAP| over all test rows), the sums pooled first."""
    return {
        name: {"gain": sums.gain / sums.splits if sums.splits else 0.0, "splits": sums.splits, "shap": sums.shap / max(1, sums.test_rows)}
        for name, sums in zip(features, pooled, strict=False)  # a run without folds has no sums
    }
