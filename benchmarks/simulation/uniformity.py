"""p-values of both tests on pure noise are uniform: Kolmogorov-Smirnov over seeded runs.

    .venv/bin/python -m benchmarks.simulation.uniformity [--runs 300] [--permutations 199]

Each run draws a market of independent bars and predictions that know nothing, and folds whose predictions know nothing of their targets
(overlapping targets of horizon 3 in one case: they are permuted in blocks). Exit status 1 where a KS p-value is below 0.01.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from scipy import stats

from benchmarks.simulation.market import random_market
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.signal_significance import FoldCases, signal_test

LEAST_P = 0.01
TRADE_CASES = {
    "trade test, dual, stops, costs, compounding": (
        "dual",
        {"exits": {"stop_loss": {"percent": 1.0}}, "costs": {"commission_fraction": 0.0005}},
    ),
    "trade test, long, ATR levels": ("long", {"exits": {"trailing_stop": {"atr": 2.0}, "take_profit": {"atr": 3.0}}, "atr_bars": 10}),
    "trade test, short, limit orders": ("short", {"entry": {"order": "limit", "limit_percent": 0.1, "valid_bars": 2}}),
}
SIGNAL_CASES = {
    "signal test, optimal thresholds": ("optimal", 1),
    "signal test, percentile thresholds": ("percentile", 1),
    "signal test, horizon 3 in blocks": ("percentile", 3),
}


def noise_folds(seed: int, horizon: int) -> list[FoldCases]:
    """Ten folds of 130 validation and 24 test cases; with a horizon, targets are sums of overlapping changes in blocks of their own."""
    rng = np.random.default_rng(seed)

    def targets(n: int) -> np.ndarray:
        return np.repeat(rng.normal(size=-(-n // horizon)), horizon)[:n] + 0.3 * rng.normal(size=n)

    return [FoldCases(rng.normal(size=132), targets(132), rng.normal(size=24), targets(24)) for _ in range(10)]


def main() -> int:
    """Print a row per case and say whether all are uniform."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--permutations", type=int, default=199)
    arguments = parser.parse_args()
    started, least = time.perf_counter(), 1.0
    print(f"{'case':<48}{'runs':>6}{'KS':>8}{'p':>8}{'below 0.05':>12}")
    columns: dict[str, list[float]] = {name: [] for name in TRADE_CASES}
    columns |= {f"{name}, {side}": [] for name in SIGNAL_CASES for side in ("long", "short", "best")}
    for seed in range(arguments.runs):
        bars, signals = random_market(400, seed=seed, threshold=1.0, pull=0.0)
        for name, (mode, settings) in TRADE_CASES.items():
            rules = rules_of(SimulationProfile.model_validate(settings), mode)
            outcome = trade_test(bars, signals, rules, lead=0, permutations=arguments.permutations, seed=seed)
            assert outcome is not None
            columns[name].append(outcome.p_value)
        for name, (method, horizon) in SIGNAL_CASES.items():
            profile = ThresholdProfile.model_validate({"method": method})
            found = signal_test(noise_folds(seed, horizon), profile, horizon=horizon, permutations=arguments.permutations, seed=seed)
            assert found is not None
            for side, result in found.items():
                columns[f"{name}, {side}"].append(result.p_value)
    for name, values in columns.items():
        test = stats.kstest(values, "uniform")
        least = min(least, test.pvalue)
        print(f"{name:<48}{len(values):>6}{test.statistic:>8.3f}{test.pvalue:>8.3f}{np.mean(np.array(values) <= 0.05):>12.3f}")
    print(f"{time.perf_counter() - started:.1f} s")
    return 0 if least >= LEAST_P else 1


if __name__ == "__main__":
    sys.exit(main())
