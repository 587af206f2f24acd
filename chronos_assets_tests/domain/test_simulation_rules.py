"""Every rule of trading, worked by hand on a handful of bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.simulation.engine import Signals, Simulation, simulate
from chronos_assets.domain.simulation.prices import price_bars
from chronos_assets.domain.simulation.ranges import average_true_range
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.simulation.summary import buckets_of, summary_of
from chronos_assets.errors import RefusedError
from chronos_assets.pipeline.simulation.ruin import ruin_warnings

NAN = float("nan")
QUIET = {"opposite_threshold": False, "signal_decay": None, "sign_flip": False}


def run(
    bars: list[tuple[float, float, float, float]],
    prediction: list[float],
    *,
    mode: Any = "dual",
    long: Any = 1.0,
    short: Any = -1.0,
    fold: list[int] | None = None,
    exits: dict[str, Any] | None = None,
    **profile: Any,
) -> Simulation:
    """Simulate bars given as (open, high, low, close); one unit, no costs and no exit rule unless asked for."""
    settings = {"sizing": {"method": "fixed_units", "units": 1.0}, **profile, "exits": QUIET | (exits or {})}
    n = len(bars)
    table = np.array(bars, dtype=np.float64).reshape(n, 4)
    signals = Signals(
        np.array(prediction, dtype=np.float64),
        np.broadcast_to(np.asarray(long, dtype=np.float64), n).copy(),
        np.broadcast_to(np.asarray(short, dtype=np.float64), n).copy(),
        np.zeros(n, dtype=np.int64) if fold is None else np.array(fold, dtype=np.int64),
    )
    prices = price_bars(np.arange(n, dtype=np.int64) * 86_400, *(table[:, k].copy() for k in range(4)))
    return simulate(prices, signals, rules_of(SimulationProfile.model_validate(settings), mode))


def flat(price: float, n: int) -> list[tuple[float, float, float, float]]:
    """`n` bars that do not move."""
    return [(price, price, price, price)] * n


def trades(simulation: Simulation, *columns: str) -> list[tuple[Any, ...]]:
    """The asked columns of all trades."""
    return list(simulation.trades.select(columns).iter_rows())


def test_a_decision_is_filled_at_the_open_of_the_next_bar() -> None:
    """A signal at the close of bar 1 enters at the open of bar 2 and, held to the end, leaves at the last close."""
    simulation = run([(10, 10, 10, 10), (10, 12, 9, 11), (20, 21, 19, 20), (22, 24, 21, 23)], [0, 2, 0, 0])
    assert trades(simulation, "decision_bar", "entry_bar", "exit_bar", "entry_price", "exit_price", "pnl", "exit_reason") == [
        (1, 2, 3, 20.0, 23.0, 3.0, "end_of_data")
    ]
    assert simulation.equity.tolist() == [100_000, 100_000, 100_000, 100_003]
    assert simulation.position.tolist() == [0, 0, 1, 0]


def test_a_decision_on_the_last_bar_is_not_filled() -> None:
    """There is no next open for it."""
    assert run(flat(10, 3), [0, 0, 2]).trades.height == 0


def test_a_threshold_that_is_off_gives_no_signal_on_its_side() -> None:
    """A NULL long threshold switches longs off, whatever the prediction; the short side goes on."""
    simulation = run(flat(10, 4), [5, -5, 0, 0], long=NAN)
    assert trades(simulation, "side", "decision_bar") == [("short", 1)]


def test_a_bar_beyond_both_thresholds_gives_no_signal() -> None:
    """With long <= short, a prediction between them is beyond both and is no signal."""
    assert run(flat(10, 4), [0.5, 0.5, 0.5, 0.5], long=0.0, short=1.0).trades.height == 0
    assert trades(run(flat(10, 4), [2, 0.5, 0.5, 0.5], long=0.0, short=1.0), "side") == [("long",)]


@pytest.mark.parametrize(("mode", "sides"), [("long", ["long"]), ("short", ["short"]), ("dual", ["long", "short"])])
def test_a_mode_trades_only_its_sides(mode: str, sides: list[str]) -> None:
    """Long takes longs, short takes shorts, dual takes both."""
    simulation = run(flat(10, 8), [2, 0, 0, -2, 0, 0, 0, 0], mode=mode, exits={"max_bars": 1})
    assert simulation.trades["side"].to_list() == sides


def test_a_reversal_closes_and_enters_at_the_same_open() -> None:
    """In mode dual a short signal closes the long at the next open and a short begins there."""
    simulation = run(
        [(10, 10, 10, 10), (11, 11, 11, 11), (12, 12, 12, 12), (9, 9, 9, 9)], [2, -2, 0, 0], exits={"opposite_threshold": True}
    )
    assert trades(simulation, "side", "entry_bar", "exit_bar", "entry_price", "exit_price", "pnl", "exit_reason") == [
        ("long", 1, 2, 11.0, 12.0, 1.0, "opposite_threshold"),
        ("short", 2, 3, 12.0, 9.0, 3.0, "end_of_data"),
    ]


def test_in_mode_long_the_opposite_threshold_only_closes() -> None:
    """A short signal ends the long; no short is entered."""
    simulation = run(flat(10, 5), [2, -2, 0, 0, 0], mode="long", exits={"opposite_threshold": True})
    assert trades(simulation, "side", "exit_reason", "exit_bar") == [("long", "opposite_threshold", 2)]


def test_a_signal_that_decays_below_its_share_closes() -> None:
    """With share 0.5 and an entry at 2, a prediction of 1 stays and 0.9 leaves at the next open."""
    simulation = run(flat(10, 6), [2, 1.0, 0.9, 0, 0, 0], exits={"signal_decay": 0.5})
    assert trades(simulation, "exit_bar", "exit_reason", "exit_signal") == [(3, "signal_decay", 0.9)]


def test_a_signal_that_changes_its_sign_closes() -> None:
    """The sign flips at the close of bar 2, so the position leaves at the open of bar 3."""
    simulation = run(flat(10, 6), [2, 0.1, -0.1, 0, 0, 0], exits={"sign_flip": True})
    assert trades(simulation, "exit_bar", "exit_reason") == [(3, "sign_flip")]


def test_a_bar_without_a_prediction_decays_nothing() -> None:
    """Between tests there is no signal: the position is carried."""
    simulation = run(flat(10, 6), [2, NAN, NAN, NAN, 0.1, 0], exits={"signal_decay": 0.5, "sign_flip": True})
    assert trades(simulation, "exit_bar", "exit_reason") == [(5, "signal_decay")]


def test_time_closes_at_the_open_that_ends_so_many_bars() -> None:
    """Two bars in the market from the open of bar 1 end at the open of bar 3."""
    simulation = run(flat(10, 6), [2, 0, 0, 0, 0, 0], exits={"max_bars": 2})
    assert trades(simulation, "entry_bar", "exit_bar", "exit_reason") == [(1, 3, "time")]


def test_a_fixed_stop_fills_at_its_level_from_the_entry_bar_on() -> None:
    """Bought at 100 with a stop of 2 %, a Low of 97 on the entry bar itself sells at 98."""
    simulation = run([(90, 90, 90, 90), (100, 101, 97, 99), (99, 99, 99, 99)], [2, 0, 0], exits={"stop_loss": {"percent": 2.0}})
    assert trades(simulation, "entry_bar", "exit_bar", "exit_price", "exit_reason") == [(1, 1, 98.0, "stop_loss")]


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    """The next bar opens at 95, below the stop of 98: 95 is what there is."""
    simulation = run([(100,) * 4, (100,) * 4, (95, 96, 94, 95)], [2, 0, 0], exits={"stop_loss": {"percent": 2.0}})
    assert trades(simulation, "exit_price", "exit_reason") == [(95.0, "stop_loss")]


def test_a_gap_through_the_target_fills_at_the_open() -> None:
    """The next bar opens at 110, above the target of 105: the open is taken."""
    simulation = run([(100,) * 4, (100,) * 4, (110, 111, 109, 110)], [2, 0, 0], exits={"take_profit": {"percent": 5.0}})
    assert trades(simulation, "exit_price", "exit_reason") == [(110.0, "take_profit")]


def test_stop_before_target_where_both_lie_within_the_bar() -> None:
    """The pessimistic reading: a bar from 97 to 106 stops out at 98."""
    levels = {"stop_loss": {"percent": 2.0}, "take_profit": {"percent": 5.0}}
    simulation = run([(100,) * 4, (100,) * 4, (100, 106, 97, 105)], [2, 0, 0], exits=levels)
    assert trades(simulation, "exit_price", "exit_reason") == [(98.0, "stop_loss")]


@pytest.mark.parametrize(("bar", "exit_"), [((100, 104, 100, 101), (104.0, "take_profit")), ((100, 100, 96, 99), (96.0, "stop_loss"))])
@pytest.mark.parametrize("side", [1, -1])
def test_a_level_that_is_just_touched_is_filled_bars_after_the_entry(
    bar: tuple[float, float, float, float], exit_: tuple[float, str], side: int
) -> None:
    """Levels at 96 and 104, exact in binary: to touch one is enough, also where bars pass before; mirrored at 100 for a short."""
    levels = {"stop_loss": {"percent": 4.0}, "take_profit": {"percent": 4.0}}
    mirrored = bar if side == 1 else (200 - bar[0], 200 - bar[2], 200 - bar[1], 200 - bar[3])
    price = exit_[0] if side == 1 else 200 - exit_[0]
    simulation = run([*flat(100, 6), mirrored, *flat(100, 2)], [2 * side, *[0] * 8], exits=levels)
    assert trades(simulation, "exit_bar", "exit_price", "exit_reason") == [(6, price, exit_[1])]


def test_shorts_have_their_levels_mirrored() -> None:
    """Sold at 100: stop at 102 by the High, target at 95 by the Low."""
    levels = {"stop_loss": {"percent": 2.0}, "take_profit": {"percent": 5.0}}
    stopped = run([(100,) * 4, (100,) * 4, (101, 103, 100, 101)], [-2, 0, 0], exits=levels)
    assert trades(stopped, "exit_price", "exit_reason", "pnl") == [(102.0, "stop_loss", -2.0)]
    gained = run([(100,) * 4, (100,) * 4, (99, 100, 94, 95)], [-2, 0, 0], exits=levels)
    assert trades(gained, "exit_price", "exit_reason", "pnl") == [(95.0, "take_profit", 5.0)]


def test_a_trailing_stop_follows_the_best_high_up_to_the_previous_bar() -> None:
    """The High of 120 on bar 2 lifts the stop to 108 for bar 3, not for bar 2 itself, whose Low of 95 lies above the level of 90."""
    bars = [(100,) * 4, (100, 100, 100, 100), (100, 120, 95, 118), (115, 116, 107, 110)]
    simulation = run(bars, [2, 0, 0, 0], exits={"trailing_stop": {"percent": 10.0}})
    assert trades(simulation, "exit_bar", "exit_price", "exit_reason") == [(3, 108.0, "trailing_stop")]


def test_the_tighter_of_fixed_and_trailing_stop_holds() -> None:
    """While the trailing level lies below the fixed one, the fixed one is what stops."""
    exits = {"stop_loss": {"percent": 5.0}, "trailing_stop": {"percent": 10.0}}
    simulation = run([(100,) * 4, (100,) * 4, (100, 101, 94, 95)], [2, 0, 0], exits=exits)
    assert trades(simulation, "exit_price", "exit_reason") == [(95.0, "stop_loss")]


def test_levels_in_average_true_ranges_take_that_of_the_deciding_bar() -> None:
    """True ranges 2 and 4 make an average of 3 at the deciding bar: a stop two of them below 100 is 94."""
    bars = [(100, 101, 99, 100), (100, 102, 98, 100), (100, 100, 93, 95), (95,) * 4]
    simulation = run(bars, [0, 2, 0, 0], exits={"stop_loss": {"atr": 2.0}}, atr_bars=2)
    assert trades(simulation, "exit_price", "exit_reason") == [(94.0, "stop_loss")]


def test_a_true_range_of_zero_trails_at_the_best_price_itself() -> None:
    """Bars that did not move give a trailing distance of 0, as they give a fixed stop at the fill: neither is off."""
    bars = [(100,) * 4, (100, 103, 99, 102), (102,) * 4, (102,) * 4]
    for exit_ in ("trailing_stop", "stop_loss"):
        simulation = run(bars, [2, 0, 0, 0], exits={exit_: {"atr": 2.0}}, atr_bars=1)
        assert trades(simulation, "exit_bar", "exit_price", "exit_reason") == [(1, 100.0, exit_)]


def test_nothing_is_entered_before_the_average_true_range_is_known() -> None:
    """With three bars asked for, the signal of the first bar is not taken and that of the third is."""
    simulation = run(flat(10, 6), [2, 0, 2, 0, 0, 0], exits={"take_profit": {"atr": 2.0}, "max_bars": 1}, atr_bars=3)
    assert trades(simulation, "decision_bar") == [(2,)]


def test_a_cooldown_after_a_stop_lets_closes_pass() -> None:
    """Stopped on bar 2 with a cooldown of 2: the closes of bars 2 and 3 decide nothing, that of bar 4 does."""
    bars = [(100,) * 4, (100,) * 4, (100, 100, 90, 100), (100,) * 4, (100,) * 4, (100,) * 4, (100,) * 4]
    exits = {"stop_loss": {"percent": 5.0}, "cooldown_bars": 2}
    assert trades(run(bars, [2] * 7, exits=exits), "decision_bar", "exit_reason") == [(0, "stop_loss"), (4, "end_of_data")]
    assert trades(run(bars, [2] * 7, exits=exits | {"cooldown_bars": 0}), "decision_bar") == [(0,), (2,)]


def test_a_target_is_followed_by_no_cooldown() -> None:
    """Only stops cool down."""
    bars = [(100,) * 4, (100,) * 4, (100, 110, 100, 100), (100,) * 4, (100,) * 4]
    exits = {"take_profit": {"percent": 5.0}, "cooldown_bars": 3}
    assert trades(run(bars, [2] * 5, exits=exits), "decision_bar") == [(0,), (2,)]


def test_costs_enter_pnl_and_equity_and_leave_prices_raw() -> None:
    """Fraction, fixed part and slippage are paid on both fills; entry and exit prices stay what was traded."""
    costs = {"commission_fraction": 0.01, "commission_fixed": 1.0, "slippage_fraction": 0.02}
    simulation = run([(100,) * 4, (100,) * 4, (110,) * 4, (110,) * 4], [2, 0, 0, 0], costs=costs, exits={"max_bars": 1})
    assert trades(simulation, "entry_price", "exit_price", "costs", "pnl") == [(100.0, 110.0, pytest.approx(8.3), pytest.approx(1.7))]
    assert simulation.equity.tolist() == pytest.approx([100_000, 99_996, 100_001.7, 100_001.7])
    assert simulation.trades["return_pct"][0] == pytest.approx(1.7)


@pytest.mark.parametrize(
    ("sizing", "units"),
    [
        ({"method": "fixed_units", "units": 3.0}, 3.0),
        ({"method": "fixed_amount", "amount": 5_000.0}, 50.0),
        ({"method": "fixed_fraction", "fraction": 0.5}, 500.0),
        ({"method": "volatility", "risk_fraction": 0.01, "max_leverage": 10.0}, 500.0),
        ({"method": "volatility", "risk_fraction": 0.01, "max_leverage": 0.2}, 200.0),
    ],
)
def test_sizing(sizing: dict[str, Any], units: float) -> None:
    """100,000 of capital at a fill of 100 and an average true range of 2."""
    simulation = run([(100, 101, 99, 100)] * 4, [2, 0, 0, 0], sizing=sizing, atr_bars=1)
    assert simulation.trades["position_size"].to_list() == [units]


def test_a_fixed_fraction_compounds() -> None:
    """The second trade is sized by what the first one left."""
    bars = [(100,) * 4, (100,) * 4, (200,) * 4, (200,) * 4, (200,) * 4]
    simulation = run(bars, [2, 0, 2, 0, 0], sizing={"method": "fixed_fraction", "fraction": 1.0}, exits={"max_bars": 1})
    assert simulation.trades["position_size"].to_list() == [1000.0, 1000.0]
    assert simulation.trades["cumul_return_pct"].to_list() == pytest.approx([100.0, 100.0])


def test_a_limit_order_waits_for_its_price() -> None:
    """A limit 1 % below the deciding close of 100 is not met on bar 1 and is met on bar 2, inside the bar."""
    bars = [(100,) * 4, (100, 101, 99.5, 100), (100, 100, 98, 99), (99,) * 4]
    entry = {"order": "limit", "limit_percent": 1.0, "valid_bars": 2}
    assert trades(run(bars, [2, 0, 0, 0], entry=entry), "entry_bar", "entry_price") == [(2, 99.0)]
    assert run(bars, [2, 0, 0, 0], entry=entry | {"valid_bars": 1}).trades.height == 0


def test_a_limit_order_fills_at_a_better_open() -> None:
    """A bar that opens beyond the limit fills there."""
    entry = {"order": "limit", "limit_percent": 1.0}
    assert trades(run([(100,) * 4, (97,) * 4, (97,) * 4], [2, 0, 0], entry=entry), "entry_price") == [(97.0,)]


def test_a_target_counts_on_the_bar_of_a_limit_fill_only_by_its_close() -> None:
    """The High of 110 may be older than the fill at 99; a close beyond the target is not."""
    entry = {"order": "limit", "limit_percent": 1.0}
    exits = {"take_profit": {"percent": 5.0}}
    older = run([(100,) * 4, (100, 110, 98, 100), (100,) * 4], [2, 0, 0], entry=entry, exits=exits)
    assert trades(older, "exit_reason") == [("end_of_data",)]
    after = run([(100,) * 4, (100, 110, 98, 108), (108,) * 4], [2, 0, 0], entry=entry, exits=exits)
    assert trades(after, "exit_bar", "exit_price", "exit_reason") == [(1, pytest.approx(103.95), "take_profit")]


def test_a_trade_belongs_to_the_fold_that_decided_it_and_is_carried_over_the_edge() -> None:
    """Decided on the last bar of fold 0, filled on the first of fold 1, ended by fold 1's own threshold."""
    simulation = run(
        flat(10, 5), [0, 2, 0, -0.6, 0], fold=[0, 0, 1, 1, 1], short=[-1, -1, -0.5, -0.5, -0.5], exits={"opposite_threshold": True}
    )
    assert trades(simulation, "side", "fold", "exit_bar") == [("long", 0, 4), ("short", 1, 4)]


