"""Equal trades with backtesting.py, to 1e-9: long and short, reversals, stops and targets, gaps through both.

    .venv/bin/python -m benchmarks.simulation.oracle [--bars 4000] [--seeds 10]

Rules that both can express: one unit, market orders at the next open, reversal at the opposite threshold, a stop and a target in percent of
the fill. backtesting.py wants levels when the order is placed, so the harness hands it the next open. The position that is open at the
end is left out: backtesting.py closes it at the last open. Exit status 1 where any trade differs.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.simulation.market import random_market
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.simulation.engine import Signals, simulate
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.domain.simulation.rules import rules_of

STOP, TARGET, COMMISSION = 0.01, 0.015, 0.0005
PROFILE = SimulationProfile.model_validate(
    {
        "sizing": {"method": "fixed_units", "units": 1.0},
        "capital": 1e6,
        "costs": {"commission_fraction": COMMISSION},
        "exits": {
            "signal_decay": None,
            "sign_flip": False,
            "stop_loss": {"percent": 100 * STOP},
            "take_profit": {"percent": 100 * TARGET},
        },
    }
)


def peer_trades(bars: PriceBars, signals: Signals) -> pd.DataFrame:
    """The same rules in backtesting.py."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting import Backtest, Strategy

    following = np.r_[bars.opens[1:], np.nan]
    side = np.where(signals.prediction >= signals.long_threshold, 1, 0) - np.where(signals.prediction <= signals.short_threshold, 1, 0)

    class Thresholds(Strategy):
        def init(self) -> None:
            """No indicators: signals are given."""

        def next(self) -> None:
            t = len(self.data) - 1
            signal = side[t]
            held = 0 if not self.trades else (1 if self.trades[0].is_long else -1)
            if signal in (0, held) or t + 1 >= len(side):
                return
            for trade in self.trades:
                trade.close()
            fill = following[t]
            order = self.buy if signal > 0 else self.sell
            order(size=1, sl=fill - signal * fill * STOP, tp=fill + signal * fill * TARGET)

    frame = pd.DataFrame(
        {"Open": bars.opens, "High": bars.highs, "Low": bars.lows, "Close": bars.closes}, index=pd.to_datetime(bars.times, unit="s")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(frame, Thresholds, cash=1e6, commission=COMMISSION, margin=1.0, trade_on_close=False).run()
    return stats["_trades"].sort_values("EntryBar", kind="stable")


def compare(bars: PriceBars, signals: Signals) -> tuple[int, float, dict[str, int]]:
    """Trades compared, the largest relative difference of any number in them (infinite where bars or sides differ), and exits by reason."""
    signals.prediction[0] = 0.0  # backtesting.py decides nothing on the first bar
    ours = simulate(bars, signals, rules_of(PROFILE, "dual")).trades
    ours = ours.filter(pl.col("exit_reason") != "end_of_data")
    theirs = peer_trades(bars, signals).head(ours.height)
    reasons = dict(ours["exit_reason"].value_counts().iter_rows())
    whole = [
        (ours["entry_bar"], theirs["EntryBar"]),
        (ours["exit_bar"], theirs["ExitBar"]),
        ((ours["side"] == "long").cast(pl.Int64) * 2 - 1, np.sign(theirs["Size"])),
    ]
    if len(theirs) != ours.height or any(not np.array_equal(a.to_numpy(), np.asarray(b)) for a, b in whole):
        return ours.height, float("inf"), reasons
    raw = np.sign(theirs["Size"]) * (theirs["ExitPrice"] - theirs["EntryPrice"])
    pairs = [
        (ours["entry_price"], theirs["EntryPrice"]),
        (ours["exit_price"], theirs["ExitPrice"]),
        (ours["pnl"] + ours["costs"], raw),
        (ours["costs"], theirs["Commission"]),
    ]
    worst = max(float(np.max(np.abs(a.to_numpy() - np.asarray(b)) / np.maximum(1.0, np.abs(np.asarray(b))))) for a, b in pairs)
    return ours.height, worst, reasons


def main() -> int:
    """Compare `--seeds` markets of `--bars` bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    trades, worst, reasons = 0, 0.0, dict[str, int]()
    for seed in range(arguments.seeds):
        bars, signals = random_market(arguments.bars, seed=seed, threshold=1.5)
        count, difference, found = compare(bars, signals)
        trades, worst = trades + count, max(worst, difference)
        reasons = {name: reasons.get(name, 0) + found.get(name, 0) for name in reasons | found}
    print(
        f"{trades} trades on {arguments.seeds} markets of {arguments.bars} bars: largest relative difference {worst:.3g}; exits {reasons}"
    )
    return 0 if worst <= 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
