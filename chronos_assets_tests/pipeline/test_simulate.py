"""Simulations on real servers: from a trained run to trades, equity, buckets and summary in both stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.errors import ConflictError, NotPublishedError, RefusedError
from chronos_assets.pipeline.simulation.price_sources import FilePrices
from chronos_assets.pipeline.simulation.run import check_simulation, simulate_run
from chronos_assets.storage.simulations import (
    begin_simulation,
    get_buckets,
    get_simulation,
    list_simulations,
    read_equity,
    read_trades,
    simulation_lock,
)
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.trained_market import DAY, PRICES, bars_frame, price_file, train

PROFILE = SimulationProfile.model_validate(
    {
        "costs": {"commission_fraction": 0.0005, "slippage_fraction": 0.0002},
        "exits": {"stop_loss": {"atr": 2.0}, "take_profit": {"percent": 5.0}, "max_bars": 8, "cooldown_bars": 2},
        "statistics": {"bootstraps": 50, "permutations": 50},
    }
)


@pytest.fixture
def trained(stores: Stores, unique_slug: str) -> Callable[..., str]:
    """Publish bars and train a small run on them; gives its run_id."""
    return partial(train, stores, unique_slug)


def test_three_modes_are_three_simulations_stored_whole(stores: Stores, trained: Callable[..., str]) -> None:
    """Each mode has its own id, its rows agree in both stores, and every check of what is stored passes."""
    run_id = trained()
    results = simulate_run(run_id, PROFILE, stores)
    assert [r.mode for r in results] == ["long", "short", "dual"]
    assert len({r.simulation_id for r in results}) == 3
    assert len(list_simulations(stores.postgres, run_id)) == 3
    for result in results:
        record = get_simulation(stores.postgres, result.simulation_id)
        assert (record.status, record.mode, record.run_id) == ("completed", result.mode, run_id)
        trades, equity = read_trades(stores, result.simulation_id), read_equity(stores, result.simulation_id)
        assert trades.height == result.trades == sum(b["trade_count"] for b in get_buckets(stores.postgres, result.simulation_id))
        assert trades.height > 0
        assert trades["pnl"].sum() == pytest.approx(equity["equity"][-1] - 100_000.0, abs=1e-6)
        assert all(check.passed for check in check_simulation(result.simulation_id, stores))
        assert equity.height == result.summary_metrics["bars"]
        assert set(trades["side"]) <= ({"long", "short"} if result.mode == "dual" else {result.mode})


def test_the_same_request_is_returned_at_once(stores: Stores, trained: Callable[..., str]) -> None:
    """A second request with the same profile makes nothing new; another seed or cost is another simulation."""
    run_id = trained()
    first = simulate_run(run_id, PROFILE, stores)
    again = simulate_run(run_id, PROFILE, stores)
    assert [r.simulation_id for r in again] == [r.simulation_id for r in first]
    assert all(r.reused for r in again)
    assert not any(r.reused for r in first)
    assert [r.summary_metrics for r in again] == [r.summary_metrics for r in first]
    other = simulate_run(run_id, PROFILE.model_copy(update={"seed": 8, "modes": ["dual"]}), stores)
    assert other[0].simulation_id not in {r.simulation_id for r in first}


def test_a_dead_attempt_is_made_again_with_the_same_rows(stores: Stores, trained: Callable[..., str]) -> None:
    """A row left `running` by a process that is gone is completed by the next request, and no trade stands twice."""
    run_id = trained()
    profile = PROFILE.model_copy(update={"modes": ["dual"]})
    (done,) = simulate_run(run_id, profile, stores)
    before = read_trades(stores, done.simulation_id)
    record = get_simulation(stores.postgres, done.simulation_id)
    begin_simulation(stores.postgres, done.simulation_id, run_id=run_id, dataset_id=record.dataset_id, mode="dual", config=record.config)
    assert get_simulation(stores.postgres, done.simulation_id).status == "running"
    (resumed,) = simulate_run(run_id, profile, stores)
    assert (resumed.status, resumed.reused) == ("completed", False)
    assert resumed.summary_metrics == done.summary_metrics
    assert read_trades(stores, done.simulation_id).equals(before)


def test_two_processes_do_not_make_the_same_simulation(stores: Stores, trained: Callable[..., str]) -> None:
    """While another process holds the simulation's lock, a request for it is refused as a conflict."""
    run_id = trained()
    profile = PROFILE.model_copy(update={"modes": ["long"]})
    (done,) = simulate_run(run_id, profile, stores)
    record = get_simulation(stores.postgres, done.simulation_id)
    begin_simulation(stores.postgres, done.simulation_id, run_id=run_id, dataset_id=record.dataset_id, mode="long", config=record.config)
    with simulation_lock(stores.postgres, done.simulation_id), pytest.raises(ConflictError):
        simulate_run(run_id, profile, stores)


