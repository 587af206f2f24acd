"""How fast a simulation is: against a bare numba loop without accounting, vectorbt and backtesting.py, in the same run.

    .venv/bin/python -m benchmarks.simulation.speed [--bars 1000000] [--repeats 7] [--peers]

All trade the same market: both sides, reversal at the opposite threshold, a stop and a target in percent, market orders at the next open.
The bare loop keeps nothing but the sum of price differences: no costs, no equity, no trades, no sizing. Compile times are shown
apart. The contenders take turns. `--peers` (needs `sync --group bench`) adds the two libraries, and 1,000 bootstraps and permutations of
5,000 bars.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numba
import numpy as np

from benchmarks.figures import Figure, add_json, at_most, note, report
from benchmarks.simulation.market import random_market
from benchmarks.simulation.noise import noise_folds
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation import kernel
from chronos_assets.domain.simulation.engine import Signals, simulate
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.confidence_intervals import bootstrap_intervals
from chronos_assets.domain.statistics.returns import bar_returns, bars_per_year
from chronos_assets.domain.statistics.signal_significance import signal_test

STOP, TARGET = 0.01, 0.015
PROFILE = SimulationProfile.model_validate(
    {
        "sizing": {"method": "fixed_units", "units": 1.0},
        "exits": {"signal_decay": None, "sign_flip": False, "stop_loss": {"percent": 100 * STOP}, "take_profit": {"percent": 100 * TARGET}},
    }
)


@numba.njit(cache=True)
def bare_loop(  # noqa: PLR0912, PLR0917 - one loop, its arrays by position
    opens: np.ndarray,
    highs: np.ndarray,
    lows: np.ndarray,
    prediction: np.ndarray,
    longs: np.ndarray,
    shorts: np.ndarray,
    closes: np.ndarray,
    stop_fraction: float,
    target_fraction: float,
) -> tuple[float, int]:
    """The same trades, and nothing kept of them but the sum of their price differences and their number."""
    total, count, side, order, fill, stop, target = 0.0, 0, 0, 0, 0.0, 0.0, 0.0
    n = opens.shape[0]
    for t in range(n):
        open_ = opens[t]
        if order != 0:
            if side != 0:
                total += side * (open_ - fill)
                count += 1
            side, fill, order = order, open_, 0
            stop, target = fill - side * fill * stop_fraction, fill + side * fill * target_fraction
        if side > 0:
            if lows[t] <= stop:
                total += min(open_, stop) - fill
                count, side = count + 1, 0
            elif highs[t] >= target:
                total += max(open_, target) - fill
                count, side = count + 1, 0
        elif side < 0:
            if highs[t] >= stop:
                total += fill - max(open_, stop)
                count, side = count + 1, 0
            elif lows[t] <= target:
                total += fill - min(open_, target)
                count, side = count + 1, 0
        if t < n - 1:
            if prediction[t] >= longs[t]:
                order = 1 if side <= 0 else 0
            elif prediction[t] <= shorts[t]:
                order = -1 if side >= 0 else 0
    if side != 0:
        total += side * (closes[n - 1] - fill)
        count += 1
    return total, count


def timed(functions: Sequence[Callable[[], Any]], repeats: int) -> list[tuple[float, float, Any]]:
    """(first call, median of the next, last result) of each; they take turns."""
    times: list[list[float]] = [[] for _ in functions]
    results: list[Any] = [None] * len(functions)
    for _ in range(1 + repeats):
        for index, function in enumerate(functions):
            started = time.perf_counter()
            results[index] = function()
            times[index].append(time.perf_counter() - started)
    return [(taken[0], statistics.median(taken[1:] or taken), result) for taken, result in zip(times, results, strict=True)]


def kernel_only(bars: PriceBars, signals: Signals) -> Callable[[], int]:
    """The compiled loop with all accounting, into arrays made beforehand."""
    n, rules = len(bars), rules_of(PROFILE, "dual")
    equity = np.empty(n)
    tables = kernel.trade_tables(n)
    prices = (bars.opens, bars.highs, bars.lows, bars.closes)
    given = (signals.prediction, signals.long_threshold, signals.short_threshold)
    return lambda: kernel.trade_bars(rules, *prices, *given, np.empty(0), equity, *tables)


def everything(bars: PriceBars, signals: Signals) -> int:
    """A simulation with all that it makes only where it is asked for."""
    simulation = simulate(bars, signals, rules_of(PROFILE, "dual"))
    assert len(simulation.position) == len(bars)
    return simulation.trades.height


def vectorbt_trades(bars: PriceBars, signals: Signals) -> Callable[[], int]:
    """The same signals in vectorbt: orders at the next open, stop and target in percent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt
    longs = np.r_[False, (signals.prediction >= signals.long_threshold)[:-1]]
    shorts = np.r_[False, (signals.prediction <= signals.short_threshold)[:-1]]

    def run() -> int:
        portfolio = vectorbt.Portfolio.from_signals(
            bars.closes,
            entries=longs,
            short_entries=shorts,
            price=bars.opens,
            open=bars.opens,
            high=bars.highs,
            low=bars.lows,
            sl_stop=STOP,
            tp_stop=TARGET,
            size=1.0,
            init_cash=1e7,
            upon_opposite_entry="reverse",
        )
        portfolio.value()
        return int(portfolio.trades.count())

    return run


