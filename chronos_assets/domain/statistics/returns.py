"""Metrics of an equity curve marked once per bar.

Formulas: DEFINITIONS, "Trades and equity"; empyrical-reloaded [ER] is the oracle of the suite for Sharpe, Sortino, CAGR, Calmar and
drawdown. A number that has no value (no variation, no time, equity at or below zero) is None, never a magic one.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.metrics import profit_factor

Floats = npt.NDArray[np.float64]

SECONDS_PER_YEAR = 365.25 * 86_400
# A standard deviation below this share of the largest return is rounding, not variation.
NO_VARIATION = 1e-12


@dataclass(frozen=True)
class ReturnMetrics:
    """Metrics of one equity curve. Percentages carry `_pct`; `profit_factor_bar` is over the per-bar returns."""

    final_equity: float
    total_return_pct: float
    cagr_pct: float | None
    max_drawdown_pct: float
    max_drawdown_bars: int
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    profit_factor_bar: float | None
    profit_factor_bar_no_losses: bool
    bars_per_year: float | None

    def as_json(self) -> dict[str, Any]:
        """The stored form: no infinity."""
        return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in asdict(self).items()}


def return_metrics(equity: Floats, times: npt.NDArray[np.int64], capital: float) -> ReturnMetrics:
    """Metrics of `equity` (float64 [bars], marked at each close), `times` int64 UTC seconds, starting from `capital`."""
    per_year = bars_per_year(times)
    returns = bar_returns(equity)
    drawdown = drawdown_pct(equity, capital)
    worst = float(drawdown.max(initial=0.0))
    growth = annual_growth(float(equity[-1]) / capital, times)
    factor, no_losses = profit_factor(returns) if returns is not None else (None, False)
    return ReturnMetrics(
        final_equity=float(equity[-1]),
        total_return_pct=100.0 * (float(equity[-1]) / capital - 1.0),
        cagr_pct=None if growth is None else 100.0 * growth,
        max_drawdown_pct=worst,
        max_drawdown_bars=longest_drawdown(drawdown),
        sharpe=sharpe(returns, per_year),
        sortino=sortino(returns, per_year),
        calmar=None if growth is None or worst <= 0.0 else 100.0 * growth / worst,
        profit_factor_bar=factor,
        profit_factor_bar_no_losses=no_losses,
        bars_per_year=per_year,
    )


def bars_per_year(times: npt.NDArray[np.int64]) -> float | None:
    """`(n - 1) * 365.25 days / (last - first)`; None for fewer than two bars."""
    if len(times) < 2:
        return None
    return (len(times) - 1) * SECONDS_PER_YEAR / float(times[-1] - times[0])


def bar_returns(equity: Floats) -> Floats | None:
    """Return of each bar over the one before, float64 [bars - 1]; None if equity was ever at or below zero before the last bar."""
    before = equity[:-1]
    return None if bool((before <= 0.0).any()) else equity[1:] / before - 1.0


def drawdown_pct(equity: Floats, capital: float) -> Floats:
    """`100 * (1 - equity / running max)` at each bar, the starting capital included in the running max."""
    peak = np.maximum(np.maximum.accumulate(equity), capital)
    return 100.0 * (1.0 - equity / peak)


def longest_drawdown(drawdown: Floats) -> int:
    """The most bars in a row that ended below the running maximum."""
    below = np.concatenate([[False], drawdown > 0.0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    return int((edges[1::2] - edges[::2]).max(initial=0))


def sharpe(returns: Floats | None, per_year: float | None) -> float | None:
    """`mean / std (n-1) * sqrt(bars per year)`; None without variation."""
    if returns is None or per_year is None or len(returns) < 2:
        return None
    spread = float(returns.std(ddof=1))
    if spread <= NO_VARIATION * float(np.abs(returns).max()):
        return None
    return float(returns.mean()) / spread * math.sqrt(per_year)


def sortino(returns: Floats | None, per_year: float | None) -> float | None:
    """`mean / downside deviation against 0 * sqrt(bars per year)` [ER]; None if no bar lost."""
    if returns is None or per_year is None or len(returns) < 1:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return None if downside == 0.0 else float(returns.mean()) / downside * math.sqrt(per_year)


def annual_growth(factor: float, times: npt.NDArray[np.int64]) -> float | None:
    """Compound growth per year of 365.25 days from the first bar to the last, as a fraction; None if it has no value."""
    years = float(times[-1] - times[0]) / SECONDS_PER_YEAR
    if years <= 0.0 or factor <= 0.0:
        return None
    exponent = math.log(factor) / years
    return math.expm1(exponent) if exponent < 700.0 else None
