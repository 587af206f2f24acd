"""Documents about what lies behind a simulation's totals: its drawdowns, its trades, its costs, its predictions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document, Warn
from chronos_assets.views.documents.folds import Histogram


class Drawdown(Document):
    """A stretch of the account below its running maximum; `recovered_unix` is null if it ends below it."""

    begun_unix: int
    deepest_unix: int
    recovered_unix: int | None
    depth_pct: float
    bars: int


class Excursion(Document):
    """How far the price went against the trades that won or lost, and for them, in percent of the entry price."""

    outcome: Literal["won", "lost"]
    trades: int
    adverse_median_pct: float
    adverse_worst_pct: float
    favourable_median_pct: float
    favourable_best_pct: float


class CostCase(Document):
    """The same simulation at `factor` times its costs, simulated whole."""

    factor: float
    cost_fraction: float = Field(description="Of the value of each fill: commission and slippage together.")
    cost_fixed: float = Field(description="Currency per fill.")
    total_return_pct: float
    sharpe: float | None
    max_drawdown_pct: float
    profit_factor_trade: float | None
    trade_count: int
    costs_paid: float


class Decile(Document):
    """Test bars of similar predictions: number 1 has the smallest. `above_zero`: share of outcomes above 0."""

    number: int
    cases: int
    prediction_low: float
    prediction_high: float
    mean_outcome: float
    above_zero: float


class Analysis(Document):
    """What lies behind the totals of a simulation. `notes` say what could not be computed, and why."""

    simulation_id: str
    drawdowns: list[Drawdown] = Field(description="The five deepest, the deepest first.")
    trade_returns: Histogram | None = Field(description="Of the trades' returns in percent.")
    excursions: list[Excursion]
    costs: list[CostCase]
    costs_assumed: bool = Field(description="True: the simulation pays no costs, and one basis point per fill is taken as its own.")
    deciles: list[Decile]
    notes: list[Warn]