def backtesting_trades(bars: PriceBars, signals: Signals) -> Callable[[], int]:
    """The same rules in backtesting.py, as the oracle runs them."""
    from benchmarks.simulation.oracle import peer_trades

    return lambda: len(peer_trades(bars, signals))


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    """Ours against the bare loop; a row per contender is told beside."""
    bars, signals = random_market(arguments.bars, seed=1)
    given = (signals.prediction, signals.long_threshold, signals.short_threshold)
    rules = rules_of(PROFILE, "dual")
    rows: dict[str, Callable[[], Any]] = {
        "bare numba loop, no accounting": lambda: bare_loop(bars.opens, bars.highs, bars.lows, *given, bars.closes, STOP, TARGET)[1],
        "chronos loop, all accounting": kernel_only(bars, signals),
        "chronos simulate()": lambda: len(simulate(bars, signals, rules).trade_index),
        "the same, trade frame and positions made": lambda: everything(bars, signals),
    }
    taken = dict(zip(rows, timed(list(rows.values()), arguments.repeats), strict=True))
    if arguments.peers:
        (taken["vectorbt from_signals"],) = timed([vectorbt_trades(bars, signals)], 3)
        (taken["backtesting.py"],) = timed([backtesting_trades(bars, signals)], 0)
    note(f"{arguments.bars:,} bars, dual, stop and target\n{'':<40}{'first s':>10}{'median s':>10}{'x bare':>9}{'trades':>10}")
    medians = {name: median for name, (_, median, _) in taken.items()}
    bare, _, ours, made = list(medians.values())[:4]
    for name, (first, median, trades) in taken.items():
        note(f"{name:<40}{first:>10.3f}{median:>10.4f}{median / bare:>9.2f}{trades:>10,}")
    yield at_most(f"simulate, {arguments.bars:,} bars / bare numba loop", ours / bare, 1.3, "")
    yield at_most("the same, trade frame and positions made", made / bare, 2.0, "")
    if arguments.peers:
        resampling()


def main() -> None:
    """Print the figures, and one row per contender and one per resampling beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peers", action="store_true")
    add_json(parser)
    arguments = parser.parse_args()
    report(figures(arguments), as_json=arguments.json)


def resampling() -> None:
    """1,000 bootstraps and 1,000 permutations of 5,000 bars."""
    bars, signals = random_market(5_000, seed=2)
    rules = rules_of(PROFILE, "dual")
    returns, year = bar_returns(simulate(bars, signals, rules).equity), bars_per_year(bars.times)
    folds = noise_folds(3, folds=208)
    settings = {"resamples": 1000, "confidence": 0.95, "block_bars": None, "seed": 7}
    cases: dict[str, Callable[[], Any]] = {
        "1,000 stationary bootstraps": lambda: bootstrap_intervals(returns, year, **settings),
        "trade test, 1,000 permutations": lambda: trade_test(bars, signals, rules, lead=0, permutations=1000, seed=7),
        "signal test, 1,000 x 208 folds": lambda: signal_test(folds, ThresholdProfile(), horizon=1, permutations=1000, seed=7),
    }
    note(f"\n5,000 bars\n{'':<40}{'first s':>10}{'median s':>10}")
    for name, function in cases.items():
        ((first, median, _),) = timed([function], 3)
        note(f"{name:<40}{first:>10.3f}{median:>10.4f}")


if __name__ == "__main__":
    main()