def test_an_entry_that_meets_a_bar_without_prices_lapses() -> None:
    """The order is not carried to a later bar; the next signal is a new decision."""
    simulation = run([(10,) * 4, (NAN,) * 4, (10,) * 4, (10,) * 4], [2, 0, 2, 0])
    assert trades(simulation, "decision_bar", "entry_bar") == [(2, 3)]


def test_an_exit_waits_for_the_next_open_there_is() -> None:
    """A decided exit is filled after the hole, and equity is marked at the last close meanwhile."""
    bars = [(10,) * 4, (10, 12, 10, 12), (NAN,) * 4, (15,) * 4, (15,) * 4]
    simulation = run(bars, [2, 0, 0, 0, 0], exits={"max_bars": 1})
    assert trades(simulation, "exit_bar", "exit_price") == [(3, 15.0)]
    assert simulation.equity.tolist() == [100_000, 100_002, 100_002, 100_005, 100_005]


def test_a_bar_with_some_prices_only_is_a_bar_without_prices() -> None:
    """Three prices of four cannot be traded on, and are counted."""
    simulation = run([(10,) * 4, (10, NAN, 10, 10), (10,) * 4, (10,) * 4], [2, 0, 0, 0])
    assert simulation.bars.incomplete == 1
    assert simulation.trades.height == 0


