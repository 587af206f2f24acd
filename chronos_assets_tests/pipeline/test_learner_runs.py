"""Any learner, the test's own among them, goes the whole way of a run: folds, artifacts, validation, growth, simulation, trace, sweep."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.look_ahead import look_ahead_audit
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.storage.runs import get_folds, get_run
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support import trained_market
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile


@pytest.fixture
def nearest() -> Iterator[str]:
    """The learner of the test folder, registered as a product's one line would."""
    LEARNERS.register("nearest", "chronos_assets_tests.support.nearest_learner:Nearest")
    yield "nearest"
    LEARNERS.forget("nearest")


def walk(learner: str, **changes: object) -> WalkforwardProfile:
    return trained_market.WALK.model_copy(update={"model": LEARNERS.parse({"learner": learner}), **changes})


@pytest.mark.parametrize("learner", ["ridge", "nearest"])
def test_a_learner_goes_the_whole_way(stores: Stores, unique_slug: str, nearest: str, learner: str) -> None:
    """A run of another learner is complete, passes validation and the look-ahead audit, and its trades lead back to its models."""
    trained_market.publish(stores, unique_slug, trained_market.bars_frame(300))
    result = run_walkforward(unique_slug, walk(learner), stores, horizon=1, horizon_assumed=False)
    run, folds = get_run(stores.postgres, result.run_id), get_folds(stores.postgres, result.run_id)
    assert (result.status, result.folds_trained, run.hyperparameters["learner"]) == ("completed", len(folds), learner)
    assert {fold.best_iteration for fold in folds} == {None}
    assert f"learner {learner} 1" in str(run.code_version)
    importance = result.summary_metrics["feature_importance"]
    assert importance["SIGNAL"]["shap"] > 0
    report = validate_run(result.run_id, stores)
    assert [check for check in report.checks if check.passed is False] == []
    assert "predictions follow from the stored models" in [check.name for check in report.checks if check.passed]
    assert look_ahead_audit(stores, result.run_id, 2).clean
    statistics = {"bootstraps": 0, "permutations": 19}
    (simulation,) = simulate_run(result.run_id, SimulationProfile.model_validate({"modes": ["dual"], "statistics": statistics}), stores)
    assert simulation.trades > 0
    model = trace_trade(f"{simulation.simulation_id}/1", stores)["model"]
    assert (model["learner"], model["reproduces_prediction"]) == (learner, True)


def test_folds_of_a_ridge_are_copied_and_never_those_of_another_learner(stores: Stores, unique_slug: str) -> None:
    """A grown dataset copies a learner's own folds; the same folds of another learner are other folds."""
    whole = make_bars(230, trailing_nulls=0)
    publish(stores, unique_slug, whole.head(200))
    ridge = {"model": {"learner": "ridge"}}
    first = run_walkforward(unique_slug, small_profile(**ridge), stores, horizon=3, horizon_assumed=False)
    publish(stores, unique_slug, whole)
    second = run_walkforward(unique_slug, small_profile(**ridge), stores, horizon=3, horizon_assumed=False)
    other = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    assert (first.folds_trained, second.folds_copied, second.folds_trained) == (13, 13, 3)
    assert (other.folds_copied, other.folds_trained) == (0, 16)


def test_a_sweep_compares_learners(stores: Stores, unique_slug: str) -> None:
    """A grid over `model.learner` runs each learner with its own defaults, whatever the profile says of another."""
    publish(stores, unique_slug, make_bars(200))
    axes = {"model.learner": ["xgboost", "ridge"]}
    result = run_sweep(unique_slug, small_profile(), axes, stores, horizon_of=lambda _: (3, False))
    runs = {trial.changes["model"]["learner"]: get_run(stores.postgres, str(trial.run_id)) for trial in result.trials}
    assert runs["ridge"].hyperparameters == {"learner": "ridge", "alpha": 1.0}
    assert runs["xgboost"].hyperparameters["rounds"] == 30
    assert pl.Series([trial.metrics["n_signals"] for trial in result.trials]).min() > 0


def test_a_baseline_stands_beside_its_run(stores: Stores, unique_slug: str) -> None:
    """`baseline: ridge` makes the ridge's own run, keeps its metrics beside the run's, and changes neither run's id nor numbers."""
    publish(stores, unique_slug, make_bars(200))
    options = {"horizon": 3, "horizon_assumed": False}
    plain = run_walkforward(unique_slug, small_profile(), stores, **options)
    result = run_walkforward(unique_slug, small_profile(baseline="ridge"), stores, **options)
    ridge = run_walkforward(unique_slug, small_profile(model={"learner": "ridge"}), stores, **options)
    entry = result.summary_metrics["baseline"]
    assert (result.run_id, result.folds_trained, ridge.folds_trained) == (plain.run_id, 0, 0)
    assert (entry["learner"], entry["run_id"], entry["both"]) == ("ridge", ridge.run_id, ridge.summary_metrics["both"])
    assert get_run(stores.postgres, ridge.run_id).requested_by == "chronos, as baseline"
    assert get_run(stores.postgres, plain.run_id).summary_metrics == plain.summary_metrics | {"baseline": entry}
    check = "the baseline is that of its own run"
    assert [c.passed for c in validate_run(plain.run_id, stores).checks if c.name == check] == [True]
    with stores.postgres.connection() as connection:
        connection.execute(
            "UPDATE walkforward_runs SET summary_metrics = jsonb_set(summary_metrics, '{baseline,both,mean}', '999') WHERE run_id = %s",
            [plain.run_id],
        )
    assert [c.name for c in validate_run(plain.run_id, stores).checks if c.passed is False] == [check]
    again = run_walkforward(unique_slug, small_profile(baseline="ridge"), stores, **options)
    assert again.summary_metrics["baseline"] == entry
    own = run_walkforward(unique_slug, small_profile(model={"learner": "ridge"}, baseline="ridge"), stores, **options)
    assert "baseline" not in own.summary_metrics


def test_a_baseline_that_fails_is_a_warning(stores: Stores, unique_slug: str) -> None:
    """A run whose baseline cannot be trained is complete, and says why it has none."""
    publish(stores, unique_slug, make_bars(150))
    LEARNERS.register("broken", "chronos_assets_tests.support.nearest_learner:Broken")
    try:
        result = run_walkforward(unique_slug, small_profile(baseline="broken"), stores, horizon=3, horizon_assumed=False)
    finally:
        LEARNERS.forget("broken")
    (warning,) = [warning for warning in result.warnings if warning["code"] == "baseline_failed"]
    assert "it never learns" in warning["message"]
    assert (result.status, "baseline" in result.summary_metrics) == ("completed", False)
