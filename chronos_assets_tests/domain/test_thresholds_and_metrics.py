"""Thresholds, target transforms and signal metrics: known values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from chronos_assets.domain.metrics import profit_factor, side_returns, signal_metrics
from chronos_assets.domain.profiles.variants import grid, merged
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.targets import TargetTransform, case_returns, is_binary
from chronos_assets.domain.thresholds import Thresholds, choose_thresholds, least_cases, optimal_cut


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_optimal_cut_takes_the_best_profit_factor() -> None:
    """The cut with the highest profit factor wins; it is the smallest prediction kept."""
    predictions, returns = floats(5, 4, 3, 2, 1), floats(1.0, -0.5, 3.0, -1.0, -4.0)
    assert optimal_cut(predictions, returns, 0.25) == 3.0


def test_min_fraction_keeps_enough_cases() -> None:
    """A side keeps at least ceil(min_fraction * n) cases, the product taken as written."""
    assert [least_cases(n, f) for n, f in [(100, 0.07), (20, 0.05), (21, 0.05), (3, 0.05), (10, 1.0)]] == [7, 1, 2, 1, 10]
    predictions, returns = floats(5, 4, 3, 2), floats(9.0, -1.0, -1.0, -1.0)
    assert optimal_cut(predictions, returns, 0.25) == 5.0
    assert optimal_cut(predictions, returns, 0.5) == 4.0
    assert optimal_cut(predictions, returns, 1.0) == 2.0


def test_ties_in_prediction_are_never_split() -> None:
    """Equal predictions are taken or left together."""
    assert optimal_cut(floats(3, 3, 2), floats(5.0, -1.0, -9.0), 0.1) == 3.0
    assert optimal_cut(floats(3, 3, 2), floats(1.0, -5.0, -9.0), 0.1) is None


def test_equal_profit_factors_take_more_cases() -> None:
    """Of equal profit factors, infinite ones too, the one with more cases is taken."""
    assert optimal_cut(floats(4, 3, 2, 1), floats(1.0, 1.0, 1.0, -5.0), 0.1) == 2.0
    assert optimal_cut(floats(4, 3, 2, 1), floats(2.0, -1.0, 2.0, -1.0), 0.5) == 2.0
    assert optimal_cut(floats(6, 5, 4, 3), floats(0.2, -0.1, 0.1 + 0.1, -0.1), 0.5) == 4.0
    assert optimal_cut(floats(4, 3, 2, 1), floats(0.3, -0.1, 0.3, -0.1), 0.5) == 2.0


def test_a_side_without_profit_is_off() -> None:
    """A best profit factor of 1 or less switches the side off; rounding is no profit."""
    assert optimal_cut(floats(2, 1), floats(0.3, -0.3), 1.0) is None
    assert optimal_cut(floats(3, 2, 1), floats(0.1, 0.2, -0.3), 1.0) is None
    assert optimal_cut(floats(2, 1), floats(0.0, 0.0), 0.1) is None
    assert optimal_cut(floats(), floats(), 0.1) is None


def test_each_side_is_chosen_on_its_own() -> None:
    """The short threshold is the largest prediction kept from below, by returns negated."""
    chosen = choose_thresholds(floats(-2, -1, 1, 2), floats(-3.0, 1.0, -1.0, 2.0), ThresholdProfile(min_fraction=0.25))
    assert (chosen.long, chosen.short, chosen.n_cases) == (2.0, -2.0, 4)
    assert chosen.as_json() == {"long": 2.0, "short": -2.0, "method": "optimal", "data": "validation", "n_cases": 4}


def test_percentile_and_zero_methods() -> None:
    """Percentiles interpolate linearly; zero crossing is > 0 and < 0."""
    predictions = np.arange(101, dtype=np.float64)
    chosen = choose_thresholds(predictions, predictions, ThresholdProfile(method="percentile"))
    assert (chosen.long, chosen.short) == (95.0, 5.0)
    assert choose_thresholds(floats(1, 2), floats(0, 0), ThresholdProfile(method="percentile")).long == pytest.approx(1.95)
    zero = choose_thresholds(floats(), floats(), ThresholdProfile(method="zero"))
    long, short = zero.signals(floats(-1e-300, 0.0, 1e-300))
    assert (long.tolist(), short.tolist()) == ([False, False, True], [True, False, False])


def test_a_bar_beyond_both_thresholds_gives_no_signal() -> None:
    """Crossed thresholds leave no signal between them, and a side that is off gives none."""
    long, short = Thresholds(1.0, 3.0, "optimal", "validation", 9).signals(floats(0, 1, 2, 3, 4))
    assert (long.tolist(), short.tolist()) == ([False, False, False, False, True], [True, False, False, False, False])
    long, short = Thresholds(None, 1.0, "optimal", "validation", 9).signals(floats(0, 5))
    assert (long.tolist(), short.tolist()) == ([False, False], [True, False])


def test_profit_factor_edges() -> None:
    """No losses is infinite in memory and NULL with `no_losses` in JSON; nothing at all is NULL."""
    assert profit_factor([2.0, -1.0, 0.0]) == (2.0, False)
    assert profit_factor([2.0, 0.0]) == (math.inf, True)
    assert profit_factor([0.0]) == profit_factor([]) == (None, False)
    assert profit_factor([-1.0]) == (0.0, False)
    stored = signal_metrics([1.0]).as_json()
    assert (stored["profit_factor"], stored["no_losses"], stored["std"]) == (None, True, None)
    json.dumps(stored, allow_nan=False)


def test_signal_metrics_known_values() -> None:
    """Counts, sum, mean, median, std (n - 1) and hit rate of four returns."""
    m = signal_metrics([1.0, -2.0, 0.0, 4.0])
    assert (m.n_signals, m.hit_rate, m.signal_sum, m.mean, m.median, m.profit_factor) == (4, 0.5, 3.0, 0.75, 0.5, 2.5)
    assert m.std == pytest.approx(2.5)
    assert signal_metrics([]).as_json() == {
        "n_signals": 0,
        "hit_rate": None,
        "signal_sum": 0.0,
        "mean": None,
        "median": None,
        "std": None,
        "profit_factor": None,
        "no_losses": False,
    }


def test_shorts_are_negated_and_unknown_targets_are_not_scored() -> None:
    """A short returns the target negated; a bar without a target counts nowhere."""
    returns = side_returns(
        floats(2, 2, -2, -2), floats(0.5, math.nan, -0.25, 0.1), Thresholds(1.0, -1.0, "optimal", "both", 3), binary=False
    )
    assert (returns.long.tolist(), returns.short.tolist()) == ([0.5], [0.25, -0.1])
    assert returns.as_json()["both"]["n_signals"] == 3


def test_binary_targets_return_one_or_minus_one() -> None:
    """A target of 0 and 1 returns 2y - 1; one that holds anything else, or one value only, is no 0/1 target."""
    assert is_binary(floats(0, 1, math.nan))
    assert not is_binary(floats(0, 1, 0.5))
    assert not is_binary(floats(1, 1))
    assert case_returns(floats(0, 1), binary=True).tolist() == [-1.0, 1.0]


def test_transforms_are_inverted_exactly() -> None:
    """Standardize and tanh give the targets back; a constant target survives; tanh clamps what a booster overshoots."""
    y = floats(0.01, -0.02, 0.005, 0.03)
    for kind in ("none", "standardize", "tanh"):
        fitted = TargetTransform.fit(kind, y, k=0.7)
        assert fitted.invert(fitted.apply(y)) == pytest.approx(y, rel=1e-9)
        constant = TargetTransform.fit(kind, floats(2, 2))
        assert constant.invert(constant.apply(floats(2, 2))).tolist() == [2.0, 2.0]
    z = TargetTransform.fit("standardize", y).apply(y)
    assert (float(z.mean()), float(z.std())) == pytest.approx((0.0, 1.0))
    assert np.isfinite(TargetTransform.fit("tanh", y).invert(floats(1.2, -1.2))).all()


def test_grid_expands_dotted_keys() -> None:
    """A grid gives every combination as nested changes, put into a base without losing its other keys."""
    points = list(grid({"model.eta": [0.1, 0.2], "train_size": [50]}))
    assert points == [{"model": {"eta": 0.1}, "train_size": 50}, {"model": {"eta": 0.2}, "train_size": 50}]
    assert merged({"model": {"seed": 1}}, points[0]) == {"model": {"seed": 1, "eta": 0.1}, "train_size": 50}


def test_a_side_says_how_many_cases_it_rests_on() -> None:
    """Cases at or beyond the threshold, for each side by itself; a side that is off rests on none."""
    predictions = floats(-2, -1, 1, 2)
    chosen = choose_thresholds(predictions, floats(-3.0, 1.0, -1.0, 2.0), ThresholdProfile(min_fraction=0.25))
    assert chosen.cases(predictions) == {"long": 1, "short": 1}
    assert Thresholds(None, 1.0, "optimal", "validation", 4).cases(predictions) == {"long": None, "short": 3}


def test_a_side_keeps_a_tenth_of_the_cases_by_default() -> None:
    """Thresholds of 130 validation rows rest on 13 cases at least, not on the 7 that a twentieth would allow."""
    predictions = np.arange(130, dtype=np.float64)
    returns = np.where(predictions >= 123, 1.0, -0.1)
    cut = choose_thresholds(predictions, returns, ThresholdProfile()).long
    assert cut is not None
    assert int((predictions >= cut).sum()) == 13
