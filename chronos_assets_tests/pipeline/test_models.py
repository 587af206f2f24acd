"""Models of live folds: the same bits as the plan's fold, traceable, promoted and taken back, and refused when they do not fit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from chronos_assets.domain.profiles.live import LiveProfile
from chronos_assets.domain.retention import Keep
from chronos_assets.errors import ConflictError, FileError, NotPublishedError, RefusedError, UsageError
from chronos_assets.learning.models import load_model
from chronos_assets.pipeline.models.aliases import model_named, promote, rollback
from chronos_assets.pipeline.models.live_checks import Parity, drift, parity
from chronos_assets.pipeline.models.predict import predict_live
from chronos_assets.pipeline.models.promotion import apply_policy
from chronos_assets.pipeline.models.train import TrainedModel, train_live_model
from chronos_assets.pipeline.upkeep.compaction import table_spaces
from chronos_assets.pipeline.upkeep.datasets import retire
from chronos_assets.pipeline.upkeep.prune import keep_of, plan_prune, prune
from chronos_assets.pipeline.upkeep.retire import remove_orphans, retire_run
from chronos_assets.pipeline.walkforward.run import plan_request, run_walkforward
from chronos_assets.storage.alive import KEYS, alive_keys
from chronos_assets.storage.live_signals import read_signals, write_signals
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import alias_history, change_alias, find_model, get_model, list_models
from chronos_assets.storage.questdb_tables import TABLES
from chronos_assets.storage.retention import retention_runs
from chronos_assets.storage.runs import get_folds, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

BARS = make_bars(160, trailing_nulls=0)
PROFILE = small_profile()


def published(stores: Stores, slug: str, rows: int, **publishing: Any) -> None:
    """Publish the first bars as they were known then: the last three targets have not filled."""
    bars = BARS.head(rows)
    hidden = pl.int_range(rows) >= rows - 3
    publish(stores, slug, bars.with_columns(pl.when(hidden).then(None).otherwise(pl.col("^target.*$")).name.keep()), **publishing)


def run_of(stores: Stores, slug: str) -> str:
    """Run the walk-forward; gives the run_id."""
    return run_walkforward(slug, PROFILE, stores, horizon=3, horizon_assumed=False, profile_name="default").run_id


def train(stores: Stores, slug: str, **options: Any) -> TrainedModel:
    """Train the live fold of the published bars."""
    return train_live_model(slug, PROFILE, stores, horizon=3, horizon_assumed=False, profile_name="default", **options)


def trained(stores: Stores, slug: str, rows: int = 97) -> TrainedModel:
    """Publish, run and train. 97 bars hold three folds up to row 92, so five bars of the live window are there."""
    published(stores, slug, rows)
    run_of(stores, slug)
    return train(stores, slug)


def test_the_live_fold_agrees_with_the_fold_of_the_plan_bit_for_bit(stores: Stores, unique_slug: str) -> None:
    """Predictions and thresholds given live are those of the plan's fold once its window is full."""
    live = trained(stores, unique_slug)
    given = read_signals(stores, dataset=unique_slug)
    assert given["bar_index"].to_list() == [92, 93, 94, 95, 96]
    assert live.model.description["train"]["unknown_targets"] == 0

    published(stores, unique_slug, 105)
    run_id = run_of(stores, unique_slug)
    fold = next(f for f in get_folds(stores.postgres, run_id) if f.fold_number == live.model.fold["fold_number"])
    stored = read_predictions(stores, run_id, [fold.fold_number]).head(5)
    assert given["prediction"].to_list() == stored["prediction"].to_list()
    assert live.model.thresholds == fold.thresholds
    assert (live.model.fold["train_start_idx"], live.model.fold["train_end_idx"]) == (fold.train_start_idx, fold.train_end_idx)


def test_the_same_request_is_the_same_model(stores: Stores, unique_slug: str) -> None:
    """A second call trains nothing; a file that went is made again to the same bits; new bars are a new model with the same fold key."""
    first = trained(stores, unique_slug)
    again = train(stores, unique_slug)
    assert (again.model.model_id, again.reused, first.reused) == (first.model.model_id, True, False)

    ModelArtifacts(stores.artifacts).remove(first.model.model_id)
    made = train(stores, unique_slug)
    assert (made.model.model_id, made.model.sha256, made.reused) == (first.model.model_id, first.model.sha256, False)

    published(stores, unique_slug, 98)
    run_of(stores, unique_slug)
    tomorrow = train(stores, unique_slug)
    assert tomorrow.model.model_id != first.model.model_id
    assert tomorrow.model.fold["fold_key"] == first.model.fold["fold_key"]
    assert len(list_models(stores.postgres, unique_slug)) == 2


