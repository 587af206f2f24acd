"""The look-ahead audit: folds of a real run are trained again on bars whose future was changed, and must not notice.

Perturb every feature at rows >= test_start and every target at rows >= train_end: model and thresholds stay bit-equal. Perturb everything
after the fitted rows: the selected features stay. Perturb everything at rows > t: the prediction at t stays. And the gap holds what the
target's horizon asks for, as declared and as the published bars show it, for an assumption proves nothing. (DEFINITIONS, Training and
Horizon.)

What is perturbed there are arrays, so a leak inside the loading would be in both trainings alike. Therefore each fold's bars are also read
again, the same way, from a dataset that ends where its test window begins: what was read of the bars before must be the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.selectors import SELECTORS
from chronos_assets.errors import ConflictError
from chronos_assets.ingest.horizon import HorizonShown
from chronos_assets.learning.devices import Device
from chronos_assets.learning.training import FoldData, FoldResult, FoldSpec, Recipe, train_fold
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.checks import Finding
from chronos_assets.pipeline.walkforward.data import RunData, make_recipe, read_run_data
from chronos_assets.pipeline.walkforward.horizon import shown_horizon
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest, layout_of, profile_of
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores

TrainFold = Callable[[FoldData, FoldSpec], FoldResult]
ReadData = Callable[[Stores, WalkforwardRequest], RunData]
# Bars after the test window that are taken along, so that there is a future to change.
BEYOND = 64


@dataclass(frozen=True)
class LookAheadReport:
    """Folds that were tried, and what was found."""

    folds: list[int]
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no fold noticed the future."""
        return not self.findings


def look_ahead_audit(
    stores: Stores,
    run_id: str,
    n_folds: int = 3,
    *,
    seed: int = 0,
    train: TrainFold = train_fold,
    read: ReadData = read_run_data,
    progress: Progress = silent,
) -> LookAheadReport:
    """Audit `n_folds` folds of a stored run (the first, the last, others by chance), and compare them with what is stored.

    Raises `ConflictError` if the dataset is no longer the one that the run saw.
    """
    run, records = get_run(stores.postgres, run_id), get_folds(stores.postgres, run_id)
    request = request_of(stores, run)
    data = read(stores, request)
    recipe = make_recipe(request, data)
    chance = np.random.default_rng(seed)
    ends = list(dict.fromkeys([0, len(records) - 1][: max(0, n_folds)])) if records else []
    rest = [i for i in range(len(records)) if i not in ends]
    ends += chance.choice(rest, size=min(len(rest), max(0, n_folds - len(ends))), replace=False).tolist()
    shown = shown_horizon(stores, request.record, request.target)
    horizon = required_horizon(request, shown)
    findings: list[Finding] = []
    for done, record in enumerate(records[i] for i in sorted(ends)):
        progress("train again on another future", done, len(ends), f"fold {record.fold_number}")
        fold = Fold(record.fold_number, record.train_start_idx, record.train_end_idx, record.test_start_idx, record.test_end_idx)
        ratio = request.profile.val_split_ratio
        base, found = audit_fold(data.arrays, fold, recipe, val_split_ratio=ratio, horizon=horizon, chance=chance, train=train)
        findings += audit_reading(stores, request, data, fold, read) + found + _differs_from_stored(stores, record, base)
    return LookAheadReport([records[i].fold_number for i in sorted(ends)], findings)


def required_horizon(request: WalkforwardRequest, shown: HorizonShown) -> int:
    """The horizon that gaps must allow for: what the published bars show, and what was declared, but never a mere assumption.

    A declared target may be empty at the end for a reason of its own; that it moves with later prices has no other reason.
    """
    return shown.bars if request.horizon_assumed else max(request.horizon, shown.moves_with)


