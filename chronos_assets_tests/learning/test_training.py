"""Training one fold: what it fits, what it never sees, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import xgboost as xgb

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold, plan_folds
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.targets import TargetTransform
from chronos_assets.errors import ChronosError, DeviceError
from chronos_assets.learning.devices import read_table, resolve_device
from chronos_assets.learning.executors.catalogue import EXECUTORS, open_executor
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.learners.xgboost import Trees, XGBoost
from chronos_assets.learning.models import load_model
from chronos_assets.learning.selectors.all_features import AllFeatures
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec, Recipe, train_fold
from chronos_assets.settings import Settings, load_settings

FOLD = Fold(0, 0, 200, 204, 224)


def make_data(rows: int = 300, features: int = 5, seed: int = 1, *, binary: bool = False) -> FoldData:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, features)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.03] = np.nan
    target = 0.5 * np.nan_to_num(matrix[:, 0]).astype(np.float64) + rng.normal(size=rows)
    return FoldData(matrix, (target > 0).astype(np.float64) if binary else target)


def make_recipe(objective: str = "reg:squarederror", *, monotone: tuple[int, ...] = (), **changes: Any) -> Recipe:
    signs = {name: sign for name, sign in zip("abcde", monotone, strict=False) if sign}
    learner = XGBoost.model_validate(
        {"rounds": 60, "early_stopping": 8, "eta": 0.1, "min_child_weight": 2.0, "objective": objective, "monotone": signs}
    )
    parts: dict[str, Any] = {
        "learner": learner,
        "selector": AllFeatures(),
        "thresholds": ThresholdProfile(),
        "binary": objective == "binary:logistic",
        "feature_names": ("a", "b", "c", "d", "e"),
    }
    return Recipe(**(parts | changes))


def spec(recipe: Recipe, fold: Fold = FOLD) -> FoldSpec:
    return FoldSpec(fold, fold.split(0.8), "k", recipe)


def test_prediction_is_that_of_the_best_iteration() -> None:
    """A fold predicts with the trees up to the best iteration of early stopping, as plain XGBoost does with an iteration range."""
    data, recipe = make_data(), make_recipe()
    result, split = train_fold(data, spec(recipe)), FOLD.split(0.8)
    fit, val, test = (slice(a, b) for a, b in [(split.fit_start, split.fit_end), (split.val_start, split.val_end), (204, 224)])
    assert isinstance(recipe.learner, XGBoost)
    plain = xgb.train(
        recipe.learner.booster_parameters(recipe.feature_names, device="cpu"),
        xgb.DMatrix(data.features[fit], label=data.targets[fit]),
        num_boost_round=60,
        evals=[(xgb.DMatrix(data.features[val], label=data.targets[val]), "validation")],
        early_stopping_rounds=8,
        verbose_eval=False,
    )
    assert 0 < plain.best_iteration < plain.num_boosted_rounds() - 1
    assert (result.best_iteration, result.best_score) == (plain.best_iteration, plain.best_score)
    expected = plain.predict(xgb.DMatrix(data.features[test]), iteration_range=(0, plain.best_iteration + 1))
    assert result.predictions.tolist() == expected.astype(np.float64).tolist()
    assert result.samples_train == split.fit_end


@pytest.mark.parametrize("objective", ["reg:squarederror", "reg:quantileerror", "reg:pseudohubererror", "binary:logistic"])
def test_every_objective_trains_and_loads_again(objective: str) -> None:
    """Each objective gives predictions that its stored model gives again, bit for bit."""
    data = make_data(binary=objective == "binary:logistic")
    result = train_fold(data, spec(make_recipe(objective)))
    model = load_model(result.model)
    assert model.feature_names == ("a", "b", "c", "d", "e")
    assert model.predict(data.features[204:224]).tobytes() == result.predictions.tobytes()
    assert np.isfinite(result.predictions).all()
    if objective == "binary:logistic":
        assert result.predictions == pytest.approx(result.scores - 0.5)


def test_rows_without_a_target_are_neither_fitted_nor_scored_but_predicted() -> None:
    """Null targets change nothing but the rows fitted; features of a test row without a target are predicted all the same."""
    data = make_data()
    holes = data.targets.copy()
    holes[[10, 50, 51, 180]] = np.nan
    holes[204:224] = np.nan
    result = train_fold(replace(data, targets=holes), spec(make_recipe()))
    split = FOLD.split(0.8)
    assert result.samples_train == split.fit_end - 3
    assert 180 not in result.val_rows.tolist()
    assert len(result.val_rows) == split.val_end - split.val_start - 1
    assert np.isfinite(result.predictions).all()
    assert len(result.predictions) == 20


@pytest.mark.parametrize("transform", ["standardize", "tanh"])
def test_transform_is_learnt_on_fitted_rows_only(transform: Any) -> None:
    """The stored transform is that of the fitted rows, and predictions come back in the target's unit."""
    data = make_data()
    data = replace(data, targets=data.targets * 0.01 + 3.0)
    result = train_fold(data, spec(make_recipe(transform=transform)))
    fitted = TargetTransform.fit(transform, data.targets[: FOLD.split(0.8).fit_end])
    assert load_model(result.model).transform == fitted
    assert result.predictions.tobytes() == fitted.invert(result.scores).tobytes()
    assert abs(result.predictions.mean() - 3.0) < 0.05


