"""What can be asked of a stored run: completeness, agreement, honesty, space; and a grid of runs, ranked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from psycopg.types.json import Jsonb

from chronos_assets.errors import ConflictError, NotPublishedError, ProfileError
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec, train_fold
from chronos_assets.pipeline.upkeep.retire import retire_run, run_space
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.checks import completeness, recompute_run_metrics, signal_counts, thresholds_agree
from chronos_assets.pipeline.walkforward.data import RunData, read_run_data
from chronos_assets.pipeline.walkforward.look_ahead import look_ahead_audit
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.postgres import lock_number
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import WALKFORWARD_PREDICTIONS
from chronos_assets.storage.runs import FILES, get_folds, get_run, list_runs, pin_run, read_predictions
from chronos_assets.storage.simulations import list_simulations, simulation_lock
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import list_sweeps
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile


def make_run(stores: Stores, slug: str, **changes: Any) -> str:
    return run_walkforward(slug, small_profile(**changes), stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2)).run_id


def sql(stores: Stores, statement: str, *values: Any) -> None:
    with stores.postgres.connection() as connection:
        connection.execute(statement, values)  # type: ignore[arg-type] # a test's own constant text


def test_a_sound_run_passes_every_check(stores: Stores, unique_slug: str) -> None:
    """A run as it was stored is complete, agrees with itself, and did not look ahead; calendar plans too."""
    publish(stores, unique_slug, make_bars(260))
    for changes in ({}, {"train_size": None, "test_size": None, "train": "2M", "test": "1M"}, {"target": "target_b"}):
        run_id = make_run(stores, unique_slug, **changes)
        found = completeness(stores, run_id)
        assert found.complete
        assert found.folds_planned == found.folds_stored > 0
        assert found.bars_planned == found.bars_predicted
        assert thresholds_agree(stores, run_id) == recompute_run_metrics(stores, run_id) == []
        counts, summary = signal_counts(stores, run_id), get_run(stores.postgres, run_id).summary_metrics
        assert summary is not None
        assert (counts.long, counts.short) == (summary["long"]["n_signals"], summary["short"]["n_signals"])
        report = look_ahead_audit(stores, run_id, 3)
        assert report.clean, report.findings
        assert len(report.folds) == 3


def test_what_is_missing_or_changed_is_found(stores: Stores, unique_slug: str) -> None:
    """A missing fold, a changed threshold and a changed metric are each found, with the fold that they concern."""
    publish(stores, unique_slug, make_bars(200))
    run_id = make_run(stores, unique_slug)
    sql(stores, "DELETE FROM walkforward_folds WHERE run_id = %s AND fold_number = 4", run_id)
    assert [(f.fold, f.what) for f in completeness(stores, run_id).findings] == [(4, "fold is not stored")]
    fold = get_folds(stores.postgres, run_id)[2]
    sql(
        stores,
        "UPDATE walkforward_folds SET thresholds = %s WHERE run_id = %s AND fold_number = 2",
        Jsonb(fold.thresholds | {"long": 9.5}),
        run_id,
    )
    assert [(f.fold, f.what, f.expected) for f in thresholds_agree(stores, run_id)] == [(2, "long threshold", 9.5)]
    metrics = fold.metrics | {"short": fold.metrics["short"] | {"n_signals": 77}}
    sql(
        stores,
        "UPDATE walkforward_folds SET metrics = %s, thresholds = %s WHERE run_id = %s AND fold_number = 2",
        Jsonb(metrics),
        Jsonb(fold.thresholds),
        run_id,
    )
    assert (2, "metrics of short") in [(f.fold, f.what) for f in recompute_run_metrics(stores, run_id)]
    assert recompute_run_metrics(stores, run_id, [3, 5]) == []


FOLD_DAMAGES = [
    ("train_start_idx = train_start_idx + 1", "edges are those of the plan"),
    ("train_end_ts = train_end_ts + interval '1 day'", "times of the edges are those of the bars"),
    ("samples_train = samples_train - 1", "samples_train counts the fitted rows"),
    ("best_iteration = best_iteration + 1", "predictions follow from the stored models"),
    ("best_score = best_score * 1.001", "predictions follow from the stored models"),
    ("best_score = NULL", "predictions follow from the stored models"),
    ("thresholds = jsonb_set(thresholds, '{n_cases}', '99')", "thresholds follow from the kept validation cases"),
    ("metrics = metrics || '{\"third\": {}}'", "metrics follow from the stored predictions"),
]
PREDICTION_DAMAGES = [
    ({"prediction": pl.col("prediction") + 1e-12}, "predictions follow from the stored models"),
    ({"score": pl.col("score") + 1e-12}, "predictions follow from the stored models"),
    ({"target_value": pl.col("target_value") * 1.0000001}, "times and targets are those of the dataset's bars"),
    ({"long_threshold": pl.lit(None, dtype=pl.Float64)}, "thresholds agree in both stores"),
    ({"bar_index": pl.lit(None, dtype=pl.Int64)}, "times and targets are those of the dataset's bars"),
    ({"target": pl.lit("target_b")}, "dataset, target and fold of every prediction"),
    ({"fold": pl.lit("third")}, "dataset, target and fold of every prediction"),
]


_ORIGIN, _ENDED = "checksum and tag are those of a publication of these bars", "the status is that of how it ended"
RUN_DAMAGES = [
    ("dataset_checksum = 'sha256:1'", _ORIGIN),
    ("questdb_tag = questdb_tag || '@9'", _ORIGIN),
    ("questdb_tag = NULL", _ORIGIN),
    ("status = 'failed'", _ENDED),
    ("status = 'cancelled'", _ENDED),
    ("completed_at = NULL", _ENDED),
]


def failed_checks(stores: Stores, run_id: str) -> set[str]:
    report = validate_run(run_id, stores)
    assert report.passed is not any(check.passed is False for check in report.checks)
    return {check.name for check in report.checks if check.passed is False}


def test_every_stored_thing_that_is_changed_is_found_and_named(stores: Stores, unique_slug: str) -> None:
    """Edges, times, counts, thresholds, metrics, predictions, labels, the request: each damage fails the check that is about it."""
    publish(stores, unique_slug, make_bars(200))
    run_id = make_run(stores, unique_slug)
    assert failed_checks(stores, run_id) == set()
    for damage, check in FOLD_DAMAGES:
        before = get_folds(stores.postgres, run_id)[3]
        sql(stores, f"UPDATE walkforward_folds SET {damage} WHERE run_id = %s AND fold_number = 3", run_id)
        assert check in failed_checks(stores, run_id), damage
        name = damage.split(" = ")[0]
        value = getattr(before, name)
        restored = Jsonb(value) if isinstance(value, dict) else value
        sql(stores, f"UPDATE walkforward_folds SET {name} = %s WHERE run_id = %s AND fold_number = 3", restored, run_id)
    sql(stores, "UPDATE walkforward_runs SET hyperparameters = jsonb_set(hyperparameters, '{eta}', '0.5') WHERE run_id = %s", run_id)
    assert failed_checks(stores, run_id) == {"the run_id is that of its request"}
    sql(stores, "UPDATE walkforward_runs SET hyperparameters = jsonb_set(hyperparameters, '{eta}', '0.1') WHERE run_id = %s", run_id)
    for damage, check in RUN_DAMAGES:
        name = damage.split(" = ")[0]
        value = getattr(get_run(stores.postgres, run_id), name)
        sql(stores, f"UPDATE walkforward_runs SET {damage} WHERE run_id = %s", run_id)
        assert failed_checks(stores, run_id) == {check}, damage
        sql(stores, f"UPDATE walkforward_runs SET {name} = %s WHERE run_id = %s", value, run_id)
    table = WALKFORWARD_PREDICTIONS
    symbols = [pl.col(name).cast(pl.String) for name in table.symbols]
    rows = stores.questdb.read(f"SELECT * FROM {table.name} WHERE run_id = '{run_id}' AND fold = '3'").with_columns(symbols)
    for change, check in PREDICTION_DAMAGES:
        stores.questdb.write(rows[4:5].with_columns(**change), table=table.name, symbols=table.symbols)
        stores.questdb.wait_applied(table.name)
        assert check in failed_checks(stores, run_id), change
        stores.questdb.write(rows, table=table.name, symbols=table.symbols)
        stores.questdb.wait_applied(table.name)


def test_predictions_that_are_lost_are_found(stores: Stores, unique_slug: str) -> None:
    """A fold whose predictions are not the planned bars is found, however complete Postgres looks."""
    publish(stores, unique_slug, make_bars(200))
    run_id = make_run(stores, unique_slug)
    extra = read_predictions(stores, run_id).tail(1)
    row = extra.rename({"timestamp_unix": "timestamp"}).with_columns(
        timestamp=extra["timestamp_unix"] + 86_400, bar_index=extra["bar_index"] + 1
    )
    constants = {"run_id": run_id, "dataset": unique_slug, "target": "target_a"}
    frame = row.with_columns(**{name: pl.lit(value) for name, value in constants.items()})
    stores.questdb.write(frame, table=WALKFORWARD_PREDICTIONS.name, symbols=WALKFORWARD_PREDICTIONS.symbols)
    stores.questdb.wait_applied(WALKFORWARD_PREDICTIONS.name)
    assert [(f.fold, f.what, f.found) for f in completeness(stores, run_id).findings] == [(12, "predicted bars", "11 from row 182")]


def test_the_audit_of_a_real_run_can_fail(stores: Stores, unique_slug: str) -> None:
    """A trainer that peeks is caught on a stored run, and a run whose dataset moved on is not judged."""
    bars = make_bars(200)
    publish(stores, unique_slug, bars)
    run_id = make_run(stores, unique_slug)

    def peeking(data: FoldData, spec: FoldSpec) -> FoldResult:
        targets = data.targets / abs(data.targets[spec.fold.train_end : spec.fold.test_end]).max()
        return train_fold(replace(data, targets=targets), spec)

    assert not look_ahead_audit(stores, run_id, 2, train=peeking).clean
    publish(stores, unique_slug, make_bars(205))
    with pytest.raises(ConflictError, match="no longer the one"):
        look_ahead_audit(stores, run_id)


def test_the_audit_checks_the_gap_against_what_the_bars_show(stores: Stores, unique_slug: str) -> None:
    """A gap that suits a declared or an assumed horizon fails if the bars show a longer one."""
    bars = make_bars(200)
    publish(stores, unique_slug, bars.with_columns(target_a=(pl.col("Close").shift(-5) / pl.col("Close")).log()))
    run_id = make_run(stores, unique_slug)
    assert {(f.what, f.expected, f.found) for f in look_ahead_audit(stores, run_id, 2).findings} == {("gap", "at least 4", 2)}
    publish(stores, unique_slug, make_bars(210))
    run_id = make_run(stores, unique_slug)
    assert look_ahead_audit(stores, run_id, 1).clean
    assumed = 'UPDATE walkforward_runs SET walk_config = walk_config || \'{"horizon": 1, "horizon_assumed": true}\' WHERE run_id = %s'
    sql(stores, assumed, run_id)
    assert look_ahead_audit(stores, run_id, 1).clean, "a gap of 2 holds for 3 empty bars at the end"
    publish(stores, unique_slug, make_bars(220, trailing_nulls=6))
    run_id = make_run(stores, unique_slug)
    sql(stores, assumed, run_id)
    assert {(f.what, f.expected, f.found) for f in look_ahead_audit(stores, run_id, 1).findings} == {("gap", "at least 5", 2)}


def _scaled(data: RunData) -> RunData:
    """Features scaled by what the whole dataset holds."""
    features = data.arrays.features
    return replace(data, arrays=replace(data.arrays, features=features / np.nanstd(features, axis=0)))


def _earlier(name: str) -> Callable[[RunData], RunData]:
    """A loading that hands out a column's next bar a bar too early."""

    def shifted(data: RunData) -> RunData:
        values = getattr(data.arrays, name)
        return replace(data, arrays=replace(data.arrays, **{name: np.concatenate([values[1:], values[-1:]])}))

    return shifted