def test_a_few_prices_below_zero_are_missing_prices() -> None:
    """One bar of 200 is a mistake: nothing is filled there, and the rest is traded."""
    bars = flat(10, 200)
    bars[2] = (10, 10, -1, 10)
    simulation = run(bars, [0, 2] + [0] * 198)
    assert simulation.bars.incomplete == 1
    assert simulation.trades.height == 0


def test_a_loss_of_more_than_the_account_says_why() -> None:
    """A short that is marked at a price a hundred times too large names its bar, entry and the impossible price; a calm one is silent."""
    bars = [*flat(10, 4), (10, 10, 10, 1000), *flat(10, 2)]
    simulation = run(bars, [-2, 0, 0, 0, 0, 0, 0], sizing={"method": "fixed_units", "units": 5_000.0})
    doubts = {"price_jump": np.arange(7) == 4, "price_zero": np.arange(7) == 0}
    (warning,) = ruin_warnings(simulation, doubts)
    assert warning["code"] == "drawdown_over_100"
    assert "below zero at 1970-01-05 00:00, when a short of 5000 units entered at 10 was marked at 1000" in warning["message"]
    assert "(price_jump)" in warning["message"]
    assert ruin_warnings(run(flat(10, 7), [-2, 0, 0, 0, 0, 0, 0]), doubts) == []


