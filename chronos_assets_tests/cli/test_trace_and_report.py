"""From a trade back to its file, and the tear sheet: through the command line, on real servers."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.errors import NotPublishedError, RefusedError, UsageError
from chronos_assets.pipeline.simulation.judgement import deflated_sharpes
from chronos_assets.pipeline.simulation.price_sources import FilePrices
from chronos_assets.pipeline.simulation.run import SimulationResult, simulate_run
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.simulations import begin_simulation, get_simulation, read_trades
from chronos_assets.storage.stores import Stores
from chronos_assets.views.analysis import analyse
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.web.tear_sheet import write_tear_sheet
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.trained_market import WALK, bars_frame, price_file, train

PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})


@pytest.fixture
def simulated(stores: Stores, unique_slug: str) -> SimulationResult:
    """A completed simulation of a small trained run."""
    return simulate_run(train(stores, unique_slug), PROFILE, stores)[0]


def chronos(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `chronos` as a process."""
    return run_program(*arguments, env=environment)


def test_a_trade_leads_to_fold_model_bars_and_file(stores: Stores, simulated: SimulationResult) -> None:
    """Each station is the stored one, and the model predicts the deciding bar again to the bit."""
    trades = read_trades(stores, simulated.simulation_id)
    trade = trades.row(trades.height // 2, named=True)
    found = trace_trade(f"{simulated.simulation_id}/{trade['trade_no']}", stores)
    fold, bars = found["fold"], found["bars"]
    assert fold["fold_number"] == trade["fold"]
    assert fold["test_start_idx"] <= bars["decision"]["bar_index"] < fold["test_end_idx"]
    assert bars["decision"]["prediction"] == trade["entry_signal"]
    assert bars["entry"]["Open"] == trade["entry_price"]
    assert found["model"]["present"]
    assert found["model"]["reproduces_prediction"]
    assert stores.artifacts.size(found["model"]["artifact"])
    assert not Path(found["model"]["artifact"]).is_absolute()
    assert found["file"]["checksum"] == "sha256:" + "ab" * 32
    assert set(bars["decision"]["features"]) == {"SIGNAL", "NOISE"}


def test_a_trade_of_features_beyond_float32_is_traced(stores: Stores, unique_slug: str) -> None:
    """The model predicts the deciding bar again to the bit, though training saw the greatest float32 in its place."""
    frame = bars_frame()
    signal = pl.col("SIGNAL")
    frame = frame.with_columns(SIGNAL=pl.when(signal > 0.02).then(1e300).when(signal < -0.02).then(-1e39).otherwise(signal))
    (result,) = simulate_run(train(stores, unique_slug, frame), PROFILE, stores)
    traced = [trace_trade(f"{result.simulation_id}/{n}", stores) for n in range(1, 9)]
    assert any(abs(one["bars"]["decision"]["features"]["SIGNAL"]) > 1e38 for one in traced)
    assert all(one["model"]["reproduces_prediction"] for one in traced)


def test_a_trade_that_is_not_there_is_said(stores: Stores, simulated: SimulationResult) -> None:
    """An unknown number, an unknown simulation and a name that is none are three different errors."""
    with pytest.raises(NotPublishedError, match="has no trade 100000"):
        trace_trade(f"{simulated.simulation_id}/100000", stores)
    with pytest.raises(NotPublishedError, match="no simulation"):
        trace_trade("3f0c/1", stores)
    for name in (simulated.simulation_id, f"{simulated.simulation_id}/0", f"{simulated.simulation_id}/x"):
        with pytest.raises(UsageError):
            trace_trade(name, stores)


class Outside(HTMLParser):
    """Collects everything in a page that would be fetched from elsewhere, or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {k}={v}" for k, v in attrs if k in {"src", "href", "srcset", "xlink:href", "action"} or k.startswith("on")]
        if tag in {"script", "link", "iframe", "object", "embed"}:
            self.found.append(tag)


def test_the_tear_sheet_is_one_file_that_needs_nothing_else(stores: Stores, simulated: SimulationResult, tmp_path: Path) -> None:
    """No script, no link, no outside resource; charts, months, statistics, trades and provenance are in it."""
    path = write_tear_sheet(simulated.simulation_id, stores, tmp_path / "sheet.html").place
    text = Path(path).read_text(encoding="utf-8")
    parser = Outside()
    parser.feed(text)
    assert parser.found == []
    assert not re.search(r"url\(|@import|https?:", text)
    assert text.count("<svg") == 7
    assert text.count('<tr><th scope="row">') >= simulated.trades > 0  # every trade is in it
    for part in (
        "Account",
        "Rolling Sharpe ratio",
        "Return by month",
        "Statistics",
        "Worst drawdowns",
        "How far this could be luck",
        "Excursions",
        "Predictions and outcomes",
        "Feature importance",
        "sizing.fraction",
        simulated.simulation_id,
        "sha256:abab",
    ):
        assert part in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"sizing\.(units|amount|risk_fraction)|entry\.limit_percent|atr_bars", text)  # keys without effect here
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.html"]


def test_costs_are_simulated_again(stores: Stores, unique_slug: str) -> None:
    """Once its own costs the analysis gives the stored numbers; less costs more return; without any, basis points are assumed."""
    run_id = train(stores, unique_slug)
    paid = {"commission_fraction": 0.0005, "slippage_fraction": 0.0002, "commission_fixed": 1.0}
    changes = {"costs": paid, "exits": {"stop_loss": {"atr": 2.0}}, "statistics": {"bootstraps": 0, "permutations": 0}}
    (result,) = simulate_run(run_id, SimulationProfile.model_validate({**changes, "modes": ["dual"]}), stores)
    found = analyse(stores, get_simulation(stores.postgres, result.simulation_id), FrameCache()).document
    none, own, double, fourfold = found.costs
    assert (found.notes, found.costs_assumed) == ([], False)
    names = ("total_return_pct", "sharpe", "max_drawdown_pct", "profit_factor_trade", "trade_count", "costs_paid")
    assert {name: getattr(own, name) for name in names} == {name: result.summary_metrics[name] for name in names}
    assert none.costs_paid == 0.0
    assert none.total_return_pct > own.total_return_pct > double.total_return_pct > fourfold.total_return_pct
    assert found.drawdowns[0].depth_pct == pytest.approx(own.max_drawdown_pct)
    assert sum(one.cases for one in found.deciles) == result.summary_metrics["bars"] - _without_target(stores, run_id)
    free = simulate_run(run_id, PROFILE, stores)[0]
    assumed = analyse(stores, get_simulation(stores.postgres, free.simulation_id), FrameCache()).document
    assert (assumed.costs_assumed, [one.cost_fraction for one in assumed.costs]) == (True, [0.0, 0.0001, 0.0002, 0.0004])
    assert assumed.costs[0].total_return_pct == free.summary_metrics["total_return_pct"]


def _without_target(stores: Stores, run_id: str) -> int:
    """Bars of the simulation that are not scored: between tests, or without a target."""
    predictions = read_predictions(stores, run_id)
    first, last = (int(getattr(predictions["bar_index"], rule)()) for rule in ("min", "max"))
    return last - first + 1 - int(predictions["target_value"].fill_nan(None).is_not_null().sum())


def test_a_simulation_that_is_not_complete_has_no_tear_sheet(stores: Stores, simulated: SimulationResult) -> None:
    """Half a result is not shown as a whole one."""
    record = get_simulation(stores.postgres, simulated.simulation_id)
    begin_simulation(
        stores.postgres, record.simulation_id, run_id=record.run_id, dataset_id=record.dataset_id, mode=record.mode, config=record.config
    )
    with pytest.raises(RefusedError, match="not complete"):
        write_tear_sheet(simulated.simulation_id, stores)


def test_buy_and_hold_is_drawn_from_the_prices_of_a_second_file(stores: Stores, unique_slug: str, tmp_path: Path) -> None:
    """A dataset without closes still shows its benchmark: the prices that were traded on are kept."""
    frame = bars_frame()
    run_id = train(stores, unique_slug, frame.drop("Open", "High", "Low", "Close"))
    (result,) = simulate_run(run_id, PROFILE, stores, prices=FilePrices(price_file(tmp_path, frame)))
    assert [w["code"] for w in result.warnings] == ["price_labels_assumed"]
    text = Path(write_tear_sheet(result.simulation_id, stores, tmp_path / "sheet.html").place).read_text(encoding="utf-8")
    assert 'class="hold"' in text
    assert "as simulated" in text  # the kept prices also serve to simulate again


def test_a_simulation_is_deflated_by_all_trials_when_it_is_read(stores: Stores, unique_slug: str) -> None:
    """A run by hand, four of a sweep: the simulation counts five trials, and its identity and summary know none of them."""
    train(stores, unique_slug)
    sweep = run_sweep(unique_slug, WALK, {"model.eta": [0.05, 0.1], "model.max_depth": [2, 3]}, stores, horizon_of=lambda _: (1, False))
    run_id = sweep.trials[0].run_id
    assert run_id is not None
    (result,) = simulate_run(run_id, PROFILE, stores)
    assert "deflated_sharpe" not in result.summary_metrics
    found = deflated_sharpes(stores, run_id, [result.simulation_id])[result.simulation_id]
    assert found is not None
    assert (found.trials, 1 <= found.different_trials <= 5) == (5, True)
    assert 0.0 <= found.probability <= 1.0
    assert found.effective_observations <= found.observations
    assert np.isfinite(found.expected_best_of_chance)


def test_the_command_line_simulates_traces_and_reports(
    stores: Stores, unique_slug: str, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    """`simulate`, `trace` and `report` print one JSON document each, reuse what is there, and refuse with their exit codes."""
    run_id = train(stores, unique_slug)

    def document(*arguments: str) -> Any:
        done = chronos(cli_environment, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = document("simulate", run_id, "--mode", "long")
    (simulation,) = made["simulations"]
    assert (simulation["mode"], simulation["status"], simulation["reused"]) == ("long", "completed", False)
    again = document("simulate", run_id, "--mode", "long")["simulations"][0]
    assert again["reused"]
    assert again["simulation_id"] == simulation["simulation_id"]
    assert document("trace", f"{simulation['simulation_id']}/1")["model"]["reproduces_prediction"]
    sheet = document("report", simulation["simulation_id"], "--output", str(tmp_path / "sheet.html"))
    assert Path(sheet["file"]).stat().st_size == sheet["bytes"]
    unknown = chronos(cli_environment, "simulate", "11111111-1111-1111-1111-111111111111", "--json")
    assert unknown.returncode == 3
    assert json.loads(unknown.stdout)["error"]["code"] == "run_unknown"
    assert chronos(cli_environment, "trace", "nothing").returncode == 2
    assert isinstance(read_trades(stores, simulation["simulation_id"]), pl.DataFrame)
