"""Learners and selectors as parts: what a profile may say, what ridge computes, and that nobody has to know them by name."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import chronos_assets
from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold, plan_folds
from chronos_assets.domain.learners import LEARNERS, Cases
from chronos_assets.domain.parts import documentation_row
from chronos_assets.domain.profiles.variants import merged
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.selectors import SELECTORS, Selector
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import ChronosError, ProfileError
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.learners.ridge import Ridge
from chronos_assets.learning.models import load_model
from chronos_assets.learning.training import FoldResult, train_fold
from chronos_assets_tests.learning.test_training import FOLD, make_data, make_recipe, spec

DOCS = Path(chronos_assets.__file__).parent.parent / "docs" / "WALKFORWARD.md"


@pytest.mark.parametrize("catalogue", [LEARNERS, SELECTORS], ids=["learners", "selectors"])
def test_every_registered_part_is_found_and_documented(catalogue: Any) -> None:
    """Each name in the table leads to a class of that name, whose row stands in the documentation as the class gives it."""
    page = DOCS.read_text(encoding="utf-8")
    for name in catalogue.names:
        kind = catalogue.find(name)
        assert catalogue.parse({catalogue.field: name}).name == name
        assert documentation_row(kind, catalogue.field) in page


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"model": {"learner": "rigde"}}, "did you mean 'ridge'"),
        ({"model": {"learner": "ridge", "eta": 0.1}}, "unknown key 'model.eta'; expected one of alpha, learner"),
        ({"model": {"etta": 0.1}}, "Did you mean 'eta'"),
        ({"model": {"learner": "ridge", "alpha": 0}}, "model.alpha"),
        ({"features": {"select": "none"}}, "there is no selector 'none'"),
        ({"features": []}, "at least one pattern"),
        ({"baseline": "rigde"}, "did you mean 'ridge'"),
    ],
)
def test_a_profile_that_no_part_takes_is_refused_by_name(profile: dict[str, Any], said: str) -> None:
    """An unknown learner or selector, and a parameter that the chosen one has not, name the nearest known one."""
    with pytest.raises(ProfileError, match=said):
        parse_strict(WalkforwardProfile, profile, error=ProfileError, what="the profile")


def test_another_learner_drops_the_parameters_of_the_one_before() -> None:
    """A change of the learner, as a sweep makes it, starts from that learner's defaults; a change within one keeps the rest."""
    base = WalkforwardProfile.model_validate({"model": {"eta": 0.2}}).model_dump(exclude_unset=True)
    assert merged(base, {"model": {"learner": "ridge"}})["model"] == {"learner": "ridge"}
    assert merged(base, {"model": {"max_depth": 2}})["model"] == {"learner": "xgboost", "eta": 0.2, "max_depth": 2}
    short = {"features": ["RSI*"]}
    for profile in (WalkforwardProfile.model_validate(base), WalkforwardProfile.model_validate(base | short)):
        assert WalkforwardProfile.model_validate(profile.model_dump(exclude_unset=True)) == profile


@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_is_least_squares_with_the_penalty_as_further_rows(weighted: bool) -> None:
    """The learner ridge predicts what `numpy.linalg.lstsq` finds if the penalty is written as rows, and its file gives the same bits.

    The oracle scales by the fitted rows that are there, puts the mean for those that are not, and centres by the weighted means.
    """
    data, split = make_data(), FOLD.split(0.8)
    weights = np.linspace(0.2, 2.0, 300) if weighted else None
    result = train_fold(replace(data, weights=weights), spec(make_recipe(learner=Ridge(alpha=3.0))))
    fitted = data.features[: split.fit_end].astype(np.float64)
    centre, scale = np.nanmean(fitted, axis=0), np.nanstd(fitted, axis=0)
    x, y = np.nan_to_num((fitted - centre) / scale), data.targets[: split.fit_end].astype(np.float64)
    weight = np.ones(len(y)) if weights is None else weights[: split.fit_end]
    x_mean, y_mean = np.average(x, axis=0, weights=weight), np.average(y, weights=weight)
    root = np.sqrt(weight)
    penalty = np.sqrt(3.0) * np.eye(x.shape[1])
    lines, right = np.vstack([root[:, None] * (x - x_mean), penalty]), np.r_[root * (y - y_mean), np.zeros(len(penalty))]
    slope = np.linalg.lstsq(lines, right, rcond=None)[0]
    rows = slice(FOLD.test_start, FOLD.test_end)
    tested = np.nan_to_num((data.features[rows].astype(np.float64) - centre) / scale)
    assert result.predictions == pytest.approx((tested - x_mean) @ slope + y_mean, rel=1e-9)
    model = load_model(result.model, "ridge")
    assert model.predict(data.features[rows]).tobytes() == result.predictions.tobytes()
    one_by_one = [model.predict(data.features[row : row + 1])[0] for row in range(rows.start, rows.stop)]
    assert np.array(one_by_one).tobytes() == result.predictions.tobytes()
    assert result.best_score == model.validation_score(data.features[160:200], data.targets[160:200])
    assert (result.best_iteration, result.learned_nothing) == (None, False)
    assert result.importance.shap_sum[0] == max(result.importance.shap_sum)