def test_a_price_below_zero_is_refused() -> None:
    """Percentages have no meaning there; the error names the bar."""
    with pytest.raises(RefusedError, match="below zero") as caught:
        run([(10,) * 4, (1, 1, -1, 1)], [0, 0])
    assert caught.value.where["bar_time"] == 86_400


def test_a_price_of_zero_is_a_missing_price() -> None:
    """Old daily files write 0 if the open is unknown: nothing can be filled there."""
    simulation = run([(10,) * 4, (0, 10, 10, 10), (10,) * 4], [2, 0, 0])
    assert simulation.bars.incomplete == 1
    assert simulation.trades.height == 0


def test_no_bar_with_prices_is_refused() -> None:
    """There is nothing to simulate on."""
    with pytest.raises(RefusedError, match="has prices"):
        run([(NAN,) * 4] * 3, [0, 0, 0])


def test_a_ruined_account_enters_nothing_more() -> None:
    """A short that loses more than the capital ends the trading."""
    bars = [(100,) * 4, (100,) * 4, (300,) * 4, (300,) * 4, (300,) * 4]
    simulation = run(bars, [-2, 0, -2, 0, 0], sizing={"method": "fixed_amount", "amount": 100_000.0}, exits={"max_bars": 1})
    assert simulation.trades.height == 1
    assert simulation.equity[-1] == -100_000.0


