"""A stored run against what it came from: its request, its plan, the bars of its dataset, and the models and cases that its folds kept.

Every question gives findings; None if it cannot be asked (the dataset holds other bars by now, or no model is at hand).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from chronos_assets.domain.folds import Fold, plan_folds
from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.targets import case_returns
from chronos_assets.domain.thresholds import choose_thresholds
from chronos_assets.errors import StoreError
from chronos_assets.learning.versions import name_versions
from chronos_assets.pipeline.walkforward.baseline import baseline_entry
from chronos_assets.pipeline.walkforward.checks import Finding, same
from chronos_assets.pipeline.walkforward.data import feature_matrix
from chronos_assets.pipeline.walkforward.request import IDENTITY_RULES, layout_of, learner_of, name_run, profile_of
from chronos_assets.pipeline.walkforward.store import THRESHOLD_CASES
from chronos_assets.storage.fold_artifacts import FOLDER, FoldArtifacts, ValidationCases, label
from chronos_assets.storage.runs import FoldRecord, RunRecord, find_run
from chronos_assets.storage.stores import Stores

if TYPE_CHECKING:
    from chronos_assets.learning.models import FoldModel

EDGES = ("train_start", "train_end", "test_start", "test_end")
# A model that was trained on a GPU predicts there and here with other roundings.
CUDA_TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-6
FOLDS_NAMED = 10


def identity_findings(run: RunRecord) -> list[Finding] | str:
    """The run's id must be the one that its stored request has."""
    if run.walk_config.get("identity") != IDENTITY_RULES:
        return "the run was named by other rules than today's"
    try:
        profile = profile_of(run)
    except StoreError as error:
        return [Finding(None, "stored request", "one that can be read", str(error))]
    found = name_run(
        dataset=run.dataset_id,
        content=run.content_hash or "",
        profile=profile,
        features=run.feature_columns,
        horizon=int(run.walk_config["horizon"]),
        code_version=run.code_version or "",
    )
    return [] if found == run.run_id else [Finding(None, "run_id of the stored request", run.run_id, found)]


def version_findings(run: RunRecord, folds: Sequence[FoldRecord]) -> list[Finding] | str:
    """What the process that trained each fold said of itself, against the run's `code_version`."""
    if run.walk_config.get("identity") != IDENTITY_RULES:
        return "the run is older than the record of its folds' versions"
    try:
        profile = profile_of(run)
    except StoreError as error:
        return [Finding(None, "stored request", "one that can be read", str(error))]
    names = {fold.fold_number: name_versions(profile.model, profile.features, fold.versions or {}) for fold in folds}
    return [Finding(number, "versions of the fold", run.code_version, name) for number, name in names.items() if name != run.code_version]


def has_baseline(run: RunRecord) -> bool:
    """Whether the run's summary names the run of a baseline."""
    return (run.summary_metrics or {}).get("baseline") is not None


def baseline_findings(stores: Stores, run: RunRecord) -> list[Finding] | str:
    """The baseline's metrics in the run's summary against those of the run that it names: the same request but for the learner."""
    entry = (run.summary_metrics or {})["baseline"]
    other = find_run(stores.postgres, str(entry.get("run_id")))
    if other is None:
        return "the baseline's run was retired"
    same_request = ("dataset_id", "content_hash", "target_column", "feature_columns")
    findings = [
        Finding(None, f"{name} of the baseline's run", getattr(run, name), getattr(other, name))
        for name in same_request
        if getattr(run, name) != getattr(other, name)
    ]
    due = baseline_entry(learner_of(other), other.run_id, other.summary_metrics or {})
    return findings if same(due, entry) else [*findings, Finding(None, "summary baseline", due, entry)]


def end_findings(run: RunRecord) -> list[Finding] | str:
    """Status, time of the end and summary: one that failed or was cancelled says why, one that completed has nothing to say of that."""
    if run.status in {"queued", "running"}:
        return "the run has not ended"
    wrong = "error" in (run.summary_metrics or {})
    findings = [] if run.completed_at is not None else [Finding(None, "completed_at", "a time", None)]
    if wrong is (run.status == "completed"):
        due = "failed or cancelled, as its summary has an error" if wrong else "completed, as its summary has no error"
        findings.append(Finding(None, "status", due, run.status))
    return findings


