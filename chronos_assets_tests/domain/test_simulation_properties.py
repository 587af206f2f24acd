"""What holds for a simulation on any price path: mirrors, costs, causality, accounting."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.profiles.simulation import MODES, SimulationProfile
from chronos_assets.domain.simulation.accounting import check_all, check_marks, mark_trades
from chronos_assets.domain.simulation.engine import Signals, Simulation, ranges_of, simulate
from chronos_assets.domain.simulation.prices import PriceBars, price_bars
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.simulation.summary import buckets_of, filled_closes, summary_of

OTHER_SIDE = {"long": "short", "short": "long"}


@st.composite
def markets(draw: st.DrawFn, *, holes: bool = True, seed_from: int = 0) -> tuple[PriceBars, Signals]:
    """Bars on a coarse grid of prices (levels and opens meet exactly), with jumps, holes, folds and switched-off thresholds."""
    n = draw(st.integers(3, 60))
    rng = np.random.default_rng(draw(st.integers(seed_from, 2**32 - 1)))
    jumps = rng.choice([0, 0, 0, 1], n) * rng.integers(-20, 21, n)
    closes = np.clip(100 + np.cumsum(rng.integers(-3, 4, n) + jumps), 40, 160).astype(float)
    opens = np.clip(np.r_[100, closes[:-1]] + rng.integers(-2, 3, n) + jumps // 2, 40, 160).astype(float)
    highs = np.maximum(opens, closes) + rng.integers(0, 4, n)
    lows = np.minimum(opens, closes) - rng.integers(0, 4, n)
    table = np.stack([opens, highs, lows, closes])
    if holes:
        table[:, rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
        table[:, 0] = 100.0
    prediction = np.where(rng.random(n) < 0.1, np.nan, np.round(rng.normal(0, 1, n), 1))
    fold = np.sort(rng.integers(0, 3, n))
    longs, shorts = rng.choice([0.0, 0.5, 1.0, np.nan], 3), rng.choice([0.0, -0.5, -1.0, np.nan], 3)
    bars = price_bars(np.arange(n, dtype=np.int64) * 3600, table[0], table[1], table[2], table[3])
    return bars, Signals(prediction, longs[fold], shorts[fold], fold.astype(np.int64))


def levels(*, percent: bool) -> st.SearchStrategy[dict[str, float] | None]:
    """No level, one in average true ranges, or one in percent."""
    kinds: list[st.SearchStrategy[Any]] = [st.none(), st.builds(lambda k: {"atr": k}, st.sampled_from([0.5, 1.0, 2.0]))]
    if percent:
        kinds.append(st.builds(lambda p: {"percent": p}, st.sampled_from([1.0, 2.0, 5.0])))
    return st.one_of(kinds)


@st.composite
def decided_exits(draw: st.DrawFn) -> dict[str, Any]:
    """Any combination of the exit rules that are decided at a close."""
    return {
        "opposite_threshold": draw(st.booleans()),
        "signal_decay": draw(st.sampled_from([None, 0.5, 1.0])),
        "sign_flip": draw(st.booleans()),
        "max_bars": draw(st.sampled_from([None, 1, 3])),
    }


@st.composite
def level_exits(draw: st.DrawFn, *, percent: bool) -> dict[str, Any]:
    """Any combination of levels, and of the pause after a stop."""
    names = ("stop_loss", "trailing_stop", "take_profit")
    return {name: draw(levels(percent=percent)) for name in names} | {"cooldown_bars": draw(st.integers(0, 3))}


@st.composite
def profiles(
    draw: st.DrawFn, *, percent: bool = True, costs: bool = True, fixed_units: bool = False, limit: bool = True
) -> SimulationProfile:
    """Any combination of rules."""
    methods = ["fixed_units"] if fixed_units else ["fixed_units", "fixed_amount", "fixed_fraction", "volatility"]
    fraction = st.sampled_from([0.0, 0.001, 0.01]) if costs else st.just(0.0)
    return SimulationProfile.model_validate(
        {
            "exits": draw(decided_exits()) | draw(level_exits(percent=percent)),
            "sizing": {"method": draw(st.sampled_from(methods)), "units": 10.0},
            "entry": {"order": draw(st.sampled_from(["market", "limit"] if limit else ["market"])), "valid_bars": draw(st.integers(1, 2))},
            "costs": {"commission_fraction": draw(fraction), "slippage_fraction": draw(fraction), "commission_fixed": draw(fraction)},
            "atr_bars": draw(st.integers(1, 5)),
        }
    )


def played(bars: PriceBars, signals: Signals, profile: SimulationProfile, mode: Any = "dual") -> Simulation:
    """Simulate one mode."""
    rules = rules_of(profile, mode)
    return simulate(bars, signals, rules, atr=ranges_of(bars, rules))


@settings(max_examples=150, deadline=None)
@given(markets(), profiles(), st.sampled_from(MODES))
def test_accounting_closes_for_any_price_path(market: tuple[PriceBars, Signals], profile: SimulationProfile, mode: str) -> None:
    """Trades sum to the change of equity, rebuild it bar by bar, do not overlap, and were decided before they were filled."""
    bars, signals = market
    result = played(bars, signals, profile, mode)
    equity = pl.DataFrame({"timestamp_unix": bars.times, "equity": result.equity})
    predictions = pl.DataFrame(
        {
            "timestamp_unix": bars.times,
            "prediction": pl.Series(signals.prediction).fill_nan(None),
            "long_threshold": pl.Series(signals.long_threshold).fill_nan(None),
            "short_threshold": pl.Series(signals.short_threshold).fill_nan(None),
        }
    )
    checks = check_all(result.trades, equity, predictions, profile.capital)
    checks.append(check_marks(result.trades, result.equity, filled_closes(bars), result.rules))
    assert [check.name for check in checks if not check.passed] == []
    assert result.position[-1] == 0.0
    summary = summary_of(result)
    assert summary["trade_count"] == result.trades.height == sum(bucket["trade_count"] for bucket in buckets_of(result))
    if mode != "dual":
        assert set(result.trades["side"]) <= {mode}


@settings(max_examples=150, deadline=None)
@given(markets(), profiles(percent=False, costs=False, fixed_units=True, limit=False))
def test_mirrored_prices_and_predictions_give_mirrored_trades(market: tuple[PriceBars, Signals], profile: SimulationProfile) -> None:
    """With p' = 2c - p, High and Low swapped, and predictions negated, every trade changes its side and keeps its pnl."""
    bars, signals = market
    mirrored = price_bars(bars.times, 200 - bars.opens, 200 - bars.lows, 200 - bars.highs, 200 - bars.closes)
    negated = Signals(-signals.prediction, -signals.short_threshold, -signals.long_threshold, signals.fold)
    left, right = played(bars, signals, profile).trades, played(mirrored, negated, profile).trades
    same = ["decision_bar", "entry_bar", "exit_bar", "exit_reason", "fold", "position_size"]
    assert left.select(same).equals(right.select(same))
    assert [OTHER_SIDE[side] for side in left["side"]] == right["side"].to_list()
    np.testing.assert_allclose(left["pnl"].to_numpy(), right["pnl"].to_numpy(), atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(markets(), profiles(fixed_units=True, costs=False), st.floats(0, 0.02), st.floats(0, 5))
def test_with_the_trades_held_fixed_costs_never_raise_the_return(
    market: tuple[PriceBars, Signals], profile: SimulationProfile, fraction: float, fixed: float
) -> None:
    """Fixed units take the same trades; every one of them, and the end, is worth no more with costs than without."""
    bars, signals = market
    costs = profile.costs.model_copy(update={"commission_fraction": fraction, "commission_fixed": fixed})
    free, paid = played(bars, signals, profile), played(bars, signals, profile.model_copy(update={"costs": costs}))
    same = ["decision_bar", "entry_bar", "exit_bar", "entry_price", "exit_price", "position_size"]
    assert free.trades.select(same).equals(paid.trades.select(same))
    assert (paid.trades["pnl"].to_numpy() <= free.trades["pnl"].to_numpy()).all()
    assert (paid.equity <= free.equity + 1e-9).all()


@settings(max_examples=150, deadline=None)
@given(markets(holes=False), profiles(), st.data())
def test_bars_after_an_exit_change_nothing_before_it(
    market: tuple[PriceBars, Signals], profile: SimulationProfile, data: st.DataObject
) -> None:
    """Whatever the later bars and predictions, the trades closed until then and the equity until then stay bit for bit."""
    bars, signals = market
    before = played(bars, signals, profile)
    closed = before.trades.filter(pl.col("exit_bar") < len(bars) - 1)
    if not closed.height:
        return
    last = int(closed["exit_bar"].to_numpy()[data.draw(st.integers(0, closed.height - 1))])
    later = np.arange(len(bars)) > last
    factor = np.where(later, data.draw(st.sampled_from([0.7, 1.5])), 1.0)
    moved = price_bars(bars.times, bars.opens * factor, bars.highs * factor, bars.lows * factor, bars.closes * factor)
    other = Signals(np.where(later, -signals.prediction, signals.prediction), signals.long_threshold, signals.short_threshold, signals.fold)
    after = played(moved, other, profile)
    kept = pl.col("exit_bar") <= last
    assert after.trades.filter(kept).equals(before.trades.filter(kept))
    np.testing.assert_array_equal(after.equity[: last + 1], before.equity[: last + 1])


@settings(max_examples=60, deadline=None)
@given(markets(), profiles())
def test_equity_rebuilt_from_half_the_trades_differs(market: tuple[PriceBars, Signals], profile: SimulationProfile) -> None:
    """The check of marks can fail: leave out a trade that moved money and it does."""
    bars, signals = market
    result = played(bars, signals, profile)
    moved = result.trades.filter(pl.col("pnl").abs() > 1e-3)
    if moved.height:
        fewer = result.trades.filter(pl.col("trade_no") != moved["trade_no"][0])
        assert not check_marks(fewer, result.equity, filled_closes(bars), result.rules).passed
        assert len(mark_trades(fewer, filled_closes(bars), result.rules)) == len(bars)
