"""What lies behind the totals of a simulation, by hand-worked cases and against plain loops."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.simulation.excursions import excursions
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.domain.statistics.deciles import outcome_by_decile
from chronos_assets.domain.statistics.equity_path import rolling_sharpe, rolling_window, worst_drawdowns
from chronos_assets.domain.statistics.returns import bar_returns, drawdown_pct, sharpe
from chronos_assets.views.tear_sheet import parameters_in_use

DAY = 86_400


def test_drawdowns_are_listed_from_peak_to_recovery() -> None:
    """Two stretches by hand: 120 to 60 and back at the sixth bar, then 130 to 117 at the end, which is open."""
    equity = np.array([100.0, 120.0, 90.0, 60.0, 110.0, 130.0, 117.0])
    times = DAY * np.arange(7)
    first, second = worst_drawdowns(equity, times, 100.0)
    assert (first.begun_unix, first.deepest_unix, first.recovered_unix, first.bars) == (DAY, 3 * DAY, 5 * DAY, 3)
    assert first.depth_pct == pytest.approx(50.0)
    assert (second.begun_unix, second.deepest_unix, second.recovered_unix, second.bars) == (5 * DAY, 6 * DAY, None, 1)
    assert second.depth_pct == pytest.approx(10.0)


def test_a_curve_that_starts_below_its_capital_is_in_drawdown_from_the_first_bar() -> None:
    """The starting capital is a maximum; a curve that never falls has no drawdown."""
    (only,) = worst_drawdowns(np.array([90.0, 95.0]), DAY * np.arange(2), 100.0)
    assert (only.begun_unix, only.recovered_unix, only.bars) == (0, None, 2)
    assert worst_drawdowns(np.array([100.0, 101.0]), DAY * np.arange(2), 100.0) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 400), st.integers(0, 2**32 - 1))
def test_the_worst_drawdown_is_the_maximum_drawdown(n: int, seed: int) -> None:
    """At most as many as asked for, the deepest first, and the deepest is that of the whole curve."""
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(scale=0.02, size=n)))
    found = worst_drawdowns(equity, DAY * np.arange(n), 100.0)
    depth = drawdown_pct(equity, 100.0)
    assert len(found) <= 5
    assert [one.depth_pct for one in found] == sorted((one.depth_pct for one in found), reverse=True)
    assert (found[0].depth_pct if found else 0.0) == depth.max(initial=0.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(21, 200), st.integers(0, 2**32 - 1))
def test_the_rolling_ratio_is_that_of_each_window(n: int, seed: int) -> None:
    """Each value equals the Sharpe ratio of the window's own returns; before the first full window there is none."""
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(scale=0.01, size=n)))
    found, returns = rolling_sharpe(equity, 20, 252.0), bar_returns(equity)
    assert returns is not None
    assert np.isnan(found[:20]).all()
    for bar in range(20, n):
        assert found[bar] == pytest.approx(sharpe(returns[bar - 20 : bar], 252.0), rel=1e-6, abs=1e-9)


def test_a_window_without_variation_has_no_ratio() -> None:
    """A flat account has no Sharpe ratio, nor has one that was ruined; the window is half a year, within bounds."""
    assert np.isnan(rolling_sharpe(np.full(50, 100.0), 20, 252.0)).all()
    assert np.isnan(rolling_sharpe(np.r_[np.full(30, 100.0), 0.0, np.full(30, 1.0)], 20, 252.0)).all()
    assert [rolling_window(4000, 252.0), rolling_window(100, 252.0), rolling_window(10, None)] == [126, 25, 20]


