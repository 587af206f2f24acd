"""What can be asked of a stored run: is it complete, do both stores agree, do its metrics follow from its predictions.

Each question reads what is stored and trusts nothing that the run says of itself. Whether a fold looked ahead is asked in
`pipeline.look_ahead`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.folds import plan_folds
from chronos_assets.domain.metrics import METRIC_NAMES, side_returns
from chronos_assets.domain.thresholds import Thresholds
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.by_fold import Columns, PredictionsByFold
from chronos_assets.pipeline.walkforward.request import layout_of
from chronos_assets.pipeline.walkforward.store import NOTES
from chronos_assets.pipeline.walkforward.summary import SIDES, SUMMARY_NAMES, summarize
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores

# Sums are exactly rounded, so what is computed again differs by the last bits of a division at most.
CLOSE = 1e-12


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. `fold` is None if it concerns the whole run."""

    fold: int | None
    what: str
    expected: Any
    found: Any


@dataclass(frozen=True)
class Completeness:
    """Folds planned, folds stored, test bars planned and bars predicted."""

    folds_planned: int
    folds_stored: int
    bars_planned: int
    bars_predicted: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return not self.findings


@dataclass(frozen=True)
class SignalCounts:
    """Scored signals per side, and folds whose side is switched off."""

    long: int
    short: int
    folds: int
    folds_without_long: int
    folds_without_short: int
    bars_scored: int


def completeness(stores: Stores, run_id: str) -> Completeness:
    """Compare the plan with what both stores hold: every fold once, every planned test bar predicted once by its own fold."""
    run, folds = get_run(stores.postgres, run_id), get_folds(stores.postgres, run_id)
    planned = _planned_tests(run, folds)
    rows = (
        read_predictions(stores, run_id)
        .group_by("fold")
        .agg(
            pl.len().alias("n"),
            pl.col("bar_index").n_unique().alias("bars"),
            pl.col("bar_index").min().alias("first"),
            pl.col("bar_index").max().alias("last"),
        )
    )
    held = {row["fold"]: row for row in rows.to_dicts()}
    findings = [
        Finding(n, "fold is not stored", f"rows {a} to {b}", None)
        for n, (a, b) in planned.items()
        if n not in {f.fold_number for f in folds}
    ]
    findings += [Finding(n, "fold is not in the plan", None, "predictions") for n in held if n not in planned]
    for n, (start, end) in planned.items():
        row = held.get(n, {"n": 0, "bars": 0, "first": None, "last": None})
        if (row["n"], row["bars"], row["first"], row["last"]) != (end - start, end - start, start, end - 1):
            findings.append(Finding(n, "predicted bars", f"{end - start} from row {start}", f"{row['n']} from row {row['first']}"))
    count = int(run.walk_config.get("folds_planned", len(planned)))
    if count != len(folds) and not findings:
        findings.append(Finding(None, "folds stored", count, len(folds)))
    return Completeness(count, len(folds), sum(b - a for a, b in planned.values()), int(rows["n"].sum()), findings)


def thresholds_agree(stores: Stores, run_id: str, folds: Sequence[int] | None = None) -> list[Finding]:
    """Folds whose thresholds in QuestDB (on every row) differ from those in Postgres; NULL equals a side that is off."""
    records, predictions = _selected(stores, run_id, folds)
    parts = PredictionsByFold(predictions)
    return [finding for record in records for finding in _threshold_findings(record, parts.of(record.fold_number))]


def signal_counts(stores: Stores, run_id: str) -> SignalCounts:
    """How many scored signals each side of a run has."""
    folds = get_folds(stores.postgres, run_id)
    return SignalCounts(
        long=sum(fold.metrics["long"]["n_signals"] for fold in folds),
        short=sum(fold.metrics["short"]["n_signals"] for fold in folds),
        folds=len(folds),
        folds_without_long=sum(fold.thresholds["long"] is None for fold in folds),
        folds_without_short=sum(fold.thresholds["short"] is None for fold in folds),
        bars_scored=sum(fold.samples_test for fold in folds),
    )


