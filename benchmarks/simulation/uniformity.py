"""Sizes of every test on pure noise: how often luck passes 1 and 5 %, with binomial bounds, and the Kolmogorov-Smirnov distance.

    nice .venv/bin/python -m benchmarks.simulation.uniformity [--runs 600] [--permutations 199] [--only WORD] [--workers 1]

Each case draws `--runs` seeded worlds without skill (`benchmarks.simulation.noise`) and asks one test:

- signal test: 20 folds, 130 validation rows, tests of 24; windows overlap. Also with volatility that predictions know, and with targets
  that overlap by a horizon while predictions persist.
- trade test: independent bars under several rules, and clustered volatility with predictions scaled by it.
- deflated Sharpe ratio of the best of 12 correlated trials: "passes" above 0.95 (and 0.99) count. Hansen's test of the same trials.
- thresholds: the share of folds in which a side switches on, by `min_fraction` (no limit; the documentation states it).

A case fails if its size at 5 % is beyond its limits; with fewer than 600 runs only if the 99 % binomial bounds exclude them. Exit status 1
if any case fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from benchmarks.simulation.market import random_market
from benchmarks.simulation.noise import clustered_market, noise_folds, noise_trials
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.deflation import chance_among, deflated_sharpe
from chronos_assets.domain.statistics.signal_significance import BLOCK_HORIZONS, signal_test
from chronos_assets.domain.statistics.significance import probability_of_overfitting, superior_ability
from chronos_assets.domain.statistics.trials import Signals, trial_of
from chronos_assets.domain.thresholds import choose_thresholds

FULL_RUNS = 600
SIZED = (0.035, 0.065)
NO_MORE = (0.0, 0.065)
DEFLATED = (0.0, 0.06)
Values = dict[str, float]


@dataclass(frozen=True)
class Case:
    """A test on one kind of noise: `values(seed, permutations)` gives p-values by column; sizes at 5 % lie within `limits`."""

    name: str
    values: Callable[[int, int], Values]
    limits: tuple[float, float] | None = NO_MORE


def signal_values(seed: int, permutations: int, *, method: str = "optimal", horizon: int = 1, **noise: float | bool) -> Values:
    """p-values of the signal test, by side."""
    folds = noise_folds(seed, horizon=horizon, **noise)  # type: ignore[arg-type]
    found = signal_test(folds, ThresholdProfile.model_validate({"method": method}), horizon=horizon, permutations=permutations, seed=seed)
    assert found is not None
    return {side: result.p_value for side, result in found.items()}


def trade_values(seed: int, permutations: int, *, mode: str, clustered: bool = False, **settings: object) -> Values:
    """p-value of the trade test."""
    bars, signals = clustered_market(1_000, seed=seed) if clustered else random_market(400, seed=seed, threshold=1.0, pull=0.0)
    rules = rules_of(SimulationProfile.model_validate(settings), mode)  # type: ignore[arg-type]
    found = trade_test(bars, signals, rules, lead=0, permutations=permutations, seed=seed)
    assert found is not None
    return {"": found.p_value}


def trial_values(seed: int, _: int, *, horizon: int, correlation: float) -> Values:
    """One less the deflated probability of the best of 12 trials, and their probability of overfitting."""
    made = noise_trials(seed, horizon=horizon, correlation=correlation)
    trials = [trial_of(one, horizon=horizon, interval_seconds=3600) for one in made]
    best = int(np.argmax([trial.sharpe for trial in trials]))
    found = deflated_sharpe(made[best].returns, trials[best].effective_signals, chance_among(trials))
    assert found is not None
    overfitting = probability_of_overfitting(_table(made))
    assert overfitting is not None
    return {"deflated, best of 12": 1.0 - found.probability, "mean PBO": overfitting}


def superior_values(seed: int, permutations: int, *, horizon: int) -> Values:
    """Hansen's p-value of 12 trials whose correlation is 0.5."""
    made = noise_trials(seed, horizon=horizon, correlation=0.5)
    found = superior_ability(_table(made), block_rows=BLOCK_HORIZONS * horizon, resamples=permutations, seed=seed)
    assert found is not None
    return {"": found}


def _table(made: Sequence[Signals]) -> np.ndarray:
    """Signal returns by bar and trial."""
    return np.column_stack([np.bincount(one.rows, weights=one.returns, minlength=1_500) for one in made])


