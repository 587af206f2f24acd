"""What a simulation would have come to at other costs: the stored one simulated again, with its own bars, signals and rules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.simulation.engine import Simulation, ranges_of, simulate
from chronos_assets.domain.simulation.rules import Rules, rules_of
from chronos_assets.domain.simulation.summary import trade_metrics
from chronos_assets.domain.statistics.returns import return_metrics
from chronos_assets.errors import ConflictError
from chronos_assets.pipeline.simulation.inputs import SimulationInputs, read_inputs
from chronos_assets.pipeline.simulation.price_artifacts import read_prices
from chronos_assets.pipeline.simulation.price_sources import ColumnPrices, KeptPrices
from chronos_assets.storage.simulations import SimulationRecord, read_equity
from chronos_assets.storage.stores import Stores

FACTORS = (0.0, 1.0, 2.0, 4.0)
# A simulation without costs is shown at multiples of so much of the value of each fill: one basis point.
ASSUMED_FRACTION = 0.0001


@dataclass(frozen=True)
class CostCase:
    """The same simulation at `factor` times the costs: `cost_fraction` of the value and `cost_fixed` currency per fill."""

    factor: float
    cost_fraction: float
    cost_fixed: float
    total_return_pct: float
    sharpe: float | None
    max_drawdown_pct: float
    profit_factor_trade: float | None
    trade_count: int
    costs_paid: float


@dataclass(frozen=True)
class CostSensitivity:
    """The cases by rising factor; `assumed`: the simulation pays no costs, and one basis point per fill is taken as its own."""

    cases: list[CostCase]
    assumed: bool


def stored_inputs(simulation: SimulationRecord, stores: Stores) -> SimulationInputs:
    """What a stored simulation stood on, its prices those that were traded on. Raises as `read_inputs`."""
    source = simulation.config.get("prices") or {}
    if source.get("source") == "columns":
        return read_inputs(simulation.run_id, stores, ColumnPrices())
    kept = read_prices(stores.artifacts, source.get("content_hash"))
    if kept is None:
        raise ConflictError(
            "this machine does not have the prices that the simulation traded on",
            code="prices_gone",
            hint=f"`chronos simulate {simulation.run_id}` reads them again.",
        )
    return read_inputs(simulation.run_id, stores, KeptPrices(kept, source))


def profile_of(simulation: SimulationRecord) -> SimulationProfile:
    """The profile that a stored simulation was made with."""
    return SimulationProfile.model_validate({k: v for k, v in simulation.config.items() if k in SimulationProfile.model_fields})


def cost_sensitivity(simulation: SimulationRecord, inputs: SimulationInputs, stores: Stores) -> CostSensitivity:
    """The simulation at 0, 1, 2 and 4 times its costs, each simulated whole.

    Raises `ConflictError` if once its own costs do not give its stored equity: then the program or the prices are others than they were.
    """
    rules = rules_of(profile_of(simulation), simulation.mode)  # type: ignore[arg-type]  # a mode, by the table's own check
    ranges = ranges_of(inputs.prices.bars, rules)

    def again(rules: Rules) -> Simulation:
        return simulate(inputs.bars, inputs.signals, rules, atr=ranges[inputs.start : inputs.end] if rules.needs_atr else None)

    own = again(rules)
    if not np.array_equal(own.equity, read_equity(stores, simulation.simulation_id)["equity"].to_numpy()):
        raise ConflictError(
            "the stored equity is not what the same rules give now",
            code="simulation_differs",
            found=f"code version {simulation.config.get('code_version')}",
            hint=f"`chronos simulate {simulation.run_id}` makes the simulation again by today's program.",
        )
    assumed = rules.cost_fraction == 0.0 and rules.cost_fixed == 0.0
    fraction = ASSUMED_FRACTION if assumed else rules.cost_fraction
    cases = []
    for factor in FACTORS:
        priced = rules._replace(cost_fraction=factor * fraction, cost_fixed=factor * rules.cost_fixed)
        cases.append(_case(factor, own if priced == rules else again(priced)))
    return CostSensitivity(cases, assumed)


def _case(factor: float, simulation: Simulation) -> CostCase:
    rules, trades = simulation.rules, trade_metrics(simulation.trades)
    returns = return_metrics(simulation.equity, simulation.bars.times, rules.capital)
    return CostCase(
        factor=factor,
        cost_fraction=rules.cost_fraction,
        cost_fixed=rules.cost_fixed,
        total_return_pct=returns.total_return_pct,
        sharpe=returns.sharpe,
        max_drawdown_pct=returns.max_drawdown_pct,
        profit_factor_trade=trades["profit_factor_trade"],
        trade_count=trades["trade_count"],
        costs_paid=math.fsum(simulation.trades["costs"]),
    )
