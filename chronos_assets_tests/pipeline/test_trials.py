"""Trials on record: whatever was tried on a lineage and target counts, by hand or by sweep, retired or of older content."""

from __future__ import annotations

import pytest

from chronos_assets.domain.thresholds import choose_thresholds
from chronos_assets.pipeline.simulation.cases import fold_cases
from chronos_assets.pipeline.simulation.inputs import read_inputs
from chronos_assets.pipeline.simulation.price_sources import ColumnPrices
from chronos_assets.pipeline.upkeep.retire import retire_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.trials import all_trials, lineage_of
from chronos_assets.storage.runs import get_folds, get_run
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.trained_market import WALK, bars_frame, publish, train


def test_what_was_tried_counts_for_ever(stores: Stores, unique_slug: str) -> None:
    """A run counts at once; after it is retired, after its content has changed, and for every version of the dataset."""
    first = train(stores, unique_slug)
    before = all_trials(stores, unique_slug, "TGT_NEXT")[first]
    assert before.signals > 0
    retire_run(stores, first)
    assert all_trials(stores, unique_slug, "TGT_NEXT") == {first: before}
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE indicator_datasets SET content_hash = 'other' WHERE dataset_id = %(slug)s", {"slug": unique_slug})
        retired = connection.execute("SELECT retired_at FROM walkforward_trials WHERE run_id = %(run)s", {"run": first}).fetchone()
    assert retired is not None
    assert retired["retired_at"] is not None
    second = run_walkforward(unique_slug, WALK, stores, horizon=1, horizon_assumed=False).run_id
    assert second != first
    assert list(all_trials(stores, unique_slug, "TGT_NEXT")) == [second, first]
    symbol, granularity, _ = unique_slug.split("_")
    assert lineage_of(unique_slug) == f"{symbol}_{granularity}"
    assert list(all_trials(stores, f"{symbol}_{granularity}_v99", "TGT_NEXT")) == [second, first]
    assert all_trials(stores, unique_slug, "TGT_OTHER") == {}


def test_a_run_of_an_older_program_counts_too(stores: Stores, unique_slug: str) -> None:
    """A completed run without a trial is counted when read, without writing, and put on record before it is retired."""
    run_id = train(stores, unique_slug)
    kept = all_trials(stores, unique_slug, "TGT_NEXT")
    with stores.postgres.connection() as connection:
        connection.execute("DELETE FROM walkforward_trials WHERE run_id = %(run)s", {"run": run_id})
    assert all_trials(stores, unique_slug, "TGT_NEXT") == kept
    with stores.postgres.connection() as connection:
        assert connection.execute("SELECT 1 FROM walkforward_trials WHERE run_id = %(run)s", {"run": run_id}).fetchone() is None
    retire_run(stores, run_id)
    assert all_trials(stores, unique_slug, "TGT_NEXT") == kept


@pytest.mark.parametrize("data", ["validation", "train", "both"])
def test_the_signal_test_fits_on_the_rows_that_the_run_used(stores: Stores, unique_slug: str, data: str) -> None:
    """The cases of every fold give its stored thresholds again, whichever rows chose them, and count as many as it says."""
    publish(stores, unique_slug, bars_frame())
    profile = WALK.model_copy(update={"thresholds": WALK.thresholds.model_copy(update={"data": data})})
    run_id = run_walkforward(unique_slug, profile, stores, horizon=1, horizon_assumed=False).run_id
    inputs = read_inputs(run_id, stores, ColumnPrices())
    cases, folds = fold_cases(inputs, stores), get_folds(stores.postgres, run_id)
    assert cases is not None
    for fold, of_fold in zip(folds, cases, strict=True):
        chosen = choose_thresholds(of_fold.chosen.predictions, of_fold.chosen.returns, inputs.thresholds)
        assert chosen.as_json() == fold.thresholds
        assert chosen.cases(of_fold.chosen.predictions) == fold.metrics["threshold_cases"]
        assert of_fold.test.rows.tolist() == [r for r in range(fold.test_start_idx, fold.test_end_idx) if r < 399]
    summary = get_run(stores.postgres, run_id).summary_metrics
    assert summary is not None
    on = sum(fold.thresholds["long"] is not None for fold in folds)
    assert summary["threshold_cases"]["long"]["folds"] == on
    assert summary["threshold_cases"]["long"]["least"] == min(
        fold.metrics["threshold_cases"]["long"] for fold in folds if fold.thresholds["long"] is not None
    )
