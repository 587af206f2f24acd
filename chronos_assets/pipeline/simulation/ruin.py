"""Why an account lost more than it held: the position, the bar, and whether the prices there look impossible."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.simulation.engine import Simulation
from chronos_assets.domain.simulation.summary import filled_closes
from chronos_assets.domain.statistics.returns import drawdown_pct


def ruin_warnings(simulation: Simulation, doubts: Mapping[str, npt.NDArray[np.bool_]]) -> list[dict[str, str]]:
    """The warning of a drawdown of more than 100 %, if there is one. `doubts`: by code, which bars have impossible prices."""
    drawdown = float(drawdown_pct(simulation.equity, simulation.rules.capital).max(initial=0.0))
    below = np.flatnonzero(simulation.equity < 0.0)
    if drawdown <= 100.0 or not below.size:
        return []
    bar = int(below[0])
    said = (
        f"the drawdown is {drawdown:.5g} %: the account fell below zero at {_time(simulation, bar)}, {_position(simulation, bar)}; a short "
        "can lose more than its value, and no position is closed because the account is empty (a stop or a smaller size would bound it)"
    )
    wrong = [code for code, mask in doubts.items() if mask[max(0, bar - 1) : bar + 2].any()]
    if wrong:
        said += f"; prices there look impossible ({', '.join(wrong)}): mend them first"
    return [{"code": "drawdown_over_100", "message": said}]


def _position(simulation: Simulation, bar: int) -> str:
    """The trade that was open at `bar`, in words."""
    open_then = simulation.trades.filter((pl.col("entry_bar") <= bar) & (pl.col("exit_bar") >= bar)).tail(1).to_dicts()
    if not open_then:
        return "when no position was open"
    trade, mark = open_then[0], float(filled_closes(simulation.bars)[bar])
    held = f"a {trade['side']} of {trade['position_size']:.6g} units entered at {trade['entry_price']:.6g}"
    return f"when {held} was marked at {mark:.6g}"


def _time(simulation: Simulation, bar: int) -> str:
    return datetime.fromtimestamp(int(simulation.bars.times[bar]), tz=UTC).strftime("%Y-%m-%d %H:%M")
