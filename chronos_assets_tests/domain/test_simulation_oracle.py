"""The compiled loop against the rules written once more in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.profiles.simulation import EXIT_REASONS, MODES, Exits, SimulationProfile
from chronos_assets.domain.simulation.engine import Signals
from chronos_assets.domain.simulation.exits import decided_exit, decision_bounds, exit_rules, last_free_bar, may_decide
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets_tests.domain.test_simulation_properties import decided_exits, markets, played, profiles
from chronos_assets_tests.support.simulation_oracle import Replay

WHOLE = (
    ("decision_bar", "decision_bar"),
    ("entry_bar", "entry_bar"),
    ("exit_bar", "exit_bar"),
    ("side", "side"),
    ("exit_reason", "reason"),
)
NUMBERS = (
    ("entry_price", "entry_price"),
    ("exit_price", "exit_price"),
    ("position_size", "units"),
    ("pnl", "pnl"),
    ("costs", "costs"),
    ("cumul_return_pct", "cumul_return_pct"),
    ("entry_signal", "entry_signal"),
    ("exit_signal", "exit_signal"),
)


def agree(bars: PriceBars, signals: Signals, profile: SimulationProfile, mode: Any) -> int:
    """Compare every field of every trade, the equity and the position of every bar; returns the number of trades."""
    ours = played(bars, signals, profile, mode)
    rows = list(zip(*(column.tolist() for column in (bars.opens, bars.highs, bars.lows, bars.closes)), strict=True))
    given_ = (signals.prediction.tolist(), signals.long_threshold.tolist(), signals.short_threshold.tolist())
    theirs = Replay(rows, *given_, profile.model_dump(mode="json"), mode).run()
    for column, field in WHOLE:
        assert ours.trades[column].to_list() == [getattr(trade, field) for trade in theirs.trades], column
    for column, field in NUMBERS:
        np.testing.assert_allclose(
            ours.trades[column].to_numpy(), [getattr(trade, field) for trade in theirs.trades], rtol=1e-9, atol=1e-6, err_msg=column
        )
    np.testing.assert_allclose(ours.equity, theirs.equity, rtol=1e-9)
    held = np.zeros(len(bars))
    for trade in theirs.trades:
        held[trade.entry_bar : trade.exit_bar] = trade.sign * trade.units
    np.testing.assert_allclose(ours.position, held, rtol=1e-9)
    return len(theirs.trades)


@settings(max_examples=600, deadline=None)
@given(markets(), profiles(), st.sampled_from(MODES))
def test_every_trade_is_the_one_that_the_written_rules_ask_for(
    market: tuple[PriceBars, Signals], profile: SimulationProfile, mode: str
) -> None:
    """Every field of each trade and the equity of each bar equal those of a replay in plain Python."""
    agree(*market, profile, mode)


SIGNALS = st.sampled_from([-1.5, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 1.5, float("nan")])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_no_bar_is_passed_over_on_which_a_rule_decides(data: st.DataObject) -> None:
    """Wherever `decided_exit` gives a reason other than time, `may_decide` stops the loop; time stops it by itself."""
    exits = Exits.model_validate(data.draw(decided_exits()))
    rules, side = exit_rules(exits), data.draw(st.sampled_from([1.0, -1.0]))
    p, entered, long, short = (data.draw(SIGNALS) for _ in range(4))
    held = data.draw(st.integers(1, 5))
    signal = float(p >= long) - float(p <= short)
    reason = EXIT_REASONS[decided_exit(rules, side, signal, p, entered, held)]
    stops = may_decide(rules, side, p, short if side > 0 else long, decision_bounds(rules, entered))
    if reason == "time":
        assert last_free_bar(rules, 10, 100) <= 10 + held - 1
    elif reason != "none":
        assert stops