def test_ridge_bears_what_indicators_do() -> None:
    """A column of nulls, a constant, a copy and the greatest float32 numbers give finite predictions and no warning."""
    data = make_data(features=5)
    features = data.features.copy()
    features[:, 1], features[:, 2], features[:, 3] = np.nan, 7.0, features[:, 0]
    features[::2, 4] = np.finfo(np.float32).max
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train_fold(replace(data, features=features), spec(make_recipe(learner=Ridge(alpha=1e-6))))
    assert np.isfinite(result.predictions).all()
    assert result.importance.total_gain[1:3] == [0.0, 0.0]
    nothing = train_fold(replace(data, features=np.zeros_like(features)), spec(make_recipe(learner=Ridge())))
    assert nothing.learned_nothing


def test_the_number_of_workers_changes_no_bit_of_a_ridge() -> None:
    """Many ridges side by side are the ridges one after the other, wide enough for BLAS to use threads if it were asked."""
    data = make_data(rows=900, features=120)
    recipe = make_recipe(learner=Ridge(), feature_names=tuple(f"f{number}" for number in range(120)))
    specs = [spec(recipe, fold) for fold in plan_folds(Layout("rolling", 600, 20, 20, 4), 900)]
    alone = {s.fold.number: train_fold(data, s).model for s in specs}
    for result in ThreadExecutor(4).map(data, specs):
        assert isinstance(result, FoldResult)
        assert result.model == alone[result.fold.number]


def test_the_threads_of_blas_change_no_bit_of_a_ridge() -> None:
    """A wide ridge gives the same bits whether BLAS may use one thread or all: other machines have other numbers of cores."""
    data = make_data(rows=2400, features=300)
    cases = Cases(data.features, data.targets)
    models = []
    for limit in (1, 2):
        with threadpool_limits(limits=limit, user_api="blas"):
            models.append(Ridge().fit(cases, cases, names=(), device="cpu", stop=None)[0].save({}))
    assert models[0] == models[1]


class FirstAndLast(Selector):
    """Keeps the columns that its parameter names, whatever they hold."""

    summary = "columns by number"
    select: Any = "numbers"
    columns: tuple[int, ...] = (0, 4)

    def choose(self, features: Any, targets: Any, *, names: Any, stop: Any) -> Any:
        assert not np.isnan(targets).any()
        return np.array(self.columns, dtype=np.int64)


def test_a_fold_trains_on_the_features_that_its_selector_keeps() -> None:
    """Model, importance and predictions are those of the chosen columns alone; a choice that cannot be fails the fold."""
    data = make_data()
    result = train_fold(data, spec(make_recipe(selector=FirstAndLast())))
    narrow = make_recipe(feature_names=("a", "e"))
    alone = train_fold(replace(data, features=np.ascontiguousarray(data.features[:, [0, 4]])), spec(narrow))
    assert (result.chosen, result.model, result.thresholds) == (("a", "e"), alone.model, alone.thresholds)
    assert result.predictions.tobytes() == alone.predictions.tobytes()
    assert (result.importance.total_gain[0], result.importance.total_gain[4]) == tuple(alone.importance.total_gain)
    assert result.importance.shap_sum[1:4] == [0.0, 0.0, 0.0]
    assert load_model(result.model).columns("abcde") == [0, 4]
    for columns in ((), (1, 1), (3, 2), (-1, 2), (2, 5)):
        with pytest.raises(ChronosError, match="chose columns that cannot be"):
            train_fold(data, spec(make_recipe(selector=FirstAndLast(columns=columns))))


def test_a_selector_sees_the_fitted_rows_and_no_other() -> None:
    """What `choose` is given are the fitted rows with a known target, in time order."""
    seen: list[tuple[Any, Any]] = []

    class Looking(FirstAndLast):
        def choose(self, features: Any, targets: Any, *, names: Any, stop: Any) -> Any:
            seen.append((features, targets))
            return super().choose(features, targets, names=names, stop=stop)

    data, fold = make_data(), Fold(2, 40, 240, 244, 264)
    data.targets[[50, 60]] = np.nan
    train_fold(data, spec(make_recipe(selector=Looking()), fold))
    split = fold.split(0.8)
    rows = [row for row in range(split.fit_start, split.fit_end) if row not in (50, 60)]
    assert np.array_equal(seen[0][0], data.features[rows], equal_nan=True)
    assert seen[0][1].tolist() == data.targets[rows].tolist()


def test_local_selection_keeps_the_most_frequent_features() -> None:
    """`select: lfs` keeps the features that the most cases choose, in column order; a constant column and one without a case stay out."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(160, 6)).astype(np.float32)
    features[:, 2] = 1.0
    targets = np.where(np.arange(160) < 80, features[:, 4], features[:, 1]).astype(np.float64)
    wanted = {"select": "lfs", "keep": 2, "bins": 2, "max_kept": 2, "iterations": 2}
    selector = SELECTORS.parse(wanted)
    assert selector.choose(features, targets, names="abcdef", stop=None).tolist() == [1, 4]
    everything = SELECTORS.parse(wanted | {"keep": 6}).choose(features, targets, names="abcdef", stop=None).tolist()
    assert 2 not in everything
    assert set(everything) >= {1, 4}
    with pytest.raises(ChronosError, match="too few cases"):
        selector.choose(features[:40], targets[:40], names="abcdef", stop=None)
    with pytest.raises(ChronosError, match="interrupted"):
        selector.choose(features[:150], targets[:150], names="abcdef", stop=lambda: True)  # other rows: a choice is made once
    with pytest.raises(ChronosError, match="max_cases"):
        SELECTORS.parse(wanted | {"max_cases": 100}).choose(features, targets, names="abcdef", stop=None)