def test_excursions_by_hand() -> None:
    """A long and a short over three bars, one that ends with the data, and one that enters and leaves at the same bar."""
    times = DAY * np.arange(5)
    highs, lows = np.array([101.0, 110.0, 104.0, 130.0, 120.0]), np.array([99.0, 95.0, 90.0, 100.0, 80.0])
    bars = PriceBars(times, np.full(5, 100.0), highs, lows, np.full(5, 100.0), incomplete=0)
    trades = pl.DataFrame(
        {
            "side": ["long", "short", "long", "long"],
            "entry_timestamp_unix": times[[0, 0, 3, 2]],
            "exit_timestamp_unix": times[[3, 3, 4, 2]],
            "entry_price": [100.0, 100.0, 100.0, 100.0],
            "exit_price": [120.0, 120.0, 100.0, 97.0],
            "exit_reason": ["sign_flip", "sign_flip", "end_of_data", "stop_loss"],
        }
    )
    found = excursions(trades, bars)
    assert found.adverse == pytest.approx([-10.0, -20.0, -20.0, -3.0])  # lows 90; the exit at 120; the last low 80; the fill 97
    assert found.favourable == pytest.approx([20.0, 10.0, 30.0, 0.0])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_excursions_equal_a_plain_loop(count: int, seed: int) -> None:
    """Whatever the trades, the two numbers are those that a loop over their bars finds; missing prices count for nothing."""
    rng = np.random.default_rng(seed)
    n = 60
    middle = 100 * np.exp(np.cumsum(rng.normal(scale=0.02, size=n)))
    highs, lows = middle * (1 + rng.random(n) / 50), middle * (1 - rng.random(n) / 50)
    missing = rng.random(n) < 0.1
    highs[missing] = lows[missing] = np.nan
    bars = PriceBars(DAY * np.arange(n), middle, highs, lows, middle, incomplete=0)
    entered = rng.integers(0, n, count)
    left = np.minimum(entered + rng.integers(0, 20, count), n - 1)
    long = rng.random(count) < 0.5
    trades = pl.DataFrame(
        {
            "side": np.where(long, "long", "short"),
            "entry_timestamp_unix": DAY * entered,
            "exit_timestamp_unix": DAY * left,
            "entry_price": middle[entered],
            "exit_price": middle[left],
            "exit_reason": np.where(rng.random(count) < 0.2, "end_of_data", "time"),
        }
    )
    found = excursions(trades, bars)
    for k, trade in enumerate(trades.iter_rows(named=True)):
        stop = left[k] + (trade["exit_reason"] == "end_of_data")
        seen = [trade["entry_price"], trade["exit_price"], *highs[entered[k] : stop], *lows[entered[k] : stop]]
        up, down = (100 * (rule(seen) / trade["entry_price"] - 1) for rule in (np.nanmax, np.nanmin))
        against, favourable = (down, up) if trade["side"] == "long" else (-up, -down)
        assert (found.adverse[k], found.favourable[k]) == pytest.approx((against, favourable))


def test_deciles_hold_every_case_once() -> None:
    """Cases without one of the two numbers are left out, groups are about equal, and a knowing prediction shows."""
    predictions = np.r_[np.arange(100.0), np.nan, 5.0]
    outcomes = np.r_[np.arange(100.0) - 50.0, 1.0, np.nan]
    found = outcome_by_decile(predictions, outcomes)
    assert [one.cases for one in found] == [10] * 10
    assert [one.mean_outcome for one in found] == [-45.5 + 10 * k for k in range(10)]
    assert [one.above_zero for one in found] == [0.0] * 5 + [0.9] + [1.0] * 4
    assert len(outcome_by_decile(np.arange(3.0), np.arange(3.0))) == 3
    assert outcome_by_decile(np.array([np.nan]), np.array([1.0])) == []


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("fixed_units", {"units"}),
        ("fixed_amount", {"amount"}),
        ("fixed_fraction", {"fraction"}),
        ("volatility", {"risk_fraction", "max_leverage"}),
    ],
)
def test_only_keys_in_use_are_shown(method: str, used: set[str]) -> None:
    """Of `sizing` only what the method uses; the limit order's distance and the range's bars only if something uses them."""
    sizing = {"method": method, "units": 1.0, "amount": 2.0, "fraction": 3.0, "risk_fraction": 4.0, "max_leverage": 5.0}
    config = {"sizing": sizing, "entry": {"order": "market", "limit_percent": 0.5}, "exits": {"stop_loss": None}, "atr_bars": 14}
    shown = dict(parameters_in_use(config))
    assert {name.removeprefix("sizing.") for name in shown if name.startswith("sizing.")} == {"method", *used}
    assert ("entry.limit_percent" in shown, "atr_bars" in shown) == (False, method == "volatility")
    limit = parameters_in_use({**config, "entry": {"order": "limit", "limit_percent": 0.5}, "exits": {"stop_loss": {"atr": 2.0}}})
    assert {"entry.limit_percent", "atr_bars"} <= {name for name, _ in limit}
