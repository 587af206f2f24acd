"""A walk-forward run on real servers: what it stores, what it resumes, what it copies, what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from chronos_assets.domain.folds import plan_folds
from chronos_assets.domain.metrics import signal_metrics
from chronos_assets.errors import ConflictError, DeviceError, FoldsFailedError, NotPublishedError, ProfileError
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.models import load_model
from chronos_assets.pipeline.walkforward import reuse
from chronos_assets.pipeline.walkforward.checks import completeness
from chronos_assets.pipeline.walkforward.run import WalkforwardResult, plan_request, run_walkforward
from chronos_assets.storage.fold_artifacts import MODEL, FoldArtifacts
from chronos_assets.storage.fold_copies import StoredFold, copy_folds
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.runs import declare_dead_runs, delete_run, get_folds, get_run, list_runs, read_predictions, run_lock
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.damaged_packs import change_one_bit
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile


def run(stores: Stores, slug: str, **options: Any) -> WalkforwardResult:
    changes = options.pop("profile", {})
    return run_walkforward(
        slug,
        small_profile(**changes),
        stores,
        horizon=3,
        horizon_assumed=False,
        executor=ThreadExecutor(2),
        requested_by="tests",
        **options,
    )


def test_run_stores_every_planned_fold_and_bar(stores: Stores, unique_slug: str) -> None:
    """A run stores one row per planned fold and one prediction per planned test bar, those without a target included."""
    bars = make_bars(200)
    publish(stores, unique_slug, bars)
    result = run(stores, unique_slug)
    record, folds, predictions = (
        get_run(stores.postgres, result.run_id),
        get_folds(stores.postgres, result.run_id),
        read_predictions(stores, result.run_id),
    )
    request = plan_request(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    assert (record.status, result.status, result.folds_trained, result.folds_present) == ("completed", "completed", 13, 13)
    assert request.folds == plan_folds(request.layout, 200)
    planned = [row for fold in request.folds for row in range(fold.test_start, fold.test_end)]
    assert predictions["bar_index"].to_list() == planned
    assert predictions["timestamp_unix"].to_list() == bars["timestamp_unix"].to_numpy()[planned].tolist()
    assert predictions["prediction"].null_count() == 0
    assert predictions["target_value"].to_list() == bars["target_a"].gather(planned).to_list()
    assert [f.test_start_idx for f in folds] == [f.test_start for f in request.folds]
    assert folds[-1].samples_test == 10 - predictions["target_value"].tail(10).null_count()


def test_thresholds_agree_and_metrics_follow_from_predictions(stores: Stores, unique_slug: str) -> None:
    """Thresholds are the same in both stores, and each fold's metrics can be computed again from its stored predictions."""
    publish(stores, unique_slug, make_bars(200))
    result = run(stores, unique_slug)
    predictions = read_predictions(stores, result.run_id)
    pooled: list[np.ndarray] = []
    for fold in get_folds(stores.postgres, result.run_id):
        mine = predictions.filter(pl.col("fold") == fold.fold_number)
        for side in ("long", "short"):
            assert mine[f"{side}_threshold"].unique().to_list() == [fold.thresholds[side]]
        long = mine.filter((pl.col("prediction") >= pl.col("long_threshold")).fill_null(value=False) & pl.col("target_value").is_not_null())
        if fold.thresholds["short"] is None or fold.thresholds["long"] is None or fold.thresholds["short"] < fold.thresholds["long"]:
            assert fold.metrics["long"] == signal_metrics(long["target_value"].to_numpy()).as_json()
            pooled.append(long["target_value"].to_numpy())
    assert result.summary_metrics["long"]["signal_sum"] == pytest.approx(float(np.concatenate(pooled).sum()))


def test_same_request_returns_at_once(stores: Stores, unique_slug: str) -> None:
    """The same request is the same run: nothing is trained or copied a second time."""
    publish(stores, unique_slug, make_bars(150))
    first, again = run(stores, unique_slug), run(stores, unique_slug)
    assert again.run_id == first.run_id
    assert (again.folds_trained, again.folds_copied, again.folds_present) == (0, 0, first.folds_planned)
    assert again.summary_metrics["both"] == first.summary_metrics["both"]
    assert run(stores, unique_slug, profile={"val_split_ratio": 0.7}).run_id != first.run_id


