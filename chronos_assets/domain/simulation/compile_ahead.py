"""Compiles what a simulation needs before one is made, on a hundred invented bars; `cli/compiling.py` runs it beside the training.

numba keeps compiled code by the types of the arguments, so each function is called once, on a hundred bars, as a simulation calls it.
What is compiled on disk already is only read.
"""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.accounting import check_marks
from chronos_assets.domain.simulation.engine import Signals, ranges_of, simulate
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.prices import price_bars
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.confidence_intervals import bootstrap_intervals
from chronos_assets.domain.statistics.returns import bar_returns
from chronos_assets.domain.statistics.signal_significance import Cases, FoldCases, signal_test

BARS = 100
DAY = 86_400
SEED = 1


def compile_ahead() -> None:
    """Compile, and keep on disk, every function of a simulation with its tests and checks."""
    rng = np.random.default_rng(SEED)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, BARS)))
    bars = price_bars(np.arange(BARS, dtype=np.int64) * DAY, closes, closes * 1.01, closes * 0.99, closes)
    rows, prediction, off = np.arange(BARS, dtype=np.int64), rng.normal(size=BARS), np.full(BARS, 1.0)
    signals = Signals(prediction, off, -off, np.zeros(BARS, dtype=np.int64))
    cases = Cases(rows, prediction, rng.normal(size=BARS))
    rules = rules_of(SimulationProfile(), "dual")
    # the largest first: who waits for the rest waits less
    trade_test(bars, signals, rules, lead=0, permutations=1, seed=SEED)
    simulation = simulate(bars, signals, rules)
    half = BARS // 2
    chosen, test = (Cases(cases.rows[part], prediction[part], cases.returns[part]) for part in (slice(half), slice(half, BARS)))
    signal_test([FoldCases(chosen, test)], ThresholdProfile(), horizon=1, permutations=1, seed=SEED)
    check_marks(simulation.trades, simulation.equity, bars.closes, rules)
    returns = bar_returns(simulation.equity)
    bootstrap_intervals(returns, 252.0, resamples=1, confidence=0.95, block_bars=None, seed=SEED)
    assert simulation.position.size == BARS
    ranges_of(bars, rules._replace(needs_atr=True))


if __name__ == "__main__":
    compile_ahead()
