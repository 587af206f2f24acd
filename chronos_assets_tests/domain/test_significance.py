"""p-values, intervals and overfitting: formulas, seeds, and uniformity on a small seeded sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.engine import Signals, simulate
from chronos_assets.domain.simulation.permutation import trade_test, volatility_block
from chronos_assets.domain.simulation.prices import PriceBars, price_bars
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.confidence_intervals import STATISTICS, bootstrap_intervals, resampled_statistics
from chronos_assets.domain.statistics.returns import bar_returns, bars_per_year, return_metrics
from chronos_assets.domain.statistics.signal_significance import Cases, FoldCases, best_cut, segments, signal_test
from chronos_assets.domain.statistics.significance import permutation_result, probability_of_overfitting
from chronos_assets.domain.thresholds import least_cases, optimal_cut


def noise_market(seed: int, n: int = 200) -> tuple[PriceBars, Signals]:
    """Bars whose changes are independent, and predictions that know nothing."""
    rng = np.random.default_rng(seed)
    gap, move = rng.normal(0, 0.002, n), rng.normal(0, 0.01, n)
    closes = 100 * np.exp(np.cumsum(gap + move))
    opens = closes / np.exp(move)
    highs = np.maximum(opens, closes) * np.exp(np.abs(rng.normal(0, 0.003, n)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(rng.normal(0, 0.003, n)))
    signals = Signals(rng.normal(size=n), np.full(n, 1.0), np.full(n, -1.0), np.zeros(n, dtype=np.int64))
    return price_bars(np.arange(n, dtype=np.int64) * 86_400, opens, highs, lows, closes), signals


def layout(folds: int, chosen: int, tested: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows that choose thresholds and rows of the test of each fold, as a rolling walk-forward lays them out: windows overlap."""
    starts = [k * tested for k in range(folds)]
    return [(np.arange(a, a + chosen), np.arange(a + chosen, a + chosen + tested)) for a in starts]