def test_monotone_constraints_and_weights_pass_through() -> None:
    """A rising constraint makes predictions rise with the feature; weights and their half-life change the model."""
    data = make_data(rows=300)
    recipe = make_recipe(monotone=(1, 0, 0, 0, 0))
    model = load_model(train_fold(data, spec(recipe)).model)
    ramp = np.zeros((50, 5), dtype=np.float32)
    ramp[:, 0] = np.linspace(-3, 3, 50)
    assert np.all(np.diff(model.scores(ramp)) >= 0)
    plain = train_fold(data, spec(make_recipe()))
    weighted = train_fold(replace(data, weights=np.linspace(0.1, 2.0, 300)), spec(make_recipe()))
    fading = train_fold(data, spec(make_recipe(weight_half_life=40.0)))
    even = train_fold(replace(data, weights=np.ones(300)), spec(make_recipe()))
    assert len({r.predictions.tobytes() for r in (plain, weighted, fading)}) == 3
    assert even.predictions.tobytes() == plain.predictions.tobytes()


def test_a_fold_that_learns_nothing_says_so() -> None:
    """Constant features give constant predictions, and the fold says that it learned nothing."""
    data = make_data()
    nothing = train_fold(replace(data, features=np.zeros_like(data.features)), spec(make_recipe()))
    assert nothing.learned_nothing
    assert not train_fold(data, spec(make_recipe())).learned_nothing


def test_a_fold_without_known_targets_fails_with_its_reason() -> None:
    """No known target among the fitted (or the validation) rows is an error that names the fold."""
    data = make_data()
    targets = data.targets.copy()
    targets[160:200] = np.nan
    with pytest.raises(ChronosError, match="fold 0 has no validation row"):
        train_fold(replace(data, targets=targets), spec(make_recipe()))


@pytest.mark.parametrize(("choice", "cases"), [("validation", 40), ("train", 156), ("both", 196)])
def test_thresholds_are_chosen_on_the_cases_asked_for(choice: Any, cases: int) -> None:
    """`thresholds.data` chooses validation rows, fitted rows, or both."""
    result = train_fold(make_data(), spec(make_recipe(thresholds=ThresholdProfile(data=choice))))
    assert (result.thresholds.n_cases, result.thresholds.data) == (cases, choice)


def test_importance_sums_match_the_model() -> None:
    """SHAP sums run over the test rows, gain and splits over the trees that predict."""
    data = make_data()
    result = train_fold(data, spec(make_recipe()))
    trees = load_model(result.model).trained
    assert isinstance(trees, Trees)
    booster = trees.booster
    contributions = booster.predict(xgb.DMatrix(data.features[204:224]), pred_contribs=True)[:, :5]
    assert result.importance.shap_sum == pytest.approx(np.abs(contributions).sum(axis=0))
    assert result.importance.rows == 20
    assert sum(result.importance.splits) == sum(booster.get_score(importance_type="weight").values())
    assert result.importance.total_gain[0] == max(result.importance.total_gain)


def test_the_number_of_workers_changes_no_bit() -> None:
    """One worker, four workers and a plain loop give the same models, predictions and thresholds."""
    data, recipe = make_data(rows=600), make_recipe()
    specs = [spec(recipe, fold) for fold in plan_folds(Layout("rolling", 200, 20, 20, 4), 600)]
    alone = {s.fold.number: train_fold(data, s) for s in specs}
    for workers in (1, 4):
        for result in ThreadExecutor(workers).map(data, specs):
            assert isinstance(result, FoldResult)
            twin = alone[result.fold.number]
            assert (result.model, result.predictions.tobytes(), result.thresholds) == (
                twin.model,
                twin.predictions.tobytes(),
                twin.thresholds,
            )