def test_resume_trains_only_missing_folds(stores: Stores, unique_slug: str) -> None:
    """A run that lost its process keeps its folds; the next attempt trains the rest, and the end is the same."""
    publish(stores, unique_slug, make_bars(200))
    whole = run(stores, unique_slug)
    before = read_predictions(stores, whole.run_id)
    with stores.postgres.connection() as connection:
        connection.execute("DELETE FROM walkforward_folds WHERE run_id = %s AND fold_number IN (2, 7, 12)", [whole.run_id])
        connection.execute("UPDATE walkforward_runs SET status = 'running', completed_at = NULL WHERE run_id = %s", [whole.run_id])
    resumed = run(stores, unique_slug)
    assert (resumed.run_id, resumed.folds_trained, resumed.folds_present) == (whole.run_id, 3, 13)
    assert resumed.summary_metrics["both"] == whole.summary_metrics["both"]
    assert read_predictions(stores, whole.run_id).equals(before)


def test_growth_copies_unchanged_folds(stores: Stores, unique_slug: str) -> None:
    """A grown dataset is another run, whose old folds are copied and whose metrics use the targets that have filled."""
    whole = make_bars(230, trailing_nulls=0)
    short = whole.head(200).with_columns(pl.when(pl.arange(200) < 197).then(pl.col("target_a")).alias("target_a"))
    publish(stores, unique_slug, short)
    first = run(stores, unique_slug)
    publish(stores, unique_slug, whole)
    second = run(stores, unique_slug)
    assert second.run_id != first.run_id
    assert (second.folds_copied, second.folds_trained, second.folds_present) == (13, 3, 16)
    predictions = read_predictions(stores, second.run_id)
    assert predictions.height == 160
    assert predictions["target_value"].null_count() == 0
    old = read_predictions(stores, first.run_id)
    assert predictions.head(130).select("prediction", "score", "long_threshold").equals(old.select("prediction", "score", "long_threshold"))
    assert [f.samples_test for f in get_folds(stores.postgres, second.run_id)] == [10] * 16