def plan_findings(run: RunRecord, folds: Sequence[FoldRecord], times: np.ndarray | None, granularity: str | None) -> list[Finding]:
    """Edges of the stored folds against the plan. Without `times` of the bars a calendar plan cannot be laid out: nothing is found."""
    layout = layout_of(run.walk_config)
    if layout.is_calendar and (times is None or granularity is None):
        return []
    seconds = None if granularity is None or times is None else seconds_to_next_bar(granularity, int(times[-1]))
    plan = {fold.number: fold for fold in plan_folds(layout, int(run.walk_config["rows"]), timestamps=times, interval_seconds=seconds)}
    return [
        Finding(record.fold_number, f"{edge}_idx", getattr(plan[record.fold_number], edge), getattr(record, f"{edge}_idx"))
        for record in folds
        if record.fold_number in plan
        for edge in EDGES
        if getattr(plan[record.fold_number], edge) != getattr(record, f"{edge}_idx")
    ]


def time_findings(record: FoldRecord, times: np.ndarray, interval_seconds: int) -> list[Finding]:
    """Times of a fold's edges against those of the bars; the edge past the last bar is the bar to come."""
    findings = []
    for edge in EDGES:
        row, stored = getattr(record, f"{edge}_idx"), getattr(record, f"{edge}_ts")
        inside = min(max(row, 0), len(times) - 1)
        due = datetime.fromtimestamp(int(times[inside]) + (row - inside) * interval_seconds, UTC)
        if stored is not None and stored != due:
            findings.append(Finding(record.fold_number, f"{edge}_ts", due.isoformat(), stored.isoformat()))
    return findings


def fitted_findings(run: RunRecord, record: FoldRecord, targets: np.ndarray) -> list[Finding]:
    """`samples_train` against the fitted rows whose target is known. `targets`: float64, one per bar, NaN for null."""
    split = _fold(record).split(float(run.walk_config["val_split_ratio"]))
    due = int(np.count_nonzero(~np.isnan(targets[split.fit_start : split.fit_end])))
    return [] if due == record.samples_train else [Finding(record.fold_number, "samples_train", due, record.samples_train)]


def file_findings(stores: Stores, folds: Sequence[FoldRecord]) -> dict[str, list[Finding] | str]:
    """The files of folds against the SHA-256 and size that their rows keep, and whether they are where this host looks for them.

    Files that are not there are no difference: they can be on the host that trained the folds. A row that names no file at all is one.
    """
    states = FoldArtifacts(stores.artifacts).states(fold.files for fold in folds)
    due = "model and validation cases as they were stored"
    named = [(fold, "no name of a file" if label(fold.files) is None else state) for fold, state in zip(folds, states, strict=True)]
    wrong = [Finding(fold.fold_number, "files", due, state) for fold, state in named if state not in {"whole", "missing", "unrecorded"}]
    gone = [fold.fold_number for fold, state in named if state == "missing"]
    unrecorded = f"{states.count('unrecorded')} folds were stored by an older program, which kept no hash of their files"
    return {
        "files of every fold are here": _not_here(gone, len(folds), stores.artifacts.address(FOLDER)) if gone else [],
        "files of every fold are what was stored": wrong if wrong or "unrecorded" not in states else unrecorded,
    }


def _not_here(gone: Sequence[int], of: int, place: str) -> str:
    numbers = ", ".join(map(str, gone[:FOLDS_NAMED])) + (", ..." if len(gone) > FOLDS_NAMED else "")
    return (
        f"{len(gone)} of {of} folds have no files in {place}: {numbers}. They are on the host that trained them, or lost: "
        "CHRONOS_ARTIFACTS can name a place that all hosts see, and the same walk-forward trains these folds again"
    )