def test_a_failing_fold_stops_nobody_else() -> None:
    """The executor yields a failure for the fold that failed and results for all others; closing it early ends quietly."""
    data, recipe = make_data(rows=600), make_recipe()
    targets = data.targets.copy()
    targets[:200] = np.nan
    specs = [spec(recipe, fold) for fold in plan_folds(Layout("rolling", 200, 20, 20, 4), 600)]
    results = list(ThreadExecutor(2).map(replace(data, targets=targets), specs))
    failed = [r for r in results if isinstance(r, FoldFailure)]
    assert len(results) == len(specs)
    assert failed
    assert {f.code for f in failed} <= {"no_fitted_rows", "no_validation_rows"}
    assert 0 in {f.fold.number for f in failed}
    running = ThreadExecutor(2).map(data, specs)
    assert next(running) is not None
    running.close()


def test_keys_name_content_and_nothing_else() -> None:
    """A key follows its fold's rows wherever they lie; it changes with a seen bar or a parameter, not with an unseen one."""
    data, recipe = make_data(), make_recipe()
    key = FoldKeys(data, recipe).key(FOLD, FOLD.split(0.8))
    moved = Fold(7, 10, 210, 214, 234)
    shifted = FoldData(np.vstack([data.features[:10], data.features]), np.concatenate([data.targets[:10], data.targets]))
    assert FoldKeys(shifted, recipe).key(moved, moved.split(0.8)) == key

    def key_with(row: int, *, target: bool) -> str:
        features, targets = data.features.copy(), data.targets.copy()
        if target:
            targets[row] = 99.0
        else:
            features[row, 2] = 99.0
        return FoldKeys(FoldData(features, targets), recipe).key(FOLD, FOLD.split(0.8))

    seen = {
        (row, target): key_with(row, target=target) != key
        for row in (0, 155, 157, 160, 199, 201, 204, 223, 224)
        for target in (False, True)
    }
    assert [row for (row, target), differs in seen.items() if differs and not target] == [0, 155, 160, 199, 204, 223]
    assert [row for (row, target), differs in seen.items() if differs and target] == [0, 155, 160, 199]


def test_auto_falls_back_to_the_cpu_and_cuda_without_a_gpu_is_refused() -> None:
    """`auto` takes the CPU where no GPU is there; `cuda` is a clear error then."""
    assert resolve_device("auto", gpus=lambda: 0, fitted_rows=10**6, features=500) == "cpu"
    assert resolve_device("cuda", gpus=lambda: 1, fitted_rows=10, features=5) == "cuda"
    with pytest.raises(DeviceError, match="no GPU"):
        resolve_device("cuda", gpus=lambda: 0, fitted_rows=10, features=5)


def test_auto_takes_the_gpu_where_a_measured_table_says_so(tmp_path: Path) -> None:
    """`auto` follows the table in the named file and still falls back without a GPU; a file that holds no table is refused by name."""
    path = tmp_path / "devices.json"
    path.write_text('{"auto_table": [[80, 40000]]}')
    table = read_table(path)
    assert resolve_device("auto", gpus=lambda: 1, fitted_rows=40_000, features=80, table=table) == "cuda"
    assert resolve_device("auto", gpus=lambda: 1, fitted_rows=39_999, features=80, table=table) == "cpu"
    assert resolve_device("auto", gpus=lambda: 0, fitted_rows=40_000, features=80, table=table) == "cpu"
    for text in ("", "[]", '{"auto_table": [[80]]}', '{"auto_table": [[80, "many"]]}'):
        path.write_text(text)
        with pytest.raises(DeviceError, match=r"devices\.json"):
            read_table(path)
    with pytest.raises(DeviceError, match="nowhere"):
        read_table(tmp_path / "nowhere.json")


def test_every_executor_of_the_settings_is_in_the_catalogue() -> None:
    """A name that the settings accept leads to an executor of that name."""
    assert set(EXECUTORS) == set(get_args(Settings.model_fields["executor"].annotation))
    assert open_executor(load_settings(executor="threads", workers=3)).name == "threads"
