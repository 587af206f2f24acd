"""Deflation: effective observations, trials that are nearly the same, and the winner of many trials on noise."""

from __future__ import annotations

import numpy as np
import pytest

from chronos_assets.domain.statistics.deflation import Chance, best_of_chance, chance_among, deflated_sharpe
from chronos_assets.domain.statistics.significance import holm, probability_of_overfitting, superior_ability
from chronos_assets.domain.statistics.trials import (
    MOST_BUCKETS,
    Signals,
    Trial,
    clusters,
    effective_bars,
    effective_signals,
    sharpe_per_signal,
    trial_of,
)

HOUR = 3600


def signals(rows: np.ndarray, signs: np.ndarray, returns: np.ndarray) -> Signals:
    return Signals(rows * HOUR, rows, signs, returns)


def noise_trials(seed: int, *, horizon: int, correlation: float, trials: int = 8, bars: int = 600) -> list[Signals]:
    """Runs without skill on the same bars: targets overlap by the horizon, predictions persist and are alike."""
    rng = np.random.default_rng(seed)
    sums = np.concatenate([[0.0], np.cumsum(rng.normal(size=bars + horizon))])
    targets = sums[horizon : horizon + bars] - sums[:bars]
    smooth = np.ones(10) / np.sqrt(10)

    def predictions() -> np.ndarray:
        return np.convolve(rng.normal(size=bars + 9), smooth, mode="valid")

    common, found = predictions(), []
    for _ in range(trials):
        value = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * predictions()
        rows = np.flatnonzero(np.abs(value) >= 1.0)
        found.append(signals(rows, np.sign(value[rows]), np.sign(value[rows]) * targets[rows]))
    return found


def test_signals_of_one_side_on_every_bar_are_worth_bars_over_horizon() -> None:
    """Overlap costs observations; without it, or with sides that take turns, each signal counts, and never more than one."""
    rows, ones = np.arange(1000), np.ones(1000)
    assert effective_signals(rows, ones, 1) == 1000
    assert effective_signals(rows, ones, 10) == pytest.approx(100, rel=0.01)
    assert effective_signals(rows * 10, ones, 10) == 1000
    assert effective_signals(rows, np.where(rows % 2, 1.0, -1.0), 10) == 1000
    assert effective_signals(rows[:0], ones[:0], 10) == 0


def test_effective_signals_are_what_the_variance_of_their_sum_says() -> None:
    """Against 4,000 simulated sums of overlapping targets, for signals of both sides at chosen bars."""
    rng = np.random.default_rng(1)
    rows = np.flatnonzero(rng.random(200) < 0.5)
    signs = np.sign(np.convolve(rng.normal(size=219), np.ones(20), mode="valid"))[rows]
    horizon = 7
    returns = rng.normal(size=(4000, 200 + horizon))
    sums = np.cumsum(np.pad(returns, ((0, 0), (1, 0))), axis=1)
    targets = (sums[:, horizon:] - sums[:, :-horizon])[:, rows]
    variance = float(np.var((signs * targets).sum(axis=1))) / horizon
    assert effective_signals(rows, signs, horizon) == pytest.approx(len(rows) ** 2 / variance, rel=0.08)


def test_bars_whose_returns_follow_each_other_count_less() -> None:
    """Newey and West: white noise counts in full, a moving sum counts for a fraction, and reversals do not count double."""
    noise = np.random.default_rng(2).normal(size=5000)
    assert effective_bars(noise) > 4000
    assert effective_bars(np.convolve(noise, np.ones(5), mode="valid")) < 1600
    assert effective_bars(np.diff(noise)) == 4999
    assert effective_bars(np.zeros(10)) == 10


def test_returns_that_differ_by_rounding_have_no_sharpe_ratio() -> None:
    """0.1 + 0.2 is no variation of 0.3: such returns gave a Sharpe ratio of 1e16."""
    assert sharpe_per_signal(np.array([0.3, 0.1 + 0.2, 0.3])) == 0.0
    assert sharpe_per_signal(np.array([0.1])) == 0.0
    assert deflated_sharpe(np.array([0.3, 0.1 + 0.2] * 20), 40, Chance(0.0, 1, 1)) is None


def test_a_trial_fits_into_a_few_buckets_whatever_its_length() -> None:
    """Sums are kept, their times are multiples of the width, and a run without signals is a trial too."""
    rows = np.arange(0, 100_000, 3)
    trial = trial_of(signals(rows, np.ones(len(rows)), np.ones(len(rows))), horizon=1, interval_seconds=HOUR)
    assert len(trial.sums) <= MOST_BUCKETS
    assert sum(trial.sums) == len(rows)
    assert trial.width_seconds % HOUR == 0
    empty = trial_of(signals(rows[:0], np.ones(0), np.ones(0)), horizon=1, interval_seconds=HOUR)
    assert (empty.signals, empty.t_statistic, empty.sums) == (0, 0.0, ())


