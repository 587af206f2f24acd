"""The compiled loop against the rules written once more in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.profiles.simulation import MODES, SimulationProfile
from chronos_assets.domain.simulation.engine import Signals
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets_tests.domain.test_simulation_properties import markets, played, profiles
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