def threshold_findings(stores: Stores, run: RunRecord, record: FoldRecord, *, binary: bool) -> list[Finding] | None:
    """Thresholds against those that the kept validation cases give; None if they are not as stored, or came from other cases."""
    artifacts, profile = FoldArtifacts(stores.artifacts), ThresholdProfile.model_validate(run.walk_config["thresholds"])
    if profile.data != "validation" or artifacts.state(record.files) != "whole":
        return None
    cases = artifacts.validation(record.files)
    chosen = choose_thresholds(cases.predictions, case_returns(cases.targets, binary=binary), profile)
    pairs = {"thresholds of the validation cases": (chosen.as_json(), record.thresholds)}
    if (stored := record.metrics.get(THRESHOLD_CASES)) is not None:
        pairs["cases that thresholds rest on"] = (chosen.cases(cases.predictions), stored)
    return [Finding(record.fold_number, name, due, found) for name, (due, found) in pairs.items() if not same(due, found)]


def model_findings(stores: Stores, run: RunRecord, record: FoldRecord, features: pl.DataFrame, part: pl.DataFrame) -> list[Finding] | None:
    """Stored predictions and scores of one fold against what its stored model says of their bars; None if its files are not as stored.

    `features`: the run's features in its order, one row per bar. `part`: the fold's predictions.
    """
    artifacts = FoldArtifacts(stores.artifacts)
    if artifacts.state(record.files) != "whole":
        return None
    from chronos_assets.learning.models import load_model  # xgboost is heavy

    model = load_model(artifacts.model(record.files), learner_of(run))
    said = {"fold_key": (model.fold_key, record.fold_key), "best_iteration": (model.best_iteration, record.best_iteration)}
    findings = [Finding(record.fold_number, f"{name} of the stored model", *pair) for name, pair in said.items() if pair[0] != pair[1]]
    if not set(model.feature_names) <= set(run.feature_columns):
        return [*findings, Finding(record.fold_number, "features of the stored model", run.feature_columns, list(model.feature_names))]
    features = features.select(features.columns[column] for column in model.columns(run.feature_columns))
    findings += _score_findings(run, record, model, artifacts.validation(record.files), features)
    held = part.filter(pl.col("bar_index").is_between(0, features.height - 1))
    if not held.height:
        return findings
    rows = held["bar_index"].to_list()
    matrix = feature_matrix(features[rows], tuple(features.columns))
    for name, due in (("prediction", model.predict(matrix)), ("score", model.scores(matrix))):
        stored = held[name].fill_null(np.nan).to_numpy()
        wrong = np.flatnonzero(~_agree(due, stored, exact=run.device != "cuda"))
        findings += [Finding(record.fold_number, f"{name} of bar {rows[i]}", float(due[i]), _plain(stored[i])) for i in wrong[:3]]
        if wrong.size > 3:
            findings.append(Finding(record.fold_number, f"{name}s of the stored model", 0, f"{wrong.size} differ"))
    return findings


def _score_findings(run: RunRecord, record: FoldRecord, model: FoldModel, cases: ValidationCases, features: pl.DataFrame) -> list[Finding]:
    """`best_score` against what the stored model says of the validation cases. XGBoost sums in float32, tree after tree or all at once."""
    matrix = feature_matrix(features[(record.train_start_idx + cases.offsets).tolist()], tuple(features.columns))
    due, stored = model.validation_score(matrix, cases.targets), record.best_score
    tolerance = CUDA_TOLERANCE if run.device == "cuda" else SCORE_TOLERANCE
    same_score = due == stored if due is None or stored is None else math.isclose(due, stored, rel_tol=tolerance, abs_tol=tolerance)
    return [] if same_score else [Finding(record.fold_number, "best_score of the stored model", due, stored)]


def _agree(due: np.ndarray, stored: np.ndarray, *, exact: bool) -> np.ndarray:
    if exact:
        return np.asarray(due.view(np.int64) == stored.view(np.int64))
    return np.asarray(np.isclose(due, stored, rtol=CUDA_TOLERANCE, atol=CUDA_TOLERANCE))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _fold(record: FoldRecord) -> Fold:
    return Fold(record.fold_number, record.train_start_idx, record.train_end_idx, record.test_start_idx, record.test_end_idx)