def test_a_dataset_without_prices_names_the_manifest_keys(stores: Stores, trained: Callable[..., str]) -> None:
    """The refusal says which keys of the manifest bring prices."""
    run_id = trained(bars_frame().drop(PRICES))
    with pytest.raises(RefusedError, match="ohlcv_file") as caught:
        simulate_run(run_id, PROFILE, stores)
    assert caught.value.code == "prices_missing"
    assert "columns.prices" in str(caught.value)


def test_an_unknown_or_unfinished_run_is_refused(stores: Stores, trained: Callable[..., str]) -> None:
    """A run that does not exist, or did not complete, is not simulated."""
    with pytest.raises(NotPublishedError):
        simulate_run("no-such-run", PROFILE, stores)
    run_id = trained()
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE walkforward_runs SET status = 'failed' WHERE run_id = %(run_id)s", {"run_id": run_id})
    with pytest.raises(RefusedError, match="not complete"):
        simulate_run(run_id, PROFILE, stores)


def test_prices_of_a_second_file_give_the_same_trades(stores: Stores, trained: Callable[..., str], tmp_path: Path) -> None:
    """The same prices from the dataset's columns and from a file make the same trades."""
    frame = bars_frame()
    run_id = trained(frame)
    profile = PROFILE.model_copy(update={"modes": ["dual"]})
    (columns,) = simulate_run(run_id, profile, stores)
    (file,) = simulate_run(run_id, profile, stores, prices=FilePrices(price_file(tmp_path, frame)))
    assert file.simulation_id == columns.simulation_id, "the id stands for the prices, not for where they came from"


def test_labels_of_a_second_file_are_found_from_the_closes(stores: Stores, trained: Callable[..., str], tmp_path: Path) -> None:
    """A file labelled by the other end of the bar is moved by one bar, and that is said."""
    frame = bars_frame()
    run_id = trained(frame)
    profile = PROFILE.model_copy(update={"modes": ["dual"], "seed": 11})
    (moved,) = simulate_run(run_id, profile, stores, prices=FilePrices(price_file(tmp_path, frame, shift=DAY)))
    assert [w["code"] for w in moved.warnings] == ["prices_shifted"]
    (columns,) = simulate_run(run_id, profile, stores)
    assert moved.simulation_id == columns.simulation_id


def test_closes_that_disagree_are_refused(stores: Stores, trained: Callable[..., str], tmp_path: Path) -> None:
    """One close that differs from the dataset's is enough to refuse a file, and the bar is named."""
    frame = bars_frame()
    run_id = trained(frame)
    wrong = frame.with_columns(Close=pl.when(pl.int_range(pl.len()) == 200).then(pl.col("Close") * 1.01).otherwise(pl.col("Close")))
    with pytest.raises(RefusedError, match="differ from those of the dataset") as caught:
        simulate_run(run_id, PROFILE, stores, prices=FilePrices(price_file(tmp_path, wrong)))
    assert caught.value.code == "closes_disagree"