def test_the_bare_file_says_what_it_needs(stores: Stores, unique_slug: str) -> None:
    """XGBoost itself refuses other features or another order, and the attributes hold thresholds, train range and provenance."""
    model = trained(stores, unique_slug).model
    content = ModelArtifacts(stores.artifacts).load(model.model_id, model.sha256)
    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    assert booster.feature_names == ["feat_0", "feat_1", "feat_2", "feat_3"]
    shuffled = xgb.DMatrix(np.zeros((1, 4)), feature_names=["feat_1", "feat_0", "feat_2", "feat_3"])
    with pytest.raises(ValueError, match="feature_names mismatch"):
        booster.predict(shuffled)
    said = json.loads(booster.attr("chronos_model") or "")
    assert said == model.description
    assert said["thresholds"]["long"] == model.thresholds["long"]
    assert (said["model_id"], said["run_id"], said["checksum"]) == (model.model_id, model.run_id, "sha256:0")
    assert (said["train"]["first_row"], said["train"]["end_row"]) == (30, 90)
    assert load_model(content).feature_names == tuple(booster.feature_names)


def test_a_run_that_is_not_complete_is_not_continued(stores: Stores, unique_slug: str) -> None:
    """Neither before the run was made, nor after the dataset grew past it, nor if the stores disagree."""
    published(stores, unique_slug, 97)
    with pytest.raises(RefusedError) as refused:
        train(stores, unique_slug)
    assert (refused.value.code, refused.value.exit_code) == ("run_incomplete", 3)
    assert "chronos walkforward" in refused.value.hint

    run_id = run_of(stores, unique_slug)
    with stores.postgres.connection() as connection:
        connection.execute(
            "UPDATE walkforward_folds SET thresholds = jsonb_set(thresholds, '{long}', '123') WHERE run_id = %s AND fold_number = 1",
            (run_id,),
        )
    with pytest.raises(RefusedError) as refused:
        train(stores, unique_slug)
    assert refused.value.code == "run_checks_failed"
    assert refused.value.where["fold"] == 1


def test_predictions_follow_the_bars_until_the_window_is_full(stores: Stores, unique_slug: str) -> None:
    """New bars of the window are predicted by the promoted model and kept; behind the window it is refused unless allowed."""
    model = trained(stores, unique_slug).model
    with pytest.raises(NotPublishedError) as refused:
        predict_live(unique_slug, stores)
    assert refused.value.code == "alias_unknown"
    promote(stores, model.model_id)

    published(stores, unique_slug, 102)
    found = predict_live(unique_slug, stores)
    assert found.signals["bar_index"].to_list() == list(range(92, 102))
    assert found.newest is not None
    assert found.newest["target_known"] is False
    assert found.signals["target_known"].to_list() == [True] * 7 + [False] * 3
    kept = read_signals(stores, dataset=unique_slug, model_id=model.model_id)
    assert kept["prediction"].to_list() == found.signals["prediction"].to_list()

    published(stores, unique_slug, 103)
    with pytest.raises(RefusedError) as expired:
        predict_live(unique_slug, stores)
    assert expired.value.code == "model_expired"
    late = predict_live(unique_slug, stores, allow_expired=True)
    assert late.expired
    assert late.signals.height == 11


def test_the_newest_bar_has_a_signal_before_the_next_window_begins(stores: Stores, unique_slug: str) -> None:
    """With 92 bars the third window is just full: its fold predicts the newest bar, and the live model is there for the next one."""
    live = trained(stores, unique_slug, rows=92)
    assert live.bars == 0
    found = predict_live(unique_slug, stores, model_id=live.model.model_id)
    assert found.newest is not None
    assert (found.newest["bar_index"], found.newest["fold"]) == (91, 2)
    published(stores, unique_slug, 93)
    after = predict_live(unique_slug, stores, model_id=live.model.model_id)
    assert after.newest is not None
    assert (after.newest["bar_index"], after.newest["fold"]) == (92, None)