def recompute_run_metrics(stores: Stores, run_id: str, folds: Sequence[int] | None = None, *, progress: Progress = silent) -> list[Finding]:
    """Compute metrics, scored rows and row counts again from the stored predictions; what differs from the stored rows.

    With all folds (the default) the pooled summary is computed again too.
    """
    run = get_run(stores.postgres, run_id)
    records, predictions = _selected(stores, run_id, folds)
    binary = bool((run.summary_metrics or {}).get("binary_target", False))
    parts = PredictionsByFold(predictions)
    findings: list[Finding] = []
    for done, record in enumerate(records):
        progress("metrics again", done, len(records))
        findings += _metric_findings(record, parts.of(record.fold_number), binary=binary)
    if folds is None and run.status == "completed":
        findings += _summary_findings(run, summarize(stores, run_id, run.feature_columns, predictions, binary=binary))
    return findings


def _summary_findings(run: RunRecord, again: Mapping[str, Any]) -> list[Finding]:
    """What differs from the stored summary, among the entries that its version has."""
    stored = run.summary_metrics or {}
    version = stored.get("metrics_version", 1)
    if version not in SUMMARY_NAMES:
        return [Finding(None, "summary metrics_version", f"one of {', '.join(map(str, SUMMARY_NAMES))}", version)]
    due = (SUMMARY_NAMES[version] | (again.keys() & stored.keys())) - {"metrics_version"}
    return [
        Finding(None, f"summary {key}", again.get(key), stored.get(key))
        for key in sorted(due)
        if not (_same_side(again.get(key), stored.get(key), version) if key in SIDES else same(again.get(key), stored.get(key)))
    ]


def _same_side(again: Any, stored: Any, version: int) -> bool:
    """Whether the stored metrics of a side are those computed again, and all that their version has; later ones may be missing."""
    if version not in METRIC_NAMES or not isinstance(stored, dict) or not METRIC_NAMES[version] <= stored.keys() <= again.keys():
        return False
    return same({name: again[name] for name in stored}, stored)


def same(a: Any, b: Any) -> bool:
    """Equal, numbers within `CLOSE`, through nested dictionaries and lists."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(a == b)


def _selected(stores: Stores, run_id: str, folds: Sequence[int] | None) -> tuple[list[FoldRecord], pl.DataFrame]:
    get_run(stores.postgres, run_id)
    records = [record for record in get_folds(stores.postgres, run_id) if folds is None or record.fold_number in folds]
    return records, read_predictions(stores, run_id, folds)


def _planned_tests(run: RunRecord, folds: Sequence[FoldRecord]) -> dict[int, tuple[int, int]]:
    """Test rows of every planned fold. Calendar plans are taken from the stored folds: they cannot be laid out without the bars' times."""
    layout = layout_of(run.walk_config)
    if layout.is_calendar:
        return {fold.fold_number: (fold.test_start_idx, fold.test_end_idx) for fold in folds}
    return {fold.number: (fold.test_start, fold.test_end) for fold in plan_folds(layout, int(run.walk_config["rows"]))}


def _threshold_findings(record: FoldRecord, rows: Columns | None) -> list[Finding]:
    if rows is None:
        return [Finding(record.fold_number, "predictions in QuestDB", record.test_end_idx - record.test_start_idx, 0)]
    found = []
    for side in ("long", "short"):
        due, values = record.thresholds[side], rows[f"{side}_threshold"]
        if not np.array_equal(values, np.full(len(values), np.nan if due is None else due), equal_nan=True):
            distinct = [None if np.isnan(value) else float(value) for value in np.unique(values)[:3]]
            found.append(Finding(record.fold_number, f"{side} threshold", due, distinct))
    return found


def _metric_findings(record: FoldRecord, rows: Columns | None, *, binary: bool) -> list[Finding]:
    planned, held = record.test_end_idx - record.test_start_idx, 0 if rows is None else len(rows["prediction"])
    if rows is None or held != planned:
        return [Finding(record.fold_number, "predictions in QuestDB", planned, held)]
    predictions, targets = rows["prediction"], rows["target_value"]
    findings = []
    scored = int(np.count_nonzero(~np.isnan(targets)))
    if scored != record.samples_test:
        findings.append(Finding(record.fold_number, "scored rows", scored, record.samples_test))
    again = side_returns(predictions, targets, Thresholds(**record.thresholds), binary=binary).as_json()
    for side, metrics in again.items():
        if not _same_side(metrics, record.metrics.get(side), record.metrics.get("version", 1)):
            findings.append(Finding(record.fold_number, f"metrics of {side}", metrics, record.metrics.get(side)))
    findings += [
        Finding(record.fold_number, f"metrics of {side}", None, "stored")
        for side in record.metrics.keys() - again.keys() - {*NOTES, "version"}
    ]
    return findings
