"""The choices of a profile as plain numbers, in the form that the compiled loop takes."""

from __future__ import annotations

from typing import NamedTuple

from chronos_assets.domain.profiles.simulation import Level, Mode, SimulationProfile

# What ends a trade; the position in this tuple is the code that the loop writes.
EXIT_REASONS = (
    "none",
    "opposite_threshold",
    "sign_flip",
    "signal_decay",
    "time",
    "stop_loss",
    "trailing_stop",
    "take_profit",
    "end_of_data",
)
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
    opposite: bool
    decay_share: float
    sign_flip: bool
    stop_fraction: float
    stop_atr: float
    trail_fraction: float
    trail_atr: float
    target_fraction: float
    target_atr: float
    max_bars: int
    cooldown_bars: int
    needs_atr: bool
    atr_bars: int


def rules_of(profile: SimulationProfile, mode: Mode) -> Rules:
    """The rules of one mode of a profile."""
    sizing, exits, costs = profile.sizing, profile.exits, profile.costs
    sizes = {
        "fixed_units": sizing.units,
        "fixed_amount": sizing.amount,
        "fixed_fraction": sizing.fraction,
        "volatility": sizing.risk_fraction,
    }
    stop_fraction, stop_atr = _distance(exits.stop_loss)
    trail_fraction, trail_atr = _distance(exits.trailing_stop)
    target_fraction, target_atr = _distance(exits.take_profit)
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
        opposite=exits.opposite_threshold,
        decay_share=float(exits.signal_decay or 0.0),
        sign_flip=exits.sign_flip,
        stop_fraction=stop_fraction,
        stop_atr=stop_atr,
        trail_fraction=trail_fraction,
        trail_atr=trail_atr,
        target_fraction=target_fraction,
        target_atr=target_atr,
        max_bars=exits.max_bars or 0,
        cooldown_bars=exits.cooldown_bars,
        needs_atr=profile.needs_atr,
        atr_bars=profile.atr_bars,
    )


def _distance(level: Level | None) -> tuple[float, float]:
    """A level as (fraction of the fill, average true ranges)."""
    if level is None:
        return 0.0, 0.0
    return (level.percent or 0.0) / 100.0, float(level.atr or 0.0)
