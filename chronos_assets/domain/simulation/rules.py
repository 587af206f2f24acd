"""The choices of a profile as plain numbers, in the form that the compiled loop takes."""

from __future__ import annotations

from typing import NamedTuple

from chronos_assets.domain.profiles.simulation import Mode, SimulationProfile
from chronos_assets.domain.simulation.exits import ExitRules, exit_rules

SIZING_METHODS = ("fixed_units", "fixed_amount", "fixed_fraction", "volatility")
SIDES = ("long", "short")


class Rules(NamedTuple):
    """All numbers of one simulation. Percentages have become fractions; 0 means off unless said otherwise."""

    allow_long: bool
    allow_short: bool
    capital: float
    cost_fraction: float  # commission and slippage together: both are fractions of the value traded
    cost_fixed: float
    sizing: int  # index into SIZING_METHODS
    size: float  # units, amount, fraction or risk fraction, as `sizing` says
    max_leverage: float
    limit_order: bool
    limit_fraction: float
    limit_bars: int
    exits: ExitRules
    needs_atr: bool
    atr_bars: int


def rules_of(profile: SimulationProfile, mode: Mode) -> Rules:
    """The rules of one mode of a profile."""
    sizing, costs = profile.sizing, profile.costs
    sizes = {
        "fixed_units": sizing.units,
        "fixed_amount": sizing.amount,
        "fixed_fraction": sizing.fraction,
        "volatility": sizing.risk_fraction,
    }
    return Rules(
        allow_long=mode in ("long", "dual"),
        allow_short=mode in ("short", "dual"),
        capital=float(profile.capital),
        cost_fraction=float(costs.commission_fraction + costs.slippage_fraction),
        cost_fixed=float(costs.commission_fixed),
        sizing=SIZING_METHODS.index(sizing.method),
        size=float(sizes[sizing.method]),
        max_leverage=float(sizing.max_leverage),
        limit_order=profile.entry.order == "limit",
        limit_fraction=profile.entry.limit_percent / 100.0,
        limit_bars=profile.entry.valid_bars,
        exits=exit_rules(profile.exits),
        needs_atr=profile.needs_atr,
        atr_bars=profile.atr_bars,
    )
