"""Validate a run: do both stores agree on it, and does it follow from what it came from? Reads only, and trusts nothing that it says.

Completeness, thresholds in both stores and metrics are `pipeline.walkforward_checks`'; what a run is compared with besides (request, plan,
bars, models) is `pipeline.validate_folds`'. Here the questions are put together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.errors import StoreError
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.validation.folds import (
    baseline_findings,
    end_findings,
    file_findings,
    fitted_findings,
    has_baseline,
    identity_findings,
    model_findings,
    plan_findings,
    threshold_findings,
    time_findings,
    version_findings,
)
from chronos_assets.pipeline.validation.report import Check, ValidationReport
from chronos_assets.pipeline.walkforward.checks import Finding, completeness, recompute_run_metrics, thresholds_agree
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import DatasetRecord, find_dataset, read_bars
from chronos_assets.storage.questdb_tables import WALKFORWARD_PREDICTIONS
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run, prediction_labels, read_predictions
from chronos_assets.storage.stores import Stores

SHOWN = 20
_OTHER_BARS = "the dataset holds other bars than the run saw"
_LABELS = "dataset, target and fold of every prediction"


def validate_run(run_id: str, stores: Stores, folds: Sequence[int] | None = None, *, progress: Progress = silent) -> ValidationReport:
    """Compare a run in both stores, and with its plan, its bars and its models. With `folds`, only those folds are looked at."""
    started = time.monotonic()
    run = get_run(stores.postgres, run_id)
    stores.questdb.wait_applied(WALKFORWARD_PREDICTIONS.name, stores.settings.apply_timeout_seconds)
    stored = get_folds(stores.postgres, run_id)
    groups: dict[str, list[Finding] | str] = {_LABELS: _label_findings(stores, run)}
    if not groups[_LABELS]:
        wanted = None if folds is None else set(folds)
        chosen = [fold for fold in stored if wanted is None or fold.fold_number in wanted]
        whole = completeness(stores, run_id)
        groups |= {
            "every planned fold is stored and predicted": [f for f in whole.findings if wanted is None or f.fold in wanted],
            "the folds asked for are stored": _unknown_folds(stored, folds),
            "thresholds agree in both stores": thresholds_agree(stores, run_id, folds),
            "metrics follow from the stored predictions": recompute_run_metrics(stores, run_id, folds, progress=progress),
            "edges and times agree": _edge_findings(stores, run_id, chosen, folds),
            "the run_id is that of its request": identity_findings(run),
            "folds were trained with the versions that the run names": version_findings(run, chosen),
            "the status is that of how it ended": end_findings(run),
            **({"the baseline is that of its own run": baseline_findings(stores, run)} if has_baseline(run) else {}),
            "checksum and tag are those of a publication of these bars": _origin_findings(stores, run),
            **file_findings(stores, chosen),
            **_threshold_group(stores, run, chosen, progress),
            **_bar_groups(stores, run, chosen, folds, progress),
        }
    checks = [
        Check(name, None, None, found) if isinstance(found, str) else Check(name, not found, 0, len(found))
        for name, found in groups.items()
    ]
    found = [finding for group in groups.values() if not isinstance(group, str) for finding in group]
    return ValidationReport("run", run_id, checks, time.monotonic() - started, findings=[_plain(f) for f in found[:SHOWN]])


def _label_findings(stores: Stores, run: RunRecord) -> list[Finding]:
    """Predictions under this run that name another dataset or target, or a fold that is no number."""
    due = {"dataset": run.dataset_id, "target": run.target_column}
    return [
        Finding(None, f"labels of {row['n']} predictions", due | {"fold": "a decimal number"}, {k: v for k, v in row.items() if k != "n"})
        for row in prediction_labels(stores, run.run_id)
        if any(row[name] != value for name, value in due.items()) or not _is_decimal(row["fold"])
    ]


def _origin_findings(stores: Stores, run: RunRecord) -> list[Finding] | str:
    """The checksum and tag that the run says it read, against what was ever published with its content."""
    record = find_dataset(stores.postgres, run.dataset_id)
    published = [(record.checksum, record.questdb_tag)] if record is not None and record.content_hash == run.content_hash else []
    published += [
        (attempt.checksum, attempt.questdb_tag)
        for attempt in list_attempts(stores.postgres, run.dataset_id)
        if (attempt.content_hash, attempt.mode, attempt.verdict) == (run.content_hash, "full", "passed")
    ]
    said = (run.dataset_checksum, run.questdb_tag)
    if not published:
        return "no publication of the bars that the run saw is recorded"
    return [] if said in published else [Finding(None, "dataset_checksum and questdb_tag", list(published[0]), list(said))]


def _is_decimal(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and str(int(text)) == text


def _unknown_folds(stored: Sequence[FoldRecord], folds: Sequence[int] | None) -> list[Finding]:
    numbers = {fold.fold_number for fold in stored}
    return [Finding(n, "fold is not stored", "a row in walkforward_folds", None) for n in folds or () if n not in numbers]


def _threshold_group(stores: Stores, run: RunRecord, chosen: Sequence[FoldRecord], progress: Progress) -> dict[str, list[Finding] | str]:
    binary = bool((run.summary_metrics or {}).get("binary_target", False))
    parts = [threshold_findings(stores, run, fold, binary=binary) for fold in _told(chosen, "thresholds again", progress)]
    found: list[Finding] | str = [f for part in parts if part is not None for f in part]
    if parts and all(part is None for part in parts):
        found = "no fold has its validation cases as stored, or thresholds were chosen on others"
    return {"thresholds follow from the kept validation cases": found}


def _edge_findings(stores: Stores, run_id: str, chosen: Sequence[FoldRecord], folds: Sequence[int] | None) -> list[Finding]:
    """The first prediction of a fold stands at the fold's first test bar, and all stand before the bar after its last."""
    predictions = read_predictions(stores, run_id, folds)
    edges = {
        row["fold"]: row
        for row in predictions.group_by("fold").agg(first=pl.col("timestamp_unix").min(), last=pl.col("timestamp_unix").max()).to_dicts()
    }
    findings = []
    for fold in chosen:
        row = edges.get(fold.fold_number)
        if row is None or fold.test_start_ts is None:
            continue
        if row["first"] != int(fold.test_start_ts.timestamp()):
            findings.append(Finding(fold.fold_number, "time of the first test bar", int(fold.test_start_ts.timestamp()), row["first"]))
        if fold.test_end_ts is not None and row["last"] >= int(fold.test_end_ts.timestamp()):
            findings.append(Finding(fold.fold_number, "time of the last test bar", f"before {fold.test_end_ts.isoformat()}", row["last"]))
    return findings