def audit_fold(
    arrays: FoldData,
    fold: Fold,
    recipe: Recipe,
    *,
    val_split_ratio: float,
    horizon: int,
    chance: np.random.Generator,
    train: TrainFold = train_fold,
) -> tuple[FoldResult, list[Finding]]:
    """Train one fold on its bars, and again on bars with another future; the first result, and what the future changed."""
    start, end = fold.train_start, min(len(arrays.targets), fold.test_end + BEYOND)
    weights = None if arrays.weights is None else arrays.weights[start:end]
    window = FoldData(arrays.features[start:end], arrays.targets[start:end], weights)
    here = Fold(fold.number, 0, fold.train_end - start, fold.test_start - start, fold.test_end - start)
    spec = FoldSpec(here, here.split(val_split_ratio), "", recipe)
    base = train(window, spec)
    findings = []
    if fold.test_start - fold.train_end < horizon - 1:
        findings.append(Finding(fold.number, "gap", f"at least {horizon - 1}", fold.test_start - fold.train_end))
    other = train(perturb(window, here.test_start, here.train_end, recipe, chance), spec)
    if other.model != base.model or other.val_predictions.tobytes() != base.val_predictions.tobytes():
        findings.append(Finding(fold.number, "model", "bit-equal under another future", "another model"))
    if other.val_targets.tobytes() != base.val_targets.tobytes():
        findings.append(Finding(fold.number, "validation targets", "those before the gap", "targets at rows >= train_end"))
    if other.thresholds != base.thresholds:
        findings.append(Finding(fold.number, "thresholds", base.thresholds.as_json(), other.thresholds.as_json()))
    findings += _selection_findings(window, spec, base, chance, train)
    for t in sorted({here.test_start, (here.test_start + here.test_end - 1) // 2, here.test_end - 1}):
        later = train(perturb(window, t + 1, t + 1, recipe, chance), spec)
        upto = t + 1 - here.test_start
        if later.predictions[:upto].tobytes() != base.predictions[:upto].tobytes():
            findings.append(Finding(fold.number, f"predictions up to row {t + start}", "unchanged by later rows", "changed"))
    return base, findings


def _selection_findings(window: FoldData, spec: FoldSpec, base: FoldResult, chance: np.random.Generator, train: TrainFold) -> list[Finding]:
    """Features are selected on fitted rows: train again on bars that are others from the end of those on, and compare the choice."""
    recipe, end = spec.recipe, spec.split.fit_end
    if recipe.selector.name == SELECTORS.default:
        return []
    other = train(perturb(window, end, end, recipe, chance), spec)
    if other.chosen == base.chosen:
        return []
    expected = f"{', '.join(base.chosen)}, whatever comes after the fitted rows"
    return [Finding(spec.fold.number, "selected features", expected, ", ".join(other.chosen))]


def audit_reading(stores: Stores, request: WalkforwardRequest, data: RunData, fold: Fold, read: ReadData = read_run_data) -> list[Finding]:
    """Read the bars again as if the dataset ended before the fold's test window; what the bars after it had changed in those before."""
    cut, record = fold.test_start, request.record
    until = replace(record, row_count=cut, last_bar_ts=data.time_of(cut - 1))
    past = read(stores, replace(request, record=until))
    pairs: dict[str, tuple[NDArray[Any] | None, NDArray[Any] | None]] = {
        "times": (past.timestamps, data.timestamps),
        "features": (past.arrays.features, data.arrays.features),
        "targets": (past.arrays.targets, data.arrays.targets),
        "weights": (past.arrays.weights, data.arrays.weights),
    }
    findings = []
    for name, (before, whole) in pairs.items():
        row = _first_difference(before, None if whole is None else whole[:cut])
        if row is not None:
            expected = f"what they are without the bars from row {cut} on"
            findings.append(Finding(fold.number, f"{name} as read", expected, f"others, first in row {row}"))
    return findings


def _first_difference(a: NDArray[Any] | None, b: NDArray[Any] | None) -> int | None:
    """The first row in which two arrays differ by a bit; None if they are equal."""
    if a is None or b is None or a.shape != b.shape:
        return None if a is b else 0
    if a.tobytes() == b.tobytes():
        return None
    return next(row for row in range(len(a)) if a[row].tobytes() != b[row].tobytes())


def perturb(data: FoldData, features_from: int, targets_from: int, recipe: Recipe, chance: np.random.Generator) -> FoldData:
    """A copy with other features (and nulls in other places) from one row on, and other targets and weights from another."""
    features, targets = data.features.copy(), data.targets.copy()
    future = features[features_from:]
    noise = chance.normal(size=future.shape) * 3.0 + 1.0
    features[features_from:] = np.where(chance.random(future.shape) < 0.1, np.nan, noise)
    count = len(targets) - targets_from
    targets[targets_from:] = chance.integers(0, 2, count) if recipe.binary else chance.normal(size=count) * 10.0 + 5.0
    weights = None
    if data.weights is not None:
        weights = data.weights.copy()
        weights[targets_from:] = chance.random(count)
    return replace(data, features=features, targets=targets, weights=weights)


def request_of(stores: Stores, run: RunRecord) -> WalkforwardRequest:
    """The request of a stored run, from its row; raises `ConflictError` if its dataset has changed since."""
    record = get_dataset(stores.postgres, run.dataset_id)
    if record.content_hash != run.content_hash:
        raise ConflictError(
            f"dataset {run.dataset_id} is no longer the one that run {run.run_id} saw",
            code="dataset_moved",
            hint=f"`chronos walkforward {run.dataset_id}` makes a run of the dataset as it is now.",
        )
    config = run.walk_config
    device: Device = "cuda" if run.device == "cuda" else "cpu"
    return WalkforwardRequest(
        record,
        profile_of(run),
        run.target_column,
        tuple(run.feature_columns),
        int(config["horizon"]),
        bool(config["horizon_assumed"]),
        layout_of(config),
        (),
        device,
    )


def _differs_from_stored(stores: Stores, record: FoldRecord, base: FoldResult) -> list[Finding]:
    """A fold trained again must be the fold that is stored."""
    findings = []
    stored = read_predictions(stores, record.run_id, [record.fold_number])["prediction"].to_numpy()
    if stored.tobytes() != base.predictions.tobytes():
        findings.append(Finding(record.fold_number, "stored predictions", "those of the fold trained again", "others"))
    if record.thresholds != base.thresholds.as_json():
        findings.append(Finding(record.fold_number, "stored thresholds", base.thresholds.as_json(), record.thresholds))
    return findings