def folds_of(returns: np.ndarray, windows: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> list[FoldCases]:
    """Folds over one series of returns; each fold's predictions know nothing of them."""
    return [FoldCases(*(Cases(rows, rng.normal(size=len(rows)), returns[rows]) for rows in pair)) for pair in windows]


def noise_folds(seed: int, folds: int = 6) -> list[FoldCases]:
    """Six folds of 60 and 30 cases on one series of independent returns."""
    rng = np.random.default_rng(seed)
    return folds_of(rng.normal(size=60 + 30 * folds), layout(folds, 60, 30), rng)


def test_a_p_value_counts_the_result_itself() -> None:
    """(count + 1) / (n + 1), with ties counted against the result: never zero."""
    result = permutation_result(2.0, np.array([1.0, 2.0, 3.0]), seed=1)
    assert (result.count, result.p_value) == (2, 3 / 4)
    assert permutation_result(9.0, np.array([1.0, 2.0, 3.0]), seed=1).p_value == 1 / 4


def test_a_tie_within_rounding_counts() -> None:
    """The same sum added in another order is as good: always long has p = 1 in both tests, whatever the last bit says."""
    assert permutation_result(0.3, np.array([0.1 + 0.2 - 2e-16] * 3), seed=1).p_value == 1.0
    assert permutation_result(3e9, np.array([3e9 - 1.0]), seed=1).p_value == 1.0
    assert permutation_result(0.3, np.array([0.3 - 1e-6]), seed=1).p_value == 0.5
    rng = np.random.default_rng(2)
    returns = rng.normal(size=540)
    windows = layout(20, 60, 24)
    folds = [FoldCases(*(Cases(rows, 1 + rng.random(len(rows)), returns[rows]) for rows in pair)) for pair in windows]
    tested = signal_test(folds, ThresholdProfile(method="zero"), horizon=1, permutations=200, seed=3)
    assert tested is not None
    assert tested["long"].p_value == 1.0
    bars, signals = noise_market(5)
    always = Signals(np.full(200, 2.0), signals.long_threshold, signals.short_threshold, signals.fold)
    outcome = trade_test(bars, always, rules_of(SimulationProfile(), "long"), lead=0, permutations=200, seed=3)
    assert outcome is not None
    assert outcome.p_value == 1.0


def test_one_permutation_is_drawn_for_all_windows() -> None:
    """Folds that share all their bars and predictions give the p-value of one of them: permuted one by one they would average out."""
    rng = np.random.default_rng(11)
    returns = rng.normal(size=90)
    (one,) = folds_of(returns, layout(1, 60, 30), rng)
    single, many = (signal_test([one] * n, ThresholdProfile(), horizon=1, permutations=300, seed=4) for n in (1, 12))
    assert single is not None
    assert many is not None
    assert {name: r.count for name, r in single.items()} == {name: r.count for name, r in many.items()}


def test_segments_of_time_are_test_windows_long_enough_to_shuffle() -> None:
    """A test window is a segment; windows too short are joined, the time before is cut alike, and a rest joins its neighbour."""
    rows = np.arange(130 + 5 * 24)
    tests = [np.arange(130 + 24 * k, 154 + 24 * k) for k in range(5)]
    assert segments(rows, tests, least=10)[-6:].tolist() == [130, 154, 178, 202, 226, 250]
    assert segments(rows, tests, least=40).tolist() == [0, 50, 90, 130, 178, 250]
    assert segments(rows, tests, least=1000).tolist() == [0, 130, 250]
    assert segments(np.array([3, 4, 9, 10]), [np.array([9, 10])], least=1).tolist() == [0, 1, 2, 4]


def test_targets_that_overlap_move_in_blocks() -> None:
    """A horizon above 1 moves blocks of three horizons, and the result says so."""
    found = [signal_test(noise_folds(1), ThresholdProfile(), horizon=h, permutations=20, seed=7) for h in (1, 4)]
    assert [None if r is None else r["best"].block_bars for r in found] == [None, 12]


def clustered_market(seed: int, n: int = 600) -> tuple[PriceBars, Signals]:
    """Bars whose volatility comes in clusters (half-life about 23 bars), and predictions that know it and nothing else."""
    rng = np.random.default_rng(seed)
    level, levels = 0.0, np.empty(n)
    for t, shock in enumerate(0.6 * rng.normal(size=n)):
        level = shock if t == 0 else 0.97 * level + 0.2431 * shock
        levels[t] = level
    size = 0.006 * np.exp(levels)
    move = rng.normal(size=n) * size
    closes = 100 * np.exp(np.cumsum(move))
    opens = closes / np.exp(move)
    prediction = rng.normal(size=n) * size / 0.006
    signals = Signals(prediction, np.full(n, 1.5), np.full(n, -1.5), np.zeros(n, dtype=np.int64))
    highs, lows = np.maximum(opens, closes), np.minimum(opens, closes)
    return price_bars(np.arange(n, dtype=np.int64) * 3600, opens, highs, lows, closes), signals


def test_predictions_scaled_by_volatility_are_no_skill() -> None:
    """Of 300 seeded markets with clustered volatility, luck passes 5 % in 6.5 % at most; shuffled over all bars it would in 9 %."""
    rules = rules_of(SimulationProfile.model_validate({"exits": {"max_bars": 1}}), "long")
    results = []
    for seed in range(300):
        bars, signals = clustered_market(seed)
        results.append(trade_test(bars, signals, rules, lead=0, permutations=99, seed=seed))
    assert np.mean([r is not None and r.p_value <= 0.05 for r in results]) <= 0.065
    assert all(r is not None and r.block_bars is not None and 10 <= r.block_bars < 599 for r in results[:20])


def test_the_block_is_as_long_as_volatility_keeps_its_level() -> None:
    """About the half-life of clusters; all bars if there are none; a block that was asked for is taken."""
    bars, signals = clustered_market(3, 20_000)
    assert 10 <= volatility_block(np.diff(np.log(bars.closes))) <= 40
    assert volatility_block(np.random.default_rng(1).normal(size=5_000)) == 5_000
    assert volatility_block(np.zeros(500)) == 500
    rules = rules_of(SimulationProfile(), "dual")
    result = trade_test(bars, signals, rules, lead=0, permutations=2, seed=1, block_bars=77)
    assert result is not None
    assert result.block_bars == 77


def test_the_compiled_cut_is_the_cut_of_the_thresholds() -> None:
    """On random cases with ties and zeros both choose the same threshold on both sides."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        n = int(rng.integers(1, 40))
        predictions, returns = np.round(rng.normal(size=n), 1), np.round(rng.normal(size=n), 1)
        least = least_cases(n, 0.1)
        for sign in (1.0, -1.0):
            expected = optimal_cut(sign * predictions, sign * returns, 0.1)
            row = best_cut(predictions, returns, np.argsort(-sign * predictions, kind="stable"), least, sign)
            assert (None if row < 0 else sign * predictions[row]) == expected


def test_the_signal_test_finds_a_signal_that_is_there() -> None:
    """Returns that follow the predictions are beyond all permutations on both sides."""
    rng = np.random.default_rng(5)
    returns = rng.normal(size=240)
    folds = [
        FoldCases(*(Cases(rows, returns[rows] + rng.normal(size=len(rows)), returns[rows]) for rows in pair)) for pair in layout(6, 60, 30)
    ]
    result = signal_test(folds, ThresholdProfile(), horizon=1, permutations=99, seed=7)
    assert result is not None
    assert {name: r.p_value for name, r in result.items()} == {"long": 0.01, "short": 0.01, "best": 0.01}


def test_tests_are_the_same_again_with_the_same_seed() -> None:
    """A seed names the permutations; another seed gives others."""
    first, again, other = (signal_test(noise_folds(1), ThresholdProfile(), horizon=2, permutations=50, seed=seed) for seed in (7, 7, 8))
    assert first == again != other
    bars, signals = noise_market(1)
    rules = rules_of(SimulationProfile(), "dual")
    trades = [trade_test(bars, signals, rules, lead=0, permutations=50, seed=seed) for seed in (7, 7, 8)]
    assert trades[0] == trades[1] != trades[2]


@pytest.mark.parametrize("method", ["optimal", "percentile", "zero"])
def test_permuted_targets_keep_every_method_of_thresholds(method: str) -> None:
    """Thresholds that do not look at returns stay, the others are fitted again; a p-value comes out in any case."""
    result = signal_test(noise_folds(2), ThresholdProfile(method=method), horizon=1, permutations=30, seed=7)
    assert result is not None
    assert all(0 < r.p_value <= 1 for r in result.values())


def test_no_cases_and_no_permutations_are_no_test() -> None:
    """Nothing is invented where there is nothing to permute."""
    empty = FoldCases(Cases(np.arange(3), np.zeros(3), np.zeros(3)), Cases(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)))
    assert signal_test([empty], ThresholdProfile(), horizon=1, permutations=10, seed=1) is None
    assert signal_test(noise_folds(1), ThresholdProfile(), horizon=1, permutations=0, seed=1) is None
    bars, signals = noise_market(1)
    assert trade_test(bars, signals, rules_of(SimulationProfile(), "long"), lead=0, permutations=0, seed=1) is None


def test_the_trade_test_judges_the_simulation_itself() -> None:
    """Its statistic is the total return of the same rules on the bars as they are, also with a lead of bars before."""
    bars, signals = noise_market(4, 260)
    profile = SimulationProfile.model_validate({"exits": {"stop_loss": {"atr": 1.5}}, "atr_bars": 10})
    rules = rules_of(profile, "dual")
    lead = 40
    from chronos_assets.domain.simulation.engine import ranges_of

    simulation = simulate(bars.span(lead, 260), signals.span(lead, 260), rules, atr=ranges_of(bars, rules)[lead:])
    result = trade_test(bars, signals.span(lead, 260), rules, lead=lead, permutations=20, seed=7)
    assert result is not None
    assert result.statistic == pytest.approx(100 * (simulation.equity[-1] / 100_000 - 1), abs=1e-12)


def test_a_trader_who_knows_the_next_bar_beats_all_permutations() -> None:
    """Predictions that are the next bar's move are worth nothing on shuffled bars."""
    bars, signals = noise_market(6)
    move = np.r_[np.log(bars.closes[1:] / bars.opens[1:]), 0.0]
    knowing = Signals(100 * move, signals.long_threshold, signals.short_threshold, signals.fold)
    profile = SimulationProfile.model_validate({"exits": {"max_bars": 1}})
    result = trade_test(bars, knowing, rules_of(profile, "dual"), lead=0, permutations=99, seed=7)
    assert result is not None
    assert result.p_value == 0.01


def test_p_values_on_noise_are_uniform_in_a_small_sample() -> None:
    """Forty seeded markets and runs of pure noise; the long campaign with 300 is among the benchmarks."""
    profile = SimulationProfile.model_validate({"exits": {"stop_loss": {"percent": 2.0}}, "sizing": {"method": "fixed_amount"}})
    trade, signal = [], []
    for seed in range(40):
        bars, signals = noise_market(seed)
        outcome = trade_test(bars, signals, rules_of(profile, "dual"), lead=0, permutations=99, seed=seed)
        tested = signal_test(noise_folds(seed), ThresholdProfile(method="percentile"), horizon=1, permutations=99, seed=seed)
        assert outcome is not None
        assert tested is not None
        trade.append(outcome.p_value)
        signal.append(tested["best"].p_value)
    assert stats.kstest(trade, "uniform").pvalue > 0.01
    assert stats.kstest(signal, "uniform").pvalue > 0.01


def test_statistics_of_a_resample_are_those_of_the_returns() -> None:
    """The compiled statistics equal the metrics of the same path."""
    rng = np.random.default_rng(8)
    equity, times = 100_000 * np.cumprod(np.r_[1.0, 1 + rng.normal(0.001, 0.01, 300)]), np.arange(301, dtype=np.int64) * 86_400
    metrics, returns, year = return_metrics(equity, times, 100_000.0), bar_returns(equity), bars_per_year(times)
    assert returns is not None
    found = dict(zip(STATISTICS, resampled_statistics(returns, year), strict=True))
    assert found == pytest.approx({name: getattr(metrics, name) for name in STATISTICS}, rel=1e-9)


def test_intervals_are_those_of_arch() -> None:
    """Percentile intervals of arch's stationary bootstrap, with the same seed and block."""
    from arch.bootstrap import StationaryBootstrap

    returns = np.random.default_rng(9).normal(0.001, 0.01, 250)
    ours = bootstrap_intervals(returns, 252.0, resamples=300, confidence=0.9, block_bars=5.0, seed=7)
    bootstrap = StationaryBootstrap(5, returns, seed=np.random.default_rng(7))
    low, high = bootstrap.conf_int(resampled_statistics, 300, method="percentile", size=0.9, extra_kwargs={"per_year": 252.0})
    assert ours is not None
    for k, name in enumerate(STATISTICS):
        assert ours[name] == pytest.approx({"low": low[k], "high": high[k]}, rel=1e-9)
    assert (ours["seed"], ours["resamples"], ours["block_bars"]) == (7, 300, 5.0)


def test_an_interval_that_reaches_infinity_has_no_bound_there() -> None:
    """Almost no losses: many resamples have none, and the upper bound of the profit factor is left open."""
    returns = np.r_[np.full(60, 0.01), -0.001]
    found = bootstrap_intervals(returns, 252.0, resamples=200, confidence=0.95, block_bars=1.0, seed=7)
    assert found is not None
    assert found["profit_factor_bar"]["high"] is None
    assert found["total_return_pct"]["high"] is not None


def test_nothing_to_resample_is_no_interval() -> None:
    """No returns, no variation or no resamples."""
    assert bootstrap_intervals(None, 252.0, resamples=10, confidence=0.95, block_bars=None, seed=1) is None
    assert bootstrap_intervals(np.zeros(50), 252.0, resamples=10, confidence=0.95, block_bars=None, seed=1) is None
    assert bootstrap_intervals(np.arange(50.0), 252.0, resamples=0, confidence=0.95, block_bars=None, seed=1) is None


def test_overfitting_is_likely_on_noise_and_unlikely_with_one_good_trial() -> None:
    """Half the time on noise, almost never where one trial is truly better."""
    rng = np.random.default_rng(12)
    noise = np.mean([probability_of_overfitting(rng.normal(size=(400, 8)), splits=6) or 0.0 for _ in range(30)])
    assert 0.3 < noise < 0.75
    good = rng.normal(size=(400, 8))
    good[:, 3] += 0.4
    assert probability_of_overfitting(good, splits=6) == 0.0
    assert probability_of_overfitting(good[:, :1], splits=6) is None
    with pytest.raises(ValueError, match="even"):
        probability_of_overfitting(good, splits=5)
