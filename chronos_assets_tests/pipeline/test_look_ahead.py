"""The look-ahead audit passes what is honest, and catches what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.learners import Features, Stop
from chronos_assets.domain.selectors import Selector
from chronos_assets.domain.targets import Floats, TargetTransform
from chronos_assets.learning.selectors.all_features import AllFeatures
from chronos_assets.learning.selectors.local_features import LocalFeatures
from chronos_assets.learning.training import FoldData, FoldResult, FoldSpec, Recipe, train_fold
from chronos_assets.pipeline.walkforward.checks import Finding
from chronos_assets.pipeline.walkforward.look_ahead import TrainFold, audit_fold
from chronos_assets_tests.learning.test_training import make_data, make_recipe

FOLD = Fold(3, 40, 240, 244, 264)
SEED = 8  # two features are about equally frequent: one row decides


def audit(data: FoldData, recipe: Recipe, train: TrainFold = train_fold, fold: Fold = FOLD, horizon: int = 5) -> list[Finding]:
    chance = np.random.default_rng(5)
    return audit_fold(data, fold, recipe, val_split_ratio=0.8, horizon=horizon, chance=chance, train=train)[1]


@pytest.mark.parametrize("transform", ["none", "standardize", "tanh"])
@pytest.mark.parametrize("window_start", [0, 40])
def test_honest_training_passes(transform: str, window_start: int) -> None:
    """Training as it is notices nothing of the future, with every transform, weights included."""
    data = replace(make_data(), weights=np.linspace(0.5, 1.5, 300))
    fold = replace(FOLD, train_start=window_start)
    assert audit(data, make_recipe(transform=transform), fold=fold) == []
    assert audit(make_data(binary=True), make_recipe("binary:logistic"), fold=fold) == []


class OfTheLastRow(AllFeatures):
    """Keeps the features that are positive in the last row that it is given."""

    def choose(self, features: Features, targets: Floats, *, names: Sequence[str], stop: Stop | None) -> NDArray[np.int64]:
        positive = np.flatnonzero(features[-1] > 0)
        return positive if len(positive) else np.arange(1, dtype=np.int64)

    @property
    def name(self) -> str:
        return "last"


@pytest.mark.parametrize("selector", [OfTheLastRow(), LocalFeatures(keep=2, max_kept=1, iterations=2, bins=2)], ids=["last row", "lfs"])
def test_a_selection_that_sees_one_validation_row_is_caught(selector: Selector) -> None:
    """A selection on the fitted rows passes; given one row after them as well, it notices what comes later."""
    data = replace(make_data(seed=SEED), targets=np.random.default_rng(SEED).normal(size=300))
    recipe = make_recipe(selector=selector)
    assert audit(data, recipe) == []

    def one_row_more(data: FoldData, spec: FoldSpec) -> FoldResult:
        return train_fold(data, replace(spec, split=replace(spec.split, fit_end=spec.split.fit_end + 1)))

    assert {finding.what for finding in audit(data, recipe, one_row_more)} >= {"selected features"}


def test_training_into_the_gap_is_caught() -> None:
    """A trainer that drops the gap, and so fits on targets that are not known yet, fails the audit."""

    def without_gap(data: FoldData, spec: FoldSpec) -> FoldResult:
        return train_fold(data, replace(spec, split=replace(spec.split, val_end=spec.fold.test_start)))

    assert {f.what for f in audit(make_data(), make_recipe(), without_gap)} >= {"validation targets"}


def test_a_transform_learnt_on_test_rows_is_caught() -> None:
    """A trainer that scales targets by what the test window holds fails the audit."""

    def peeking(data: FoldData, spec: FoldSpec) -> FoldResult:
        seen = TargetTransform.fit("standardize", data.targets[spec.split.fit_start : spec.fold.test_end])
        return train_fold(replace(data, targets=seen.apply(data.targets)), spec)

    assert {f.what for f in audit(make_data(), make_recipe(), peeking)} >= {"model"}


def test_features_that_look_forward_are_caught() -> None:
    """A trainer that centres test features by the whole test window fails: a later row moves an earlier prediction."""

    def centred(data: FoldData, spec: FoldSpec) -> FoldResult:
        features = data.features.copy()
        test = slice(spec.fold.test_start, spec.fold.test_end)
        features[test] -= np.nanmean(features[test], axis=0)
        return train_fold(replace(data, features=features), spec)

    assert any(f.what.startswith("predictions up to row") for f in audit(make_data(), make_recipe(), centred))


def test_thresholds_chosen_on_test_rows_are_caught() -> None:
    """Thresholds that depend on the test window's targets fail the audit."""

    def greedy(data: FoldData, spec: FoldSpec) -> FoldResult:
        result = train_fold(data, spec)
        best = float(np.nanmax(data.targets[spec.fold.test_start : spec.fold.test_end]))
        return replace(result, thresholds=replace(result.thresholds, long=best))

    assert {f.what for f in audit(make_data(), make_recipe(), greedy)} == {"thresholds"}


def test_a_gap_below_the_horizon_is_caught() -> None:
    """A stored fold whose gap is smaller than the horizon less one fails, however honest its training was."""
    assert [f.what for f in audit(make_data(), make_recipe(), horizon=6)] == ["gap"]


def test_prices_after_the_first_test_bar_reach_no_model_through_targets() -> None:
    """With targets made of prices h bars ahead, prices after the first test bar change no fitted target; without the gap they do."""
    horizon, rng = 5, np.random.default_rng(8)
    close = np.cumsum(rng.normal(size=300)) + 200
    other = close.copy()
    other[FOLD.test_start + 1 :] += rng.normal(size=300 - FOLD.test_start - 1) * 9

    def targets(prices: np.ndarray) -> np.ndarray:
        return np.append(prices[horizon:] - prices[:-horizon], np.full(horizon, np.nan))

    data, recipe = make_data(), make_recipe()

    def learnt(prices: np.ndarray, fold: Fold) -> tuple[bytes, object, bytes]:
        result = train_fold(replace(data, targets=targets(prices)), FoldSpec(fold, fold.split(0.8), "", recipe))
        return result.model, result.thresholds, result.val_targets.tobytes()

    assert learnt(close, FOLD) == learnt(other, FOLD)
    touching = replace(FOLD, train_end=FOLD.test_start)
    assert learnt(close, touching) != learnt(other, touching)
