"""The summary of a run: sums and counts pooled over its stored predictions, never an average of ratios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.metrics import METRICS_VERSION, SideReturns
from chronos_assets.pipeline.walkforward.store import LEARNED_NOTHING, THRESHOLD_CASES
from chronos_assets.pipeline.walkforward.trials import signals_of
from chronos_assets.storage.runs import FeatureImportance, FoldRecord, get_folds, pooled_importance
from chronos_assets.storage.stores import Stores

SIDES = ("long", "short", "both")
_FIRST_NAMES = frozenset(
    {
        *SIDES,
        "binary_target",
        "folds_present",
        "bars_predicted",
        "bars_scored",
        "samples_train",
        "samples_test",
        "folds_without_long",
        "folds_without_short",
        "folds_learned_nothing",
        "best_iteration_median",
        "feature_importance",
    }
)
# Entries of a summary by version of the metrics (`domain.metrics`): validation holds a stored summary to those of its own version.
SUMMARY_NAMES: dict[int, frozenset[str]] = {1: _FIRST_NAMES, 2: _FIRST_NAMES | {"threshold_cases"}}
# A threshold that rests on fewer cases is hardly more than the luck of those.
FEW_CASES = 10
# Share of folds from which on a remark becomes a warning of a Dagster check.
WARN_SHARE = 0.1


def pooled_returns(predictions: pl.DataFrame, *, binary: bool) -> SideReturns:
    """Returns of all signals of a run, each bar judged by its own fold's thresholds (columns as `read_predictions` gives them)."""
    signals = signals_of(predictions, binary=binary)
    return SideReturns(signals.returns[signals.signs > 0], signals.returns[signals.signs < 0])


def summarize(stores: Stores, run_id: str, features: Sequence[str], predictions: pl.DataFrame, *, binary: bool) -> dict[str, Any]:
    """`summary_metrics` of a run, computed from what both stores hold."""
    folds = get_folds(stores.postgres, run_id)
    iterations = [fold.best_iteration for fold in folds if fold.best_iteration is not None]
    return {
        **pooled_returns(predictions, binary=binary).as_json(),
        "metrics_version": METRICS_VERSION,
        "binary_target": binary,
        "folds_present": len(folds),
        "bars_predicted": predictions.height,
        "bars_scored": predictions["target_value"].count(),
        "samples_train": sum(fold.samples_train for fold in folds),
        "samples_test": sum(fold.samples_test for fold in folds),
        "folds_without_long": sum(fold.thresholds["long"] is None for fold in folds),
        "folds_without_short": sum(fold.thresholds["short"] is None for fold in folds),
        "folds_learned_nothing": sum(LEARNED_NOTHING in fold.metrics.get("notes", []) for fold in folds),
        "threshold_cases": threshold_cases(folds),
        "best_iteration_median": float(np.median(iterations)) if iterations else None,
        **_chosen(folds),
        "feature_importance": _importance(pooled_importance(stores.postgres, run_id), features),
    }


def threshold_cases(folds: Sequence[FoldRecord]) -> dict[str, dict[str, float | int | None]]:
    """Per side: over how many folds it is on, the median and least number of cases that its thresholds rest on, and folds with few.

    `few` counts folds with less than `FEW_CASES`. Folds of older programs did not count their cases and are left out.
    """
    found: dict[str, dict[str, float | int | None]] = {}
    for side in ("long", "short"):
        counts = [cases[side] for fold in folds if (cases := fold.metrics.get(THRESHOLD_CASES)) and cases[side] is not None]
        found[side] = {
            "folds": len(counts),
            "median": float(np.median(counts)) if counts else None,
            "least": min(counts, default=None),
            "few": sum(count < FEW_CASES for count in counts),
        }
    return found


def basis_lines(summary: dict[str, Any]) -> list[str]:
    """What a run's numbers rest on, for people: cases per threshold, and folds that learned nothing. Empty for a run without numbers."""
    if "folds_learned_nothing" not in summary:
        return []
    folds = summary["folds_present"]
    parts = []
    for side, cases in summary.get("threshold_cases", {}).items():
        rests = "" if cases["median"] is None else f" and rests on {cases['median']:g} cases (median; least {cases['least']})"
        parts.append(f"the {side} threshold is on in {folds - summary[f'folds_without_{side}']} of {folds} folds{rests}")
    return [*parts, f"{summary['folds_learned_nothing']} of {folds} folds learned nothing"]


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
    for side, cases in summary.get("threshold_cases", {}).items():
        if cases["few"]:
            message = f"the {side} threshold rests on fewer than {FEW_CASES} cases in {cases['few']} of {cases['folds']} folds"
            found.append({"code": f"{side}_few_cases", "message": f"{message} (least {cases['least']}): raise thresholds.min_fraction"})
    return found


def _chosen(folds: Sequence[FoldRecord]) -> dict[str, Any]:
    """`features_chosen`: feature -> folds whose selector kept it, the most frequent first; nothing if no fold selected."""
    counts = Counter(name for fold in folds for name in fold.metrics.get("features", ()))
    return {"features_chosen": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))} if counts else {}


def _importance(pooled: Sequence[FeatureImportance], features: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per feature `gain` (total gain / splits) and `shap` (mean |SHAP| over all test rows), the sums pooled first."""
    return {
        name: {"gain": sums.gain / sums.splits if sums.splits else 0.0, "splits": sums.splits, "shap": sums.shap / max(1, sums.test_rows)}
        for name, sums in zip(features, pooled, strict=False)  # a run without folds has no sums
    }