def test_bars_that_were_replaced_are_refused(stores: Stores, unique_slug: str) -> None:
    """Row numbers of another revision mean other bars."""
    model = trained(stores, unique_slug).model
    published(stores, unique_slug, 98, tag=f"{unique_slug}@2")
    with pytest.raises(RefusedError) as refused:
        predict_live(unique_slug, stores, model_id=model.model_id)
    assert refused.value.code == "model_of_other_bars"


def test_names_have_a_history_that_a_rollback_walks_back(stores: Stores, unique_slug: str) -> None:
    """Each rollback restores the model before; no row of the history changes; nothing is left to go back to at the first."""
    models = []
    for rows in (97, 98, 99):
        models.append(trained(stores, unique_slug, rows).model.model_id)
        promote(stores, models[-1], reason="nightly", changed_by="test")
    assert promote(stores, models[-1]).change is None
    assert rollback(stores, unique_slug).model.model_id == models[1]
    assert model_named(stores, unique_slug).model_id == models[1]
    assert rollback(stores, unique_slug).model.model_id == models[0]
    with pytest.raises(NotPublishedError) as refused:
        rollback(stores, unique_slug)
    assert refused.value.code == "nothing_to_roll_back"
    history = alias_history(stores.postgres, unique_slug)
    assert [(change.action, change.model_id) for change in history] == [
        ("promote", models[0]),
        ("promote", models[1]),
        ("promote", models[2]),
        ("rollback", models[1]),
        ("rollback", models[0]),
    ]
    with pytest.raises(UsageError):
        promote(stores, models[0], "not a name")


def test_a_damaged_file_is_refused(stores: Stores, unique_slug: str) -> None:
    """One flipped byte: neither promoted nor asked, and made again by the same request."""
    model = trained(stores, unique_slug).model
    path = stores.artifacts.path(ModelArtifacts.place(model.model_id))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for ask in (lambda: promote(stores, model.model_id), lambda: predict_live(unique_slug, stores, model_id=model.model_id)):
        with pytest.raises(FileError) as refused:
            ask()
        assert refused.value.code == "model_damaged"
    assert train(stores, unique_slug).model.sha256 == model.sha256
    promote(stores, model.model_id)


def test_promoted_models_keep_their_runs(stores: Stores, unique_slug: str) -> None:
    """The live model's run and that of the one before stay; an older one's goes, and its model stays on record without its file."""
    runs, models = [], []
    for rows in (97, 98, 99):
        published(stores, unique_slug, rows)
        runs.append(run_of(stores, unique_slug))
        models.append(train(stores, unique_slug).model)
        promote(stores, models[-1].model_id)
    promoted = {one.run.run_id for one in retention_runs(stores.postgres, unique_slug) if one.run.promoted}
    assert promoted == set(runs[1:])
    with pytest.raises(ConflictError) as refused:
        retire_run(stores, runs[1])
    assert refused.value.code == "run_of_promoted_model"

    retire_run(stores, runs[0])
    gone = get_model(stores.postgres, models[0].model_id)
    assert gone.run_id is None
    assert gone.retired_at is not None
    assert gone.description["run_id"] == runs[0]
    assert gone.backtest["run"]["run_id"] == runs[0]
    assert stores.artifacts.size(ModelArtifacts.place(gone.model_id)) is None
    with pytest.raises(RefusedError):
        predict_live(unique_slug, stores, model_id=gone.model_id)
    rollback(stores, unique_slug)
    with pytest.raises(RefusedError) as retired:
        rollback(stores, unique_slug)
    assert retired.value.code == "model_retired"


def test_every_table_knows_which_of_its_rows_are_alive(stores: Stores, unique_slug: str) -> None:
    """A compaction drops dead rows: signals are alive as long as their model is on record, also a retired one."""
    assert set(KEYS) == {spec.name for spec in TABLES}
    model = trained(stores, unique_slug).model
    stray = "00000000-0000-5000-8000-000000000001"
    assert model.run_id is not None
    retire_run(stores, model.run_id)
    assert alive_keys(stores.postgres, KEYS["live_signals"], {model.model_id, stray}) == {model.model_id}
    assert "live_signals" in {space.table for space in table_spaces(stores)}