def test_the_average_true_range_is_the_plain_mean_over_bars_with_prices() -> None:
    """Gaps count, a bar without prices repeats the value, and the first true range is High - Low."""
    highs, lows, closes = (np.array(v, dtype=np.float64) for v in ([11, 12, NAN, 20], [9, 10, NAN, 18], [10, 11, NAN, 19]))
    assert average_true_range(highs, lows, closes, 2).tolist() == pytest.approx([NAN, 2.0, 2.0, (2.0 + 9.0) / 2], nan_ok=True)


def test_a_frame_of_no_trades_has_the_columns_of_one_with_trades() -> None:
    """Nothing downstream needs a special case for an empty simulation."""
    empty, full = run(flat(10, 4), [0, 0, 0, 0]).trades, run(flat(10, 4), [2, 0, 0, 0]).trades
    assert empty.height == 0
    assert empty.schema == full.schema
    assert isinstance(empty, pl.DataFrame)


def test_a_bucket_of_a_one_sided_mode_has_the_drawdown_of_the_account() -> None:
    """Compounding, with costs: the long bucket in mode long and the summary name the same drawdown; the short bucket is empty."""
    bars = [(100,) * 4, (100,) * 4, (110,) * 4, (90,) * 4, (95,) * 4, (80,) * 4, (85,) * 4]
    settings = {"sizing": {"method": "fixed_fraction"}, "costs": {"commission_fraction": 0.01}, "exits": {"max_bars": 2}}
    simulation = run(bars, [2] * 7, mode="long", **settings)
    long, short = buckets_of(simulation)
    assert simulation.trades.height == 2
    assert long["max_drawdown_pct"] == pytest.approx(summary_of(simulation)["max_drawdown_pct"], rel=1e-12)
    assert (long["side"], long["trade_count"]) == ("long", 2)
    assert (short["trade_count"], short["profit_factor"], short["avg_return_pct"], short["max_drawdown_pct"]) == (0, None, None, None)


def test_the_summary_of_a_hand_worked_simulation() -> None:
    """Two trades of one unit, +10 and -5: every count and ratio as reckoned by hand."""
    bars = [(100,) * 4, (100,) * 4, (110,) * 4, (110,) * 4, (105,) * 4, (105,) * 4]
    summary = summary_of(run(bars, [2, 0, 2, 0, 0, 0], exits={"max_bars": 1}))
    expected = {
        "trade_count": 2,
        "win_count": 1,
        "win_rate": 0.5,
        "expectancy": 2.5,
        "total_pnl": 5.0,
        "profit_factor_trade": 2.0,
        "final_equity": 100_005.0,
        "exposure_pct": 100 * 2 / 6,
        "costs_paid": 0.0,
        "traded_value": 425.0,
        "max_drawdown_bars": 2,
        "exit_reasons": {"time": 2},
    }
    for name, value in expected.items():
        assert summary[name] == (pytest.approx(value) if isinstance(value, float) else value), name
    assert summary["max_drawdown_pct"] == pytest.approx(100 * 5 / 100_010)
    assert summary["buy_and_hold"]["total_return_pct"] == pytest.approx(5.0)