def test_bars_missing_from_the_price_file_are_said_and_not_traded(stores: Stores, trained: Callable[..., str], tmp_path: Path) -> None:
    """A bar that the file lacks is named in a warning, fills nothing, and leaves equity at the last close."""
    frame = bars_frame()
    run_id = trained(frame)
    gone = {int(t) for t in frame["timestamp_unix"][180:184]}
    file = price_file(tmp_path, frame.filter(~pl.col("timestamp_unix").is_in(gone)))
    (result,) = simulate_run(run_id, PROFILE.model_copy(update={"modes": ["dual"]}), stores, prices=FilePrices(file))
    assert "4 of" in next(w["message"] for w in result.warnings if w["code"] == "prices_missing_bars")
    trades = read_trades(stores, result.simulation_id)
    assert not gone & (set(trades["entry_timestamp_unix"]) | set(trades["exit_timestamp_unix"]))
    equity = read_equity(stores, result.simulation_id).filter(pl.col("timestamp_unix").is_in(gone))
    assert equity["equity"].n_unique() == 1


@pytest.mark.parametrize("from_file", [False, True])
def test_impossible_prices_are_told_again(stores: Stores, trained: Callable[..., str], tmp_path: Path, *, from_file: bool) -> None:
    """High below Low, a close a hundred times too large and a price below zero are counted with their first bar, whatever the source."""
    row = pl.int_range(pl.len())
    frame = bars_frame().with_columns(
        High=pl.when(row == 180).then(1.0).otherwise("High"),
        Close=pl.when(row == 200).then(pl.col("Close") * 100).otherwise("Close"),
        Open=pl.when(row == 220).then(-5.0).otherwise("Open"),
    )
    run_id = trained(frame)
    prices = FilePrices(price_file(tmp_path, frame)) if from_file else None
    (result,) = simulate_run(run_id, PROFILE.model_copy(update={"modes": ["dual"]}), stores, prices=prices)
    found = {warning["code"]: warning["message"] for warning in result.warnings}
    first = pl.from_epoch(frame["timestamp_unix"])[180]
    assert found["price_high_below_low"] == f"High is below Low in 1 bar, first in {first:%Y-%m-%d %H:%M}"
    assert "in 1 bar, first in" in found["price_negative"]
    assert "in 2 bars, first in" in found["price_jump"]
    assert found.keys() >= {"price_outside_range", "prices_incomplete", "prices_missing_bars"}


def test_a_changed_trade_is_found(stores: Stores, trained: Callable[..., str]) -> None:
    """When a stored trade is changed behind our back, the accounting check says so."""
    run_id = trained()
    (result,) = simulate_run(run_id, PROFILE.model_copy(update={"modes": ["dual"]}), stores)
    stores.questdb.execute(f"UPDATE trading_sim_traces SET pnl = pnl + 1 WHERE simulation_id = '{result.simulation_id}' AND trade_no = 1")
    stores.questdb.wait_applied("trading_sim_traces")
    verdicts = {check.name: check.passed for check in check_simulation(result.simulation_id, stores)}
    assert verdicts.pop("accounting") is False
    assert all(verdicts.values())


def test_records_of_checks_and_statistics_are_complete(stores: Stores, trained: Callable[..., str]) -> None:
    """The summary carries intervals, both tests with seeds, checks, prices and buy and hold; nothing in it is infinite."""
    run_id = trained()
    (result,) = simulate_run(run_id, PROFILE.model_copy(update={"modes": ["dual"]}), stores)
    summary = result.summary_metrics
    assert {"intervals", "trade_test", "signal_test", "buy_and_hold", "checks", "prices", "bases", "seed"} <= set(summary)
    assert 0 < summary["trade_test"]["p_value"] <= 1
    assert set(summary["signal_test"]["p_values"]) == {"long", "short", "best"}
    assert summary["intervals"]["resamples"] == 50
    assert all(check["passed"] for check in summary["checks"])
    assert dataclasses.asdict(result)["trades"] == summary["trade_count"]