LEAKS: list[tuple[Callable[[RunData], RunData], str]] = [
    (_scaled, "features as read"),
    (_earlier("features"), "features as read"),
    (_earlier("targets"), "targets as read"),
]


@pytest.mark.parametrize(("leak", "what"), LEAKS)
def test_a_leak_inside_the_loading_is_caught(
    stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch, leak: Callable[[RunData], RunData], what: str
) -> None:
    """Bars that are read with a look ahead, by the run and by the audit alike, fail the audit in every fold."""

    def leaking(stores: Stores, request: WalkforwardRequest) -> RunData:
        return leak(read_run_data(stores, request))

    publish(stores, unique_slug, make_bars(200))
    monkeypatch.setattr("chronos_assets.pipeline.walkforward.run.read_run_data", leaking)
    report = look_ahead_audit(stores, make_run(stores, unique_slug), 3, read=leaking)
    assert {(f.fold, f.what) for f in report.findings} == {(n, what) for n in report.folds}


def test_retiring_a_run_frees_what_only_it_uses(stores: Stores, unique_slug: str) -> None:
    """Files shared with another run stay; the run's rows, simulations and reports go; one that is pinned or worked on is left whole."""
    seed = secrets.randbits(32)  # bars that no other test has: files of equal folds are shared by all datasets
    publish(stores, unique_slug, make_bars(200, seed=seed))
    first = make_run(stores, unique_slug)
    publish(stores, unique_slug, make_bars(200, seed=seed).vstack(make_bars(240).tail(40)))
    second = make_run(stores, unique_slug)
    space = run_space(stores, first)
    assert (space.folds, space.prediction_rows) == (13, 130)
    assert 0 <= space.own_artifact_bytes < space.artifact_bytes
    columns = "simulation_id, run_id, dataset_id, mode, config, status"
    insert = f"INSERT INTO simulation_runs ({columns}) VALUES (gen_random_uuid(), %s, %s, 'long', '{{}}', 'completed')"
    sql(stores, insert, first, unique_slug)
    (simulation,) = run_space(stores, first).simulations
    report = stores.settings.artifacts_dir / "reports" / f"{unique_slug}-long-{simulation}.html"
    report.parent.mkdir(exist_ok=True)
    report.write_text("a sheet")
    with simulation_lock(stores.postgres, simulation), pytest.raises(ConflictError, match="simulation"):
        retire_run(stores, first)
    pin_run(stores.postgres, first, pinned=True)
    with pytest.raises(ConflictError, match="pinned"):
        retire_run(stores, first)
    pin_run(stores.postgres, first, pinned=False)
    assert report.exists()
    retire_run(stores, first)
    assert not report.exists()
    assert list_simulations(stores.postgres, first) == []
    assert [run.run_id for run in list_runs(stores.postgres, unique_slug)] == [second]
    assert look_ahead_audit(stores, second, 1).clean
    assert run_space(stores, second).own_artifact_bytes == run_space(stores, second).artifact_bytes > 0
    with pytest.raises(NotPublishedError):
        retire_run(stores, first)


