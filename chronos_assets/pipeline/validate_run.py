"""Validate a run: do both stores agree on it, and do its metrics follow from its predictions? Reads only.

The questions about plan, thresholds and metrics are `pipeline.walkforward_checks`'; here they are put together with the edges of the
folds and with the bars that the predictions stand at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from chronos_assets.pipeline.validation_report import Check, ValidationReport
from chronos_assets.pipeline.walkforward_checks import Finding, completeness, recompute_run_metrics, thresholds_agree
from chronos_assets.storage.datasets import find_dataset, read_bars
from chronos_assets.storage.runs import RunRecord, get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.tables import WALKFORWARD_PREDICTIONS

SHOWN = 20
_AT_BARS = "times and targets are those of the dataset's bars"


def validate_run(run_id: str, stores: Stores, folds: Sequence[int] | None = None) -> ValidationReport:
    """Compare a run in both stores: plan, thresholds, row counts, edges, targets, and metrics computed from the stored predictions."""
    started = time.monotonic()
    run = get_run(stores.postgres, run_id)
    stores.questdb.wait_applied(WALKFORWARD_PREDICTIONS.name, stores.settings.apply_timeout_seconds)
    wanted = None if folds is None else set(folds)
    whole = completeness(stores, run_id)
    groups = {
        "every planned fold is stored and predicted": [f for f in whole.findings if wanted is None or f.fold in wanted],
        "the folds asked for are stored": _unknown_folds(stores, run_id, folds),
        "thresholds agree in both stores": thresholds_agree(stores, run_id, folds),
        "metrics follow from the stored predictions": recompute_run_metrics(stores, run_id, folds),
        "edges and times agree": _edge_findings(stores, run_id, folds),
    }
    checks = [Check(name, not found, 0, len(found)) for name, found in groups.items()]
    at_bars = _bar_findings(stores, run, folds)
    if at_bars is None:
        checks.append(Check(_AT_BARS, None, None, "the dataset holds other bars than the run saw"))
    else:
        checks.append(Check(_AT_BARS, not at_bars, 0, len(at_bars)))
    found = [*(finding for group in groups.values() for finding in group), *(at_bars or [])]
    return ValidationReport("run", run_id, checks, time.monotonic() - started, findings=[_plain(f) for f in found[:SHOWN]])


def _unknown_folds(stores: Stores, run_id: str, folds: Sequence[int] | None) -> list[Finding]:
    if folds is None:
        return []
    stored = {fold.fold_number for fold in get_folds(stores.postgres, run_id)}
    return [Finding(number, "fold is not stored", "a row in walkforward_folds", None) for number in folds if number not in stored]


def _edge_findings(stores: Stores, run_id: str, folds: Sequence[int] | None) -> list[Finding]:
    """The first prediction of a fold stands at the fold's first test bar, and all stand before the bar after its last."""
    predictions = read_predictions(stores, run_id, folds)
    edges = {
        row["fold"]: row
        for row in predictions.group_by("fold").agg(first=pl.col("timestamp_unix").min(), last=pl.col("timestamp_unix").max()).to_dicts()
    }
    findings = []
    for fold in get_folds(stores.postgres, run_id):
        row = edges.get(fold.fold_number)
        if row is None or fold.test_start_ts is None:
            continue
        if row["first"] != int(fold.test_start_ts.timestamp()):
            findings.append(Finding(fold.fold_number, "time of the first test bar", int(fold.test_start_ts.timestamp()), row["first"]))
        if fold.test_end_ts is not None and row["last"] >= int(fold.test_end_ts.timestamp()):
            findings.append(Finding(fold.fold_number, "time of the last test bar", f"before {fold.test_end_ts.isoformat()}", row["last"]))
    return findings


def _bar_findings(stores: Stores, run: RunRecord, folds: Sequence[int] | None) -> list[Finding] | None:
    """Times and targets of predictions against the bars of the dataset; None where the dataset is another one by now."""
    record = find_dataset(stores.postgres, run.dataset_id)
    if record is None or record.content_hash != run.content_hash:
        return None
    bars = read_bars(stores, record, [run.target_column])
    bars.columns = ["bar_time", "bar_target"]
    numbered = bars.with_row_index("bar_index").cast({"bar_index": pl.Int64})
    joined = read_predictions(stores, run.run_id, folds).join(numbered, on="bar_index", how="left")
    wrong_times = joined.filter(pl.col("timestamp_unix").ne_missing(pl.col("bar_time")))
    wrong_targets = joined.filter(pl.col("target_value").ne_missing(pl.col("bar_target")))
    findings = [
        Finding(row["fold"], f"time of bar {row['bar_index']}", row["bar_time"], row["timestamp_unix"]) for row in wrong_times.to_dicts()
    ]
    return findings + [
        Finding(row["fold"], f"target of bar {row['bar_index']}", row["bar_target"], row["target_value"])
        for row in wrong_targets.to_dicts()
    ]


def _plain(finding: Finding) -> dict[str, Any]:
    return {k: v if isinstance(v, (int, float, str, bool, type(None))) else str(v) for k, v in asdict(finding).items()}