def test_folds_copied_within_the_stores_are_those_written_again(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grown run whose folds are copied by one statement holds the same rows, bit for bit, as one that writes each fold again."""
    whole = make_bars(230, seed=7, trailing_nulls=0)
    publish(stores, unique_slug, whole.head(200).with_columns(pl.when(pl.arange(200) < 190).then(pl.col("target_a")).alias("target_a")))
    first = run(stores, unique_slug).run_id
    publish(stores, unique_slug, whole)
    within: list[int] = []

    def counted(*arguments: Any, **options: Any) -> set[int]:
        within.extend(copy_folds(*arguments, **options))
        return set(within)

    monkeypatch.setattr(reuse, "copy_folds", counted)
    grown = run(stores, unique_slug).run_id
    assert sorted(within) == list(range(12))  # targets of the thirteenth have filled
    copied = _rows(stores, grown)
    delete_run(stores.postgres, grown)
    monkeypatch.setattr(reuse, "_is_same", lambda *_: False)
    again = run(stores, unique_slug)
    assert (again.run_id, again.folds_copied, len(within)) == (grown, 13, 12)
    assert _rows(stores, grown) == copied
    assert first != grown


def test_what_went_while_it_was_copied_is_trained_again(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that QuestDB lost and files that are gone when the copy looks: those folds are trained, and the run is whole."""
    whole = make_bars(230, seed=8, trailing_nulls=0)
    publish(stores, unique_slug, whole.head(200))
    first = run(stores, unique_slug)
    publish(stores, unique_slug, whole)

    def meanwhile(stores: Stores, lock: Connection, folds: Sequence[StoredFold], expected: pl.DataFrame, **labels: str) -> set[int]:
        change_one_bit(stores, folds[2].files, MODEL)
        with stores.postgres.connection() as connection:
            connection.execute("DELETE FROM walkforward_folds WHERE run_id = %s AND fold_number = 4", [first.run_id])
        return copy_folds(stores, lock, folds, expected, **labels)

    monkeypatch.setattr(reuse, "copy_folds", meanwhile)
    grown = run(stores, unique_slug)
    assert (grown.folds_copied, grown.folds_trained, grown.folds_present) == (11, 5, 16)
    delete_run(stores.postgres, grown.run_id)
    monkeypatch.setattr(reuse, "copy_folds", lambda *given, **labels: copy_folds(*given[:3], given[3].head(5), **labels))
    assert run(stores, unique_slug).folds_present == 16  # other rows than expected: each is written again


def _rows(stores: Stores, run_id: str) -> tuple[list[Any], list[Any]]:
    """Everything that both stores hold of a run's folds, but in which pack they lie: a prune may write packs together at any time."""
    with stores.postgres.connection() as connection:
        rows = connection.execute("SELECT * FROM walkforward_folds WHERE run_id = %s ORDER BY fold_number", [run_id]).fetchall()
    folds = [{name: value for name, value in row.items() if name not in {"pack", "artifact"}} for row in rows]
    sql = f"SELECT * FROM walkforward_predictions WHERE run_id = '{run_id}' ORDER BY timestamp"
    return folds, stores.questdb.read(sql).rows()


def test_changed_bar_retrains_exactly_the_folds_that_saw_it(stores: Stores, unique_slug: str) -> None:
    """A feature of one bar changed: only folds that fitted, validated or predicted it are trained again."""
    bars = make_bars(200)
    publish(stores, unique_slug, bars)
    run(stores, unique_slug)
    row = 100
    changed = bars.with_columns(pl.when(pl.arange(200) == row).then(9.75).otherwise(pl.col("feat_1")).alias("feat_1"))
    publish(stores, unique_slug, changed, tag=f"{unique_slug}@2")
    result = run(stores, unique_slug)
    request = plan_request(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    splits = [(fold, fold.split(0.8)) for fold in request.folds]
    saw = [
        fold.number
        for fold, split in splits
        if split.fit_start <= row < split.fit_end or split.val_start <= row < split.val_end or fold.test_start <= row < fold.test_end
    ]
    assert 0 < len(saw) < 13
    assert (result.folds_trained, result.folds_copied) == (len(saw), 13 - len(saw))


def test_failing_fold_fails_the_run_and_keeps_the_rest(stores: Stores, unique_slug: str) -> None:
    """A fold without any known target fails its run at the end with its reason; the other folds are stored."""
    bars = make_bars(200).with_columns(pl.when(pl.arange(200) < 60).then(None).otherwise(pl.col("target_a")).alias("target_a"))
    publish(stores, unique_slug, bars)
    with pytest.raises(FoldsFailedError, match="fold 0"):
        run(stores, unique_slug)
    (record,) = list_runs(stores.postgres, unique_slug)
    assert record.status == "failed"
    assert record.summary_metrics is not None
    assert record.summary_metrics["failures"][0]["fold"] == 0
    assert record.folds_present == 13 - len(record.summary_metrics["failures"]) > 5


def test_dead_run_is_recognised(stores: Stores, unique_slug: str) -> None:
    """A run that says `running` while nobody holds its lock is set to failed; one whose lock is held is left alone."""
    publish(stores, unique_slug, make_bars(150))
    result = run(stores, unique_slug)
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE walkforward_runs SET status = 'running', completed_at = NULL WHERE run_id = %s", [result.run_id])
    with run_lock(stores.postgres, result.run_id):
        assert result.run_id not in declare_dead_runs(stores.postgres)
        with pytest.raises(ConflictError, match="another process works on run"):
            run(stores, unique_slug)
    assert result.run_id in declare_dead_runs(stores.postgres)
    assert get_run(stores.postgres, result.run_id).status == "failed"
    assert run(stores, unique_slug).status == "completed"


def test_interrupt_is_told_and_resumed(stores: Stores, unique_slug: str) -> None:
    """Ctrl-C in the middle: the status says cancelled, finished folds are kept, the next attempt does the rest."""
    publish(stores, unique_slug, make_bars(200))

    def interrupt(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "folds" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stores, unique_slug, progress=interrupt)
    (record,) = list_runs(stores.postgres, unique_slug)
    assert (record.status, record.folds_present) == ("cancelled", 5)
    assert record.completed_at is not None
    resumed = run(stores, unique_slug)
    assert (resumed.run_id, resumed.folds_trained, resumed.status) == (record.run_id, 8, "completed")


def test_stored_model_predicts_what_was_stored(stores: Stores, unique_slug: str) -> None:
    """A fold's model, loaded from its file, gives the stored predictions bit for bit, whatever the transform."""
    bars = make_bars(150)
    publish(stores, unique_slug, bars)
    for transform in ("none", "standardize", "tanh"):
        result = run(stores, unique_slug, profile={"target_transform": transform})
        stored = read_predictions(stores, result.run_id)
        fold = get_folds(stores.postgres, result.run_id)[1]
        artifacts = FoldArtifacts(stores.artifacts)
        model = load_model(artifacts.model(fold.files))
        rows = (
            bars[fold.test_start_idx : fold.test_end_idx].select(model.feature_names).fill_null(float("nan")).to_numpy().astype(np.float32)
        )
        assert model.predict(rows).tolist() == stored.filter(pl.col("fold") == 1)["prediction"].to_list()
        cases = artifacts.validation(fold.files)
        assert len(cases.predictions) == len(cases.targets) == fold.thresholds["n_cases"]


def test_binary_target_is_trained_as_probability(stores: Stores, unique_slug: str) -> None:
    """A 0/1 target: the prediction is p - 0.5, and the return of a case is 2y - 1."""
    publish(stores, unique_slug, make_bars(150))
    result = run(stores, unique_slug, profile={"target": "target_b", "thresholds": {"method": "zero"}})
    frame = read_predictions(stores, result.run_id)
    assert np.allclose(frame["prediction"], frame["score"] - 0.5)
    known = frame.drop_nulls("target_value")
    returns = (2 * known["target_value"] - 1).to_numpy() * np.sign(known["prediction"].to_numpy())
    assert result.summary_metrics["both"]["n_signals"] == np.count_nonzero(returns)
    assert result.summary_metrics["both"]["signal_sum"] == pytest.approx(returns.sum())


def test_requests_that_cannot_be_are_refused_before_anything_is_written(stores: Stores, unique_slug: str) -> None:
    """A missing dataset, a gap below the horizon, unknown columns and a missing GPU leave no run behind."""
    with pytest.raises(NotPublishedError):
        run(stores, unique_slug)
    publish(stores, unique_slug, make_bars(150))
    for changes, match in [
        ({"gap": 1}, "gap"),
        ({"target": "target_x"}, "target_a"),
        ({"features": ["feet_0"]}, "feat_0"),
        ({"train_size": 900}, "no fold"),
    ]:
        with pytest.raises(ProfileError, match=match):
            run(stores, unique_slug, profile=changes)
    with pytest.raises(DeviceError, match="GPU"):
        run(stores, unique_slug, profile={"device": "cuda"})
    assert list_runs(stores.postgres, unique_slug) == []


def test_a_fold_that_lost_predictions_is_trained_again(stores: Stores, unique_slug: str) -> None:
    """Where QuestDB lost rows of a completed run, the same request trains just that fold and both stores agree again."""
    publish(stores, unique_slug, make_bars(130, trailing_nulls=1))
    first = run_walkforward(unique_slug, small_profile(), stores)
    before = read_predictions(stores, first.run_id)
    stores.questdb.rows(f"UPDATE walkforward_predictions SET run_id = 'lost' WHERE run_id = '{first.run_id}' AND fold = '1'")
    stores.questdb.wait_applied("walkforward_predictions")
    assert read_predictions(stores, first.run_id).height < before.height
    again = run_walkforward(unique_slug, small_profile(), stores)
    assert (again.run_id, again.folds_trained, again.folds_present) == (first.run_id, 1, first.folds_planned)
    assert read_predictions(stores, first.run_id).equals(before)
    assert completeness(stores, first.run_id).complete