def test_a_run_retired_while_it_is_copied_takes_no_files_away(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that goes between its reading and the storing of its copies: those folds are trained, and every file is there."""
    seed = secrets.randbits(32)
    publish(stores, unique_slug, make_bars(200, seed=seed))
    first = make_run(stores, unique_slug)
    publish(stores, unique_slug, make_bars(200, seed=seed).vstack(make_bars(240).tail(40)))
    copied = []

    def read_then_retire(stores: Stores, run_id: str) -> pl.DataFrame:
        frame = read_predictions(stores, run_id)
        copied.append(run_id)
        retire_run(stores, run_id)
        return frame

    monkeypatch.setattr("chronos_assets.pipeline.walkforward.reuse.read_predictions", read_then_retire)
    result = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2))
    assert (copied, result.folds_copied, result.folds_trained) == ([first], 0, result.folds_planned)
    folds = get_folds(stores.postgres, result.run_id)
    assert set(FoldArtifacts(stores.artifacts).states(fold.files for fold in folds)) == {"whole"}


def test_files_are_not_removed_while_folds_are_stored(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody stores folds a run cannot be retired; it is left whole, and goes afterwards."""
    publish(stores, unique_slug, make_bars(130))
    run_id = make_run(stores, unique_slug)
    monkeypatch.setattr("chronos_assets.storage.runs.FILES_SECONDS", 0.0)
    with stores.postgres.connection() as other, other.transaction():
        other.execute(query("lock_shared_until_commit"), {"key": lock_number(FILES)})
        with pytest.raises(ConflictError, match="files of folds"):
            retire_run(stores, run_id)
        assert validate_run(run_id, stores).passed
    retire_run(stores, run_id)
    with pytest.raises(NotPublishedError):
        get_run(stores.postgres, run_id)


class CountingExecutor(ThreadExecutor):
    """Threads that count how often what they need was opened, and how many `map`s found it open."""

    sessions = maps_inside = 0
    _open = False

    @contextmanager
    def session(self) -> Iterator[None]:
        outermost, self._open = not self._open, True
        self.sessions += outermost
        yield
        self._open = not outermost

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        self.maps_inside += self._open
        return super().map(data, specs)


def test_a_sweep_ranks_runs_and_warns(stores: Stores, unique_slug: str) -> None:
    """Each point of a grid is a run; the ranking warns about the number of trials; a point that cannot run keeps its reason."""
    publish(stores, unique_slug, make_bars(200))
    axes = {"model.max_depth": [2, 3], "val_split_ratio": [0.8, 0.01]}
    executor = CountingExecutor(2)
    result = run_sweep(unique_slug, small_profile(), axes, stores, horizon_of=lambda _: (3, False), executor=executor)
    assert (executor.sessions, executor.maps_inside) == (1, 2)
    assert len(result.trials) == 4
    ran = [trial for trial in result.trials if trial.run_id]
    assert [trial.changes["model"]["max_depth"] for trial in result.trials[2:]] == [2, 3]
    assert all("no rows left to fit on" in str(trial.error) for trial in result.trials[2:])
    factors = [trial.metrics["profit_factor"] for trial in ran]
    assert factors == sorted(factors, reverse=True)
    assert all(trial.deflated is not None and trial.deflated.trials == 2 for trial in ran)
    assert [warning["code"] for warning in result.warnings] == ["many_trials"]
    assert (result.trials_on_record, result.overfitting is not None and result.overfitting.runs) == (2, 2)
    (record,) = list_sweeps(stores.postgres, unique_slug)
    assert (record.sweep_id, record.target, record.grid) == (result.sweep_id, "target_a", axes)
    assert {(run["run_id"], run["changes"]["model"]["max_depth"]) for run in record.runs} == {
        (trial.run_id, trial.changes["model"]["max_depth"]) for trial in ran
    }
    for bad in ({"model.etta": [0.1]}, {"test_size": [0]}, {}):
        with pytest.raises(ProfileError):
            run_sweep(unique_slug, small_profile(), bad, stores, horizon_of=lambda _: (3, False))