def test_trials_that_are_nearly_the_same_are_one() -> None:
    """Copies fall into one cluster, also on other bucket widths; independent ones and a run without signals stand by themselves."""
    rng = np.random.default_rng(3)
    rows = np.arange(400)
    first, second = rng.normal(size=400), rng.normal(size=400)
    one = trial_of(signals(rows, np.ones(400), first), horizon=1, interval_seconds=HOUR)
    wider = Trial(one.signals, one.effective_signals, one.sharpe, 2 * HOUR, 0, tuple(first.reshape(-1, 2).sum(axis=1).tolist()))
    other = trial_of(signals(rows, np.ones(400), second), horizon=1, interval_seconds=HOUR)
    empty = Trial(0, 0.0, 0.0, HOUR, 0, ())
    labels = clusters([one, wider, other, empty])
    assert labels[0] == labels[1]
    assert len(set(labels.tolist())) == 3
    assert clusters([]).tolist() == []
    assert clusters([empty]).tolist() == [0]


def test_more_trials_expect_more_of_chance() -> None:
    """The best of more trials with the same spread is greater; copies of one trial do not hide how far the others differ."""
    values = np.random.default_rng(4).normal(size=40)
    assert best_of_chance(values.tolist(), np.arange(40)) < best_of_chance(np.tile(values, 5).tolist(), np.arange(200))
    assert best_of_chance([1.5], np.arange(1)) == 0.0
    assert best_of_chance([], np.arange(0)) == 0.0
    copies = [2.0] * 60 + [0.0, -2.0]
    labels = np.array([0] * 60 + [1, 2])
    assert best_of_chance(copies, labels) == pytest.approx(best_of_chance([2.0, 0.0, -2.0], np.arange(3)))


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_winner_on_noise_is_no_discovery(correlation: float) -> None:
    """Of 250 sweeps without skill at horizon 10, the winner passes 0.95 in 6 % at most; by the plain count it would in a fifth."""
    passed, plain = [], []
    for seed in range(250):
        made = noise_trials(seed, horizon=10, correlation=correlation)
        trials = [trial_of(one, horizon=10, interval_seconds=HOUR) for one in made]
        best = int(np.argmax([trial.sharpe for trial in trials]))
        chance = chance_among(trials)
        results = [deflated_sharpe(made[best].returns, n, chance) for n in (trials[best].effective_signals, len(made[best].rows))]
        assert all(result is not None and result.trials == 8 for result in results)
        passed.append(results[0] is not None and results[0].probability > 0.95)
        plain.append(results[1] is not None and results[1].probability > 0.95)
    assert np.mean(passed) <= 0.06
    assert np.mean(plain) > 0.2


def test_a_skill_that_is_there_passes() -> None:
    """A trial with a real edge among others without one keeps a high probability."""
    rng = np.random.default_rng(5)
    rows = np.arange(600)
    made = [signals(rows, np.ones(600), rng.normal(size=600) + (0.3 if k == 0 else 0.0)) for k in range(10)]
    trials = [trial_of(one, horizon=1, interval_seconds=HOUR) for one in made]
    result = deflated_sharpe(made[0].returns, trials[0].effective_signals, chance_among(trials))
    assert result is not None
    assert result.probability > 0.95


def test_holm_adjusts_for_the_number_of_tests() -> None:
    """Known values (Holm 1979): the least times all, the next times one less, never falling, never above 1."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_superior_ability_tells_skill_from_luck() -> None:
    """The best of ten trials on noise is no surprise; one with an edge is, and a trial that never varies does not disturb."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(400, 10))
    skill = noise.copy()
    skill[:, 3] += 0.3
    with_flat = np.column_stack([skill, np.zeros(400)])
    p_values = [superior_ability(table, block_rows=2, resamples=200) for table in (noise, skill, with_flat)]
    assert p_values[0] is not None
    assert p_values[0] > 0.1
    assert p_values[1] == pytest.approx(1 / 201)
    assert p_values[2] == p_values[1]
    assert superior_ability(np.zeros((400, 3)), block_rows=1) is None
    assert superior_ability(noise[:10], block_rows=1) is None


def test_equal_trials_share_their_rank_in_the_probability_of_overfitting() -> None:
    """Two copies of one trial are neither better nor worse than each other, whatever the last bit of their sums says."""
    returns = np.random.default_rng(7).normal(size=(200, 1))
    copies = np.column_stack([returns, returns * 3.0])
    assert probability_of_overfitting(copies) == 1.0
