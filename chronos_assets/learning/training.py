"""Training one fold: arrays and a specification in, a result out. No store, no clock but the stopwatch, no state between folds.

XGBoost keeps features as float32 whatever it is given, so the shared matrix is float32 from the start (shape (rows, features), C order;
null is NaN) and a fold's windows are views of it. Targets, thresholds and metrics stay float64. One CPU thread per fold: two folds side
by side beat one fold on two threads, and the bits do not depend on how many run at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold, ValidationSplit
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.targets import Floats, TargetTransform, TransformKind, case_returns, signal_predictions
from chronos_assets.domain.thresholds import Thresholds, choose_thresholds
from chronos_assets.errors import ChronosError

if TYPE_CHECKING:
    import xgboost as xgb

# Part of every fold key: raise it when the same inputs would give another model, prediction, threshold or artifact.
TRAINING_CODE_VERSION = "1"


@dataclass(frozen=True)
class FoldData:
    """What all folds of a run share: `features` float32 (rows, features), `targets` and `weights` float64 (rows,), NaN for null."""

    features: NDArray[np.float32]
    targets: Floats
    weights: Floats | None = None


@dataclass(frozen=True)
class Recipe:
    """How every fold of a run is trained; resolved, so that nothing depends on the machine or on other folds."""

    booster: dict[str, Any]
    rounds: int
    early_stopping: int
    transform: TransformKind
    tanh_k: float
    thresholds: ThresholdProfile
    binary: bool
    weight_half_life: float | None = None
    feature_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoldSpec:
    """One fold to train: its rows, its key and the recipe."""

    fold: Fold
    split: ValidationSplit
    key: str
    recipe: Recipe


@dataclass(frozen=True)
class Importance:
    """Sums that can be pooled over folds: gain and splits per feature, |SHAP| per feature over `rows` test rows."""

    total_gain: list[float]
    splits: list[int]
    shap_sum: list[float]
    rows: int


@dataclass(frozen=True)
class FoldResult:
    """A trained fold. `predictions` are in the target's unit (`p - 0.5` for 0/1), `scores` the booster's raw outputs; both per test row."""

    fold: Fold
    key: str
    samples_train: int
    best_iteration: int
    best_score: float | None
    learned_nothing: bool
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


def train_fold(data: FoldData, spec: FoldSpec, stop: Callable[[], bool] | None = None) -> FoldResult:
    """Train, predict and choose thresholds for one fold.

    Rows with a null target are neither fitted nor scored; every test row is predicted. `stop` is asked between rounds.
    """
    started = time.perf_counter()
    recipe, fold = spec.recipe, spec.fold
    fitted = _known_rows(data.targets, spec.split.fit_start, spec.split.fit_end)
    validation = _known_rows(data.targets, spec.split.val_start, spec.split.val_end)
    _require_rows(spec, len(fitted), len(validation))
    transform = TargetTransform.fit(recipe.transform, data.targets[fitted], k=recipe.tanh_k)
    matrices = {
        "fitted": _matrix(data, fitted, transform, _weights(data, fitted, recipe)),
        "validation": _matrix(data, validation, transform, None),
        "test": _matrix(data, np.arange(fold.test_start, fold.test_end), None, None),
    }
    booster, best_score = _train(recipe, matrices["fitted"], matrices["validation"], stop)
    outputs = {name: _outputs(booster, matrix) for name, matrix in matrices.items() if name != "fitted"}
    if recipe.thresholds.data != "validation":
        outputs["fitted"] = _outputs(booster, matrices["fitted"])
    predictions = {name: signal_predictions(transform.invert(raw), binary=recipe.binary) for name, raw in outputs.items()}
    thresholds, threshold_cases = _thresholds(recipe, data.targets, predictions, fitted, validation)
    seen = np.concatenate([predictions["validation"], predictions["test"]])
    best_iteration = booster.num_boosted_rounds() - 1
    return FoldResult(
        fold=fold,
        key=spec.key,
        samples_train=len(fitted),
        best_iteration=best_iteration,
        best_score=best_score,
        learned_nothing=best_iteration == 0 or bool(seen.min() == seen.max()),
        thresholds=thresholds,
        threshold_cases=threshold_cases,
        predictions=predictions["test"],
        scores=outputs["test"],
        val_rows=validation,
        val_predictions=predictions["validation"],
        val_targets=data.targets[validation],
        importance=_importance(booster, matrices["test"], data.features.shape[1]),
        model=_model_bytes(booster, spec, transform),
        seconds=time.perf_counter() - started,
    )


def booster_parameters(model: dict[str, Any], *, objective: str, device: str, monotone: tuple[int, ...]) -> dict[str, Any]:
    """XGBoost's parameters from the stored hyperparameters (names as in `ModelProfile`), one thread, silent."""
    names = ("eta", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda", "reg_alpha", "gamma", "max_bin", "seed")
    parameters = {name: model[name] for name in names}
    parameters |= {"objective": objective, "device": device, "tree_method": "hist", "nthread": 1, "verbosity": 0}
    if objective == "reg:quantileerror":
        parameters["quantile_alpha"] = model["quantile_alpha"]
    if objective == "reg:pseudohubererror":
        parameters["huber_slope"] = model["huber_slope"]
    if any(monotone):
        parameters["monotone_constraints"] = monotone
    return parameters


def _known_rows(targets: Floats, start: int, end: int) -> NDArray[np.int64]:
    return start + np.flatnonzero(~np.isnan(targets[start:end]))


def _require_rows(spec: FoldSpec, fitted: int, validation: int) -> None:
    for what, count in (("fitted", fitted), ("validation", validation)):
        if not count:
            raise ChronosError(f"fold {spec.fold.number} has no {what} row with a known target", code=f"no_{what}_rows")


def _matrix(data: FoldData, rows: NDArray[np.int64], transform: TargetTransform | None, weights: Floats | None) -> xgb.DMatrix:
    """A DMatrix over a view of the shared features where `rows` are contiguous (no null target among them), else over a copy."""
    import xgboost as xgb

    start, end = int(rows[0]), int(rows[-1]) + 1
    features = data.features[start:end] if end - start == len(rows) else data.features[rows]
    label = None if transform is None else transform.apply(data.targets[rows])
    return xgb.DMatrix(features, label=label, weight=weights, nthread=1)


def _weights(data: FoldData, rows: NDArray[np.int64], recipe: Recipe) -> Floats | None:
    """Sample weights of the fitted rows: the weight column, halved every `weight_half_life` bars back from the last fitted row."""
    weights = None if data.weights is None else np.nan_to_num(data.weights[rows], nan=0.0)
    if recipe.weight_half_life is not None:
        decay = np.exp2((rows - rows[-1]) / recipe.weight_half_life)
        weights = decay if weights is None else weights * decay
    return weights


def _train(
    recipe: Recipe, fitted: xgb.DMatrix, validation: xgb.DMatrix, stop: Callable[[], bool] | None
) -> tuple[xgb.Booster, float | None]:
    """The booster cut after its best iteration (so that every later use takes exactly those trees), and its validation score."""
    import xgboost as xgb

    class StopWhenAsked(xgb.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return stop is not None and stop()

    scores: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        recipe.booster,
        fitted,
        num_boost_round=recipe.rounds,
        evals=[(validation, "validation")],
        evals_result=scores,
        early_stopping_rounds=recipe.early_stopping or None,
        verbose_eval=False,
        callbacks=None if stop is None else [StopWhenAsked()],
    )
    if stop is not None and stop():
        raise ChronosError("training was interrupted", code="interrupted")
    (history,) = scores["validation"].values()
    best = booster.best_iteration if recipe.early_stopping else booster.num_boosted_rounds() - 1
    cut = booster if best + 1 == booster.num_boosted_rounds() else booster[: best + 1]
    return cut, (float(history[best]) if np.isfinite(history[best]) else None)


def _outputs(booster: xgb.Booster, matrix: xgb.DMatrix) -> Floats:
    """Raw outputs of all trees of a booster already cut after its best iteration, float64."""
    return np.asarray(booster.predict(matrix), dtype=np.float64)


def _thresholds(
    recipe: Recipe, targets: Floats, predictions: dict[str, Floats], fitted: NDArray[np.int64], validation: NDArray[np.int64]
) -> tuple[Thresholds, dict[str, int | None]]:
    """The thresholds, and how many cases each side rests on."""
    parts = {"validation": ["validation"], "train": ["fitted"], "both": ["fitted", "validation"]}[recipe.thresholds.data]
    rows = {"fitted": fitted, "validation": validation}
    cases = np.concatenate([predictions[part] for part in parts])
    returns = case_returns(np.concatenate([targets[rows[part]] for part in parts]), binary=recipe.binary)
    thresholds = choose_thresholds(cases, returns, recipe.thresholds)
    return thresholds, thresholds.cases(cases)


def _importance(booster: xgb.Booster, test: xgb.DMatrix, n_features: int) -> Importance:
    contributions = np.abs(booster.predict(test, pred_contribs=True)[:, :n_features]).sum(axis=0, dtype=np.float64)
    gain: dict[str, Any] = booster.get_score(importance_type="total_gain")
    splits: dict[str, Any] = booster.get_score(importance_type="weight")
    names = [f"f{i}" for i in range(n_features)]
    return Importance(
        [float(gain.get(n, 0.0)) for n in names], [int(splits.get(n, 0)) for n in names], contributions.tolist(), test.num_row()
    )


def _model_bytes(booster: xgb.Booster, spec: FoldSpec, transform: TargetTransform) -> bytes:
    """UBJSON of the model, with all that is needed to predict from the file alone in its attributes."""
    booster.set_attr(
        fold_key=spec.key,
        feature_names=json.dumps(spec.recipe.feature_names),
        target_transform=json.dumps([transform.kind, transform.mean, transform.std, transform.k]),
        binary="1" if spec.recipe.binary else "0",
    )
    return bytes(booster.save_raw(raw_format="ubj"))