def _bar_groups(
    stores: Stores, run: RunRecord, chosen: Sequence[FoldRecord], folds: Sequence[int] | None, progress: Progress
) -> dict[str, list[Finding] | str]:
    """What can be asked with the bars that the run saw at hand; without them only the plan, if it does not need their times."""
    names = (
        "edges are those of the plan",
        "times of the edges are those of the bars",
        "samples_train counts the fitted rows",
        "times and targets are those of the dataset's bars",
        "predictions follow from the stored models",
    )
    record = find_dataset(stores.postgres, run.dataset_id)
    grown = record is not None and record.content_hash != run.content_hash
    if record is None or (grown and not has_grown(record, run)):
        return {names[0]: plan_findings(run, chosen, None, None)} | dict.fromkeys(names[1:], _OTHER_BARS)
    rows = int(run.walk_config.get("rows", record.row_count)) if grown else record.row_count
    try:
        bars = read_bars(stores, record, list(dict.fromkeys([run.target_column, *run.feature_columns]))).head(rows)
    except StoreError as error:
        lost = Finding(None, f"bars of {record.dataset_id}", error.expected, error.found)
        return dict.fromkeys(names, "the dataset cannot be read") | {names[3]: [lost]}
    times, target = bars["timestamp_unix"].to_numpy(), record.column(run.target_column).name
    targets, seconds = bars[target].fill_null(np.nan).to_numpy(), seconds_to_next_bar(record.granularity, int(times[-1]))
    predictions = read_predictions(stores, run.run_id, folds)
    return {
        names[0]: plan_findings(run, chosen, times, record.granularity),
        names[1]: _of_each(chosen, lambda fold: time_findings(fold, times, seconds)),
        names[2]: _of_each(chosen, lambda fold: fitted_findings(run, fold, targets)),
        names[3]: _at_bars(predictions, bars.select(bar_time=pl.col("timestamp_unix"), bar_target=pl.col(target)), filled=grown),
        names[4]: _model_group(
            stores, run, chosen, bars.select(record.column(n).name for n in run.feature_columns), predictions, progress=progress
        ),
    }


def has_grown(record: DatasetRecord, run: RunRecord) -> bool:
    """Whether the dataset holds the bars that the run saw, and later ones: a tag takes no others (but null targets at its end fill)."""
    columns = {column.name for column in record.columns}
    known = columns >= {run.target_column, *run.feature_columns}
    return known and record.questdb_tag == run.questdb_tag and record.row_count > int(run.walk_config.get("rows", record.row_count))


def _of_each(folds: Sequence[FoldRecord], ask: Callable[[FoldRecord], list[Finding]]) -> list[Finding]:
    return [finding for fold in folds for finding in ask(fold)]


def _told(folds: Sequence[FoldRecord], stage: str, progress: Progress) -> Iterator[FoldRecord]:
    """The folds, each told to `progress` as it is taken."""
    for done, fold in enumerate(folds):
        progress(stage, done, len(folds), "folds")
        yield fold


def _at_bars(predictions: pl.DataFrame, bars: pl.DataFrame, *, filled: bool) -> list[Finding]:
    """Times and targets of predictions against the bars that they say they stand at; `filled`: targets unknown then may be known now."""
    numbered = bars.with_row_index("bar_index").cast({"bar_index": pl.Int64})
    joined = predictions.join(numbered, on="bar_index", how="left")
    wrong_times = joined.filter(pl.col("timestamp_unix").ne_missing(pl.col("bar_time")))
    wrong_targets = joined.filter(pl.col("target_value").ne_missing(pl.col("bar_target")))
    if filled:
        wrong_targets = wrong_targets.filter(pl.col("target_value").is_not_null())
    findings = [
        Finding(row["fold"], f"time of bar {row['bar_index']}", row["bar_time"], row["timestamp_unix"]) for row in wrong_times.to_dicts()
    ]
    return findings + [
        Finding(row["fold"], f"target of bar {row['bar_index']}", row["bar_target"], row["target_value"])
        for row in wrong_targets.to_dicts()
    ]


def _model_group(
    stores: Stores,
    run: RunRecord,
    chosen: Sequence[FoldRecord],
    features: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    progress: Progress,
) -> list[Finding] | str:
    parts = {int(key[0]): part for key, part in predictions.partition_by("fold", as_dict=True).items()}
    nothing = predictions.clear()
    asked = [
        model_findings(stores, run, fold, features, parts.get(fold.fold_number, nothing))
        for fold in _told(chosen, "models again", progress)
    ]
    kept = [found for found in asked if found is not None]
    if asked and not kept:
        return "no fold has its model as stored"
    return [finding for found in kept for finding in found]


def _plain(finding: Finding) -> dict[str, Any]:
    return {k: v if isinstance(v, (int, float, str, bool, type(None))) else str(v) for k, v in asdict(finding).items()}
