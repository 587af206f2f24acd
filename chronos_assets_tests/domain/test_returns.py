"""Metrics of an equity curve against empyrical-reloaded, and the cases in which a number has no value."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from chronos_assets.domain.statistics.returns import (
    annual_growth,
    bar_returns,
    bars_per_year,
    drawdown_pct,
    longest_drawdown,
    return_metrics,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

DAY = 86_400


@pytest.fixture(params=range(8))
def curve(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """An equity curve from 100,000 that begins flat, as every simulation does, and its times with weekends left out."""
    rng = np.random.default_rng(request.param)
    steps = np.r_[0.0, rng.normal(0.0005, 0.01, 400)]
    days = np.arange(401)
    return 100_000 * np.cumprod(1 + steps), ((days // 5 * 7 + days % 5) * DAY).astype(np.int64)


def test_metrics_equal_empyrical(curve: tuple[np.ndarray, np.ndarray]) -> None:
    """Return, growth, Sharpe, Sortino, Calmar and drawdown are those of the oracle, given the same annualisation."""
    equity, times = curve
    metrics, returns = return_metrics(equity, times, 100_000.0), bar_returns(equity)
    assert returns is not None
    year = metrics.bars_per_year
    assert metrics.total_return_pct == pytest.approx(100 * empyrical.cum_returns_final(returns), rel=1e-9)
    assert metrics.cagr_pct == pytest.approx(100 * empyrical.annual_return(returns, annualization=year), rel=1e-9)
    assert metrics.sharpe == pytest.approx(empyrical.sharpe_ratio(returns, annualization=year), rel=1e-9)
    assert metrics.sortino == pytest.approx(empyrical.sortino_ratio(returns, annualization=year), rel=1e-9)
    assert metrics.calmar == pytest.approx(empyrical.calmar_ratio(returns, annualization=year), rel=1e-9)
    assert metrics.max_drawdown_pct == pytest.approx(-100 * empyrical.max_drawdown(returns), rel=1e-9)


def test_bars_per_year_count_the_calendar_between_first_and_last() -> None:
    """(n - 1) intervals over the time they took, with 365.25 days to the year."""
    assert bars_per_year(np.arange(11, dtype=np.int64) * DAY) == pytest.approx(365.25)
    assert bars_per_year(np.array([0], dtype=np.int64)) is None


def test_the_starting_capital_belongs_to_the_running_maximum() -> None:
    """A curve that only fell below the capital is in drawdown from its first bar."""
    np.testing.assert_allclose(drawdown_pct(np.array([90.0, 95.0, 80.0]), 100.0), [10.0, 5.0, 20.0])


def test_the_longest_drawdown_counts_bars_below_the_peak() -> None:
    """A recovery ends one; one that lasts to the end counts too."""
    assert longest_drawdown(np.array([0.0, 1.0, 2.0, 0.0, 1.0, 1.0, 1.0])) == 3
    assert longest_drawdown(np.array([0.0, 0.0])) == 0


def test_a_flat_curve_has_no_ratios() -> None:
    """No variation, no loss: Sharpe, Sortino, Calmar and profit factor are None, not zero and not infinite."""
    metrics = return_metrics(np.full(10, 100.0), np.arange(10, dtype=np.int64) * DAY, 100.0)
    assert (metrics.sharpe, metrics.sortino, metrics.calmar, metrics.profit_factor_bar) == (None, None, None, None)
    assert (metrics.total_return_pct, metrics.max_drawdown_pct) == (0.0, 0.0)


def test_steady_growth_has_no_variation() -> None:
    """A standard deviation that is rounding only is none."""
    equity = 100.0 * 1.01 ** np.arange(50)
    metrics = return_metrics(equity, np.arange(50, dtype=np.int64) * DAY, 100.0)
    assert metrics.sharpe is None
    assert metrics.profit_factor_bar_no_losses
    assert metrics.as_json()["profit_factor_bar"] is None


def test_a_ruined_account_has_no_returns() -> None:
    """Returns over an equity of zero or less mean nothing; the drawdown says what happened."""
    metrics = return_metrics(np.array([100.0, -20.0, -30.0]), np.arange(3, dtype=np.int64) * DAY, 100.0)
    assert (metrics.sharpe, metrics.cagr_pct, metrics.calmar) == (None, None, None)
    assert metrics.max_drawdown_pct == 130.0


def test_growth_over_no_time_or_beyond_numbers_is_none() -> None:
    """A doubling within two seconds has no annual growth that could be written down."""
    assert annual_growth(2.0, np.array([0, 2], dtype=np.int64)) is None
    assert annual_growth(2.0, np.array([5], dtype=np.int64)) is None