def test_old_models_without_a_name_go_with_their_signals(stores: Stores, unique_slug: str) -> None:
    """Of retired runs, once the months of the policy are over; a signal whose model stays leads to its file's checksum all the same."""
    models = []
    for rows in (97, 98, 99):
        published(stores, unique_slug, rows)
        run_of(stores, unique_slug)
        models.append(train(stores, unique_slug).model)
    named, nameless, newest = models
    change_alias(stores.postgres, named, "watched", action="promote", reason=None, changed_by="a test")
    change_alias(stores.postgres, named, "watched", action="rollback", reason=None, changed_by="a test")
    for model in (named, nameless):
        retire_run(stores, str(model.run_id))
    with stores.postgres.connection() as connection:
        sql = "UPDATE models SET created_at = created_at - interval '70 days' WHERE run_id IS NULL AND dataset_id = %s"
        connection.execute(sql, [unique_slug])
    signals = read_signals(stores, model_id=nameless.model_id)
    assert signals.height
    year, month = (keep_of(stores.settings, Keep(nights=1, months=months)) for months in (12, 1))
    assert prune(stores, year, unique_slug).models == 0
    about = get_model(stores.postgres, signals["model_id"][0])
    assert (about.run_id, about.description["checksum"]) == (None, nameless.description["checksum"])
    assert plan_prune(stores, month, unique_slug).models == [nameless.model_id]
    assert prune(stores, month, unique_slug).models == 1
    ids = {one.model_id for one in models}
    assert alive_keys(stores.postgres, KEYS["live_signals"], ids) == {named.model_id, newest.model_id}
    assert find_model(stores.postgres, nameless.model_id) is None
    assert get_model(stores.postgres, named.model_id).description["checksum"] == named.description["checksum"]


def test_files_that_no_row_needs_go(stores: Stores, unique_slug: str) -> None:
    """A killed training leaves a file at most, which the next prune removes; a retired dataset takes its models along."""
    model = trained(stores, unique_slug).model
    artifacts = ModelArtifacts(stores.artifacts)
    stray = "00000000-0000-5000-8000-000000000000"
    artifacts.save(stray, b"half a training")
    remove_orphans(stores)
    assert stray not in artifacts.ids()
    assert model.model_id in artifacts.ids()
    retire(stores, unique_slug, with_runs=True)
    assert find_model(stores.postgres, model.model_id) is None
    assert model.model_id not in artifacts.ids()


def test_live_signals_are_compared_with_what_the_folds_say_later(stores: Stores, unique_slug: str) -> None:
    """Signals of every night of a window equal the plan's fold; one that was changed is named, with both values."""
    for rows in (97, 98):
        trained(stores, unique_slug, rows)
    published(stores, unique_slug, 105)
    run_of(stores, unique_slug)
    request = plan_request(unique_slug, PROFILE, stores, horizon=3, horizon_assumed=False)
    assert parity(stores, request) == Parity(5 + 6, [])
    found = drift(stores, request)
    assert found.within is None
    assert found.signals <= 6

    changed = read_signals(stores, dataset=unique_slug).head(1).with_columns(pl.col("prediction") + 1.0)
    write_signals(stores, changed)
    differing = parity(stores, request).differing
    assert [(one["bar_index"], one["prediction"]) for one in differing] == [(92, changed["prediction"][0])]
    assert differing[0]["fold_prediction"] == changed["prediction"][0] - 1.0


def test_the_policy_promotes_once_and_respects_a_rollback(stores: Stores, unique_slug: str) -> None:
    """A night promotes its model; asked again it changes nothing; a model that somebody went back from stays back."""
    policy = LiveProfile(promote="always")
    first, second = trained(stores, unique_slug, 97).model, trained(stores, unique_slug, 98).model
    assert apply_policy(stores, policy, first, changed_by="night").promote
    assert apply_policy(stores, policy, first, changed_by="night").reason == "it is live already"
    assert apply_policy(stores, policy, second, changed_by="night").promote
    rollback(stores, unique_slug)
    refused = apply_policy(stores, policy, second, changed_by="night")
    assert not refused.promote
    assert "chosen instead" in refused.reason
    assert model_named(stores, unique_slug).model_id == first.model_id
    assert not apply_policy(stores, LiveProfile(promote="never"), trained(stores, unique_slug, 99).model, changed_by="night").promote
    unjudged = apply_policy(stores, LiveProfile(min_profit_factor=0.0), trained(stores, unique_slug, 100).model, changed_by="night")
    assert "no signal test was made" in unjudged.reason
