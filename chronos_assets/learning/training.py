"""Training one fold: arrays and a specification in, a result out. No store, no clock but the stopwatch, no state between folds.

A recipe is a selector, a target transform, a learner and a way to choose thresholds. Features are float32 from the start (shape
(rows, features), C order; null is NaN), as XGBoost keeps them whatever it is given, and a fold's windows are views of the shared matrix.
Targets, thresholds and metrics stay float64.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold, ValidationSplit
from chronos_assets.domain.learners import Cases, Features, Importance, Learner, Stop
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.selectors import Selector
from chronos_assets.domain.targets import Floats, TargetTransform, TransformKind, case_returns, signal_predictions
from chronos_assets.domain.thresholds import Thresholds, choose_thresholds
from chronos_assets.errors import ChronosError
from chronos_assets.learning.models import attributes_of
from chronos_assets.learning.versions import Versions, versions_here


@dataclass(frozen=True)
class FoldData:
    """What all folds of a run share: `features` float32 (rows, features), `targets` and `weights` float64 (rows,), NaN for null."""

    features: Features
    targets: Floats
    weights: Floats | None = None


@dataclass(frozen=True)
class Recipe:
    """How every fold of a run is trained; resolved, so that nothing depends on the machine or on other folds.

    Every field is part of the fold keys (`compute.keys`). `feature_names` are the candidates that the selector chooses from.
    """

    learner: Learner
    selector: Selector
    thresholds: ThresholdProfile
    feature_names: tuple[str, ...]
    binary: bool
    device: str = "cpu"
    transform: TransformKind = "none"
    tanh_k: float = 1.0
    weight_half_life: float | None = None


@dataclass(frozen=True)
class FoldSpec:
    """One fold to train: its rows, its key and the recipe."""

    fold: Fold
    split: ValidationSplit
    key: str
    recipe: Recipe


@dataclass(frozen=True)
class FoldResult:
    """A trained fold, and the versions of the process that trained it.

    `predictions` are in the target's unit (`p - 0.5` for 0/1), `scores` the learner's raw outputs; both per test row. `chosen` are the
    features that the selector kept; `importance` has an entry for every candidate, with |SHAP| summed over the test rows: 0 if there are
    none (a live fold's model is trained so).
    """

    fold: Fold
    key: str
    versions: Versions
    samples_train: int
    best_iteration: int | None
    best_score: float | None
    learned_nothing: bool
    chosen: tuple[str, ...]
    thresholds: Thresholds
    threshold_cases: dict[str, int | None]
    predictions: Floats
    scores: Floats
    val_rows: NDArray[np.int64]
    val_predictions: Floats
    val_targets: Floats
    importance: Importance
    model: bytes = field(repr=False)
    seconds: float = 0.0


@dataclass(frozen=True)
class FoldFailure:
    """A fold that could not be trained, and why."""

    fold: Fold
    code: str
    reason: str


def train_fold(data: FoldData, spec: FoldSpec, stop: Stop | None = None) -> FoldResult:
    """Select features, train, predict and choose thresholds for one fold.

    Rows with a null target are neither fitted nor scored; every test row is predicted. `stop` is asked while the learner trains.
    """
    started = time.perf_counter()
    recipe, fold = spec.recipe, spec.fold
    fitted = _known_rows(data.targets, spec.split.fit_start, spec.split.fit_end)
    validation = _known_rows(data.targets, spec.split.val_start, spec.split.val_end)
    _require_rows(spec, len(fitted), len(validation))
    rows = {"fitted": fitted, "validation": validation, "test": np.arange(fold.test_start, fold.test_end)}
    columns = _choose(data, fitted, recipe, stop)
    names = tuple(recipe.feature_names[column] for column in columns)
    features = {name: _columns(_rows_of(data.features, at), columns) for name, at in rows.items()}
    transform = TargetTransform.fit(recipe.transform, data.targets[fitted], k=recipe.tanh_k)
    trained, best_score = recipe.learner.fit(
        Cases(features["fitted"], transform.apply(data.targets[fitted]), _weights(data, fitted, recipe)),
        Cases(features["validation"], transform.apply(data.targets[validation])),
        names=names,
        device=recipe.device,
        stop=stop,
    )
    asked = ("validation", "test") if recipe.thresholds.data == "validation" else tuple(rows)
    scores = {name: trained.outputs(features[name]) if len(features[name]) else np.empty(0) for name in asked}
    predictions = {name: signal_predictions(transform.invert(raw), binary=recipe.binary) for name, raw in scores.items()}
    thresholds, threshold_cases = _thresholds(recipe, data.targets, predictions, rows)
    seen = np.concatenate([predictions["validation"], predictions["test"]])
    return FoldResult(
        fold=fold,
        key=spec.key,
        versions=versions_here(recipe.learner, recipe.selector),
        samples_train=len(fitted),
        best_iteration=trained.best_iteration,
        best_score=best_score,
        learned_nothing=trained.best_iteration == 0 or bool(seen.min() == seen.max()),
        chosen=names,
        thresholds=thresholds,
        threshold_cases=threshold_cases,
        predictions=predictions["test"],
        scores=scores["test"],
        val_rows=validation,
        val_predictions=predictions["validation"],
        val_targets=data.targets[validation],
        importance=_of_all(trained.importance(features["test"]), columns, data.features.shape[1]),
        model=trained.save(attributes_of(spec.key, names, transform, binary=recipe.binary)),
        seconds=time.perf_counter() - started,
    )


def _known_rows(targets: Floats, start: int, end: int) -> NDArray[np.int64]:
    return start + np.flatnonzero(~np.isnan(targets[start:end]))


def _require_rows(spec: FoldSpec, fitted: int, validation: int) -> None:
    for what, count in (("fitted", fitted), ("validation", validation)):
        if not count:
            raise ChronosError(f"fold {spec.fold.number} has no {what} row with a known target", code=f"no_{what}_rows")


def _choose(data: FoldData, fitted: NDArray[np.int64], recipe: Recipe, stop: Stop | None) -> NDArray[np.int64]:
    """The selector's columns; raises `ChronosError` for a choice that breaks its contract."""
    chosen = recipe.selector.choose(_rows_of(data.features, fitted), data.targets[fitted], names=recipe.feature_names, stop=stop)
    if not len(chosen) or np.any(np.diff(chosen) <= 0) or chosen[0] < 0 or chosen[-1] >= data.features.shape[1]:
        raise ChronosError(
            f"the selector {recipe.selector.name} chose columns that cannot be", code="selection_invalid", found=chosen.tolist()[:20]
        )
    return chosen


def _rows_of(features: Features, rows: NDArray[np.int64]) -> Features:
    """A view of the shared features if `rows` are contiguous (no null target among them), else a copy."""
    if not len(rows):
        return features[:0]
    start, end = int(rows[0]), int(rows[-1]) + 1
    return features[start:end] if end - start == len(rows) else features[rows]


def _columns(features: Features, columns: NDArray[np.int64]) -> Features:
    """`features` itself if all columns are chosen, else a copy in C order."""
    return features if len(columns) == features.shape[1] else np.ascontiguousarray(features[:, columns])


def _weights(data: FoldData, rows: NDArray[np.int64], recipe: Recipe) -> Floats | None:
    """Sample weights of the fitted rows: the weight column, halved every `weight_half_life` bars back from the last fitted row."""
    weights = None if data.weights is None else np.nan_to_num(data.weights[rows], nan=0.0)
    if recipe.weight_half_life is not None:
        decay = np.exp2((rows - rows[-1]) / recipe.weight_half_life)
        weights = decay if weights is None else weights * decay
    return weights


def _thresholds(
    recipe: Recipe, targets: Floats, predictions: Mapping[str, Floats], rows: Mapping[str, NDArray[np.int64]]
) -> tuple[Thresholds, dict[str, int | None]]:
    """The thresholds, and how many cases each side rests on."""
    parts = {"validation": ["validation"], "train": ["fitted"], "both": ["fitted", "validation"]}[recipe.thresholds.data]
    cases = np.concatenate([predictions[part] for part in parts])
    returns = case_returns(np.concatenate([targets[rows[part]] for part in parts]), binary=recipe.binary)
    thresholds = choose_thresholds(cases, returns, recipe.thresholds)
    return thresholds, thresholds.cases(cases)


def _of_all(importance: Importance, columns: NDArray[np.int64], count: int) -> Importance:
    """Importance of every candidate: 0 for those that the fold did not train on."""
    if len(columns) == count:
        return importance
    gain, splits, shap = np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count)
    gain[columns], splits[columns], shap[columns] = importance.total_gain, importance.splits, importance.shap_sum
    return Importance(gain.tolist(), splits.tolist(), shap.tolist(), importance.rows)