def threshold_values(seed: int, _: int, *, min_fraction: float) -> Values:
    """Shares of folds in which a side is on, its median cases, and its median profit factor on the cases that chose it."""
    profile = ThresholdProfile(min_fraction=min_fraction)
    on, cases, factors = [], [], []
    for fold in noise_folds(seed):
        chosen = choose_thresholds(fold.chosen.predictions, fold.chosen.returns, profile)
        on.append(chosen.long is not None)
        if chosen.long is not None:
            taken = fold.chosen.returns[fold.chosen.predictions >= chosen.long]
            cases.append(len(taken))
            losses = -taken[taken < 0].sum()
            factors.append(taken[taken > 0].sum() / losses if losses else np.inf)
    return {"long on": float(np.mean(on)), "cases": float(np.median(cases)), "profit factor": float(np.median(factors))}


STOPS = {"exits": {"stop_loss": {"percent": 1.0}}, "costs": {"commission_fraction": 0.0005}}
ATR = {"exits": {"trailing_stop": {"atr": 2.0}, "take_profit": {"atr": 3.0}}, "atr_bars": 10}
LIMIT = {"entry": {"order": "limit", "limit_percent": 0.1, "valid_bars": 2}}
CASES = (
    Case("signal, optimal", signal_values, SIZED),
    Case("signal, percentile", partial(signal_values, method="percentile"), SIZED),
    Case("signal, predictions that know volatility", partial(signal_values, persistence=0.95, clustered=True)),
    Case("signal, horizon 5, predictions persist", partial(signal_values, horizon=5, persistence=0.95)),
    Case("trade, dual, stops, costs, compounding", partial(trade_values, mode="dual", **STOPS)),
    Case("trade, long, ATR levels", partial(trade_values, mode="long", **ATR)),
    Case("trade, short, limit orders", partial(trade_values, mode="short", **LIMIT)),
    Case("trade, dual, predictions that know volatility", partial(trade_values, mode="dual", clustered=True)),
    Case("trade, long, predictions that know volatility", partial(trade_values, mode="long", clustered=True, exits={"max_bars": 1})),
    *(
        Case(f"trials, horizon {horizon}, correlation {correlation}", partial(trial_values, horizon=horizon, correlation=correlation), None)
        for horizon in (5, 10)
        for correlation in (0.0, 0.5, 0.9, 0.99)
    ),
    *(Case(f"SPA, horizon {horizon}", partial(superior_values, horizon=horizon)) for horizon in (1, 5)),
    *(Case(f"thresholds, min_fraction {share}", partial(threshold_values, min_fraction=share), None) for share in (0.05, 0.1, 0.2)),
)


def main() -> int:
    """Print a row per case and column, and say whether all sizes are within their limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=FULL_RUNS)
    parser.add_argument("--permutations", type=int, default=199)
    parser.add_argument("--only", default="", help="Only cases whose name holds this.")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    started, failed = time.perf_counter(), False
    print(f"{'case':<64}{'runs':>6}{'1 %':>8}{'5 %':>8}{'99 % bounds':>16}{'KS p':>8}")
    with ProcessPoolExecutor(arguments.workers) as pool:
        for case in CASES:
            if arguments.only in case.name:
                rows = list(pool.map(_Ask(case.values, arguments.permutations), range(arguments.runs), chunksize=25))
                for column in rows[0]:
                    failed |= not _show(case, column, np.array([row[column] for row in rows]))
    print(f"{time.perf_counter() - started:.1f} s")
    return 1 if failed else 0


@dataclass(frozen=True)
class _Ask:
    """One call in a worker: a seed in, values out."""

    values: Callable[[int, int], Values]
    permutations: int

    def __call__(self, seed: int) -> Values:
        return self.values(seed, self.permutations)


def _show(case: Case, column: str, values: np.ndarray) -> bool:
    """Print one row; whether the size at 5 % is within the limits."""
    limits = DEFLATED if column.startswith("deflated") else case.limits
    name = f"{case.name}, {column}" if column else case.name
    if limits is None:
        print(f"{name:<64}{len(values):>6}{'mean':>8}{values.mean():>8.3f}", flush=True)
        return True
    passed = int((values <= 0.05).sum())
    bounds = stats.binomtest(passed, len(values)).proportion_ci(0.99)
    share = passed / len(values)
    within = limits[0] <= share <= limits[1] if len(values) >= FULL_RUNS else bounds.low <= limits[1] and bounds.high >= limits[0]
    ks = f"{stats.kstest(values, 'uniform').pvalue:>8.3f}" if not column.startswith("deflated") else f"{'':>8}"
    print(
        f"{name:<64}{len(values):>6}{np.mean(values <= 0.01):>8.3f}{share:>8.3f}{f'{bounds.low:.3f}-{bounds.high:.3f}':>16}{ks}"
        f"{'' if within else '  BEYOND ' + str(limits)}",
        flush=True,
    )
    return within


if __name__ == "__main__":
    sys.exit(main())
