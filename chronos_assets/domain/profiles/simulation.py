"""A simulation profile: everything a person may choose about how predictions become trades.

Values only; the rules themselves live in `domain.simulation`. Percentages are percentages (2.0 means 2 %), fractions are fractions
(0.0005 means 0.05 %), and the name of a key says which it is. Everything has a default, so `{}` is a complete profile.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.domain.identity import Ignored
from chronos_assets.domain.strict import StrictModel

# Keys that cannot change a simulation of one mode; a test holds every other key to changing the simulation_id.
IGNORED: Ignored = {
    "modes": "each mode is a simulation of its own, and the id has it",
    "walkforward": "names the run, which the id has",
    "ohlcv_format": "the id has the content of the prices as they were read",
}

Mode = Literal["long", "short", "dual"]
MODES: tuple[Mode, ...] = ("long", "short", "dual")


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


class Costs(StrictModel):
    """What each fill costs: `units * price * (commission_fraction + slippage_fraction) + commission_fixed`."""

    commission_fraction: float = Field(default=0.0, ge=0, lt=1, description="Commission as a fraction of the value traded, per fill.")
    commission_fixed: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="Commission in currency, per fill.")
    slippage_fraction: float = Field(default=0.0, ge=0, lt=1, description="Slippage as a fraction of the value traded, per fill.")


class Level(StrictModel):
    """A price level: a distance from the raw fill in percent of it, or in average true ranges. Exactly one of the two."""

    percent: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="Distance in percent of the fill (2.0 is 2 %).")
    atr: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="Distance in average true ranges at the deciding bar.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.percent is None) == (self.atr is None):
            raise ValueError("a level takes exactly one of `percent` and `atr`")
        return self


class Exits(StrictModel):
    """When a position is closed. Levels act inside a bar; the others are decided at a close and filled at the next open."""

    opposite_threshold: bool = Field(default=True, description="A signal of the other side closes; in mode dual it also reverses.")
    signal_decay: float | None = Field(
        default=0.5, gt=0, allow_inf_nan=False, description="Close when |prediction| is below this share of the entry's; null: off."
    )
    sign_flip: bool = Field(default=True, description="Close when the prediction's sign is opposite to that of the entry's.")
    stop_loss: Level | None = Field(default=None, description="Stop at a fixed distance from the fill.")
    trailing_stop: Level | None = Field(default=None, description="Stop at a distance from the best price since entry.")
    take_profit: Level | None = Field(default=None, description="Target at a fixed distance from the fill.")
    max_bars: int | None = Field(default=None, ge=1, description="Close at the open that ends this many bars in the market.")
    cooldown_bars: int = Field(default=0, ge=0, description="After a stop, this many closes (from that of its own bar on) decide no entry.")


class Sizing(StrictModel):
    """How many units a trade takes; fractions of a unit are allowed."""

    method: Literal["fixed_units", "fixed_amount", "fixed_fraction", "volatility"] = "fixed_fraction"
    units: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="fixed_units: units per trade.")
    amount: float = Field(
        default=10_000.0, gt=0, allow_inf_nan=False, description="fixed_amount: currency per trade; units = amount / fill."
    )
    fraction: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="fixed_fraction: share of equity per trade, compounding.")
    risk_fraction: float = Field(
        default=0.01, gt=0, allow_inf_nan=False, description="volatility: share of equity that one average true range moves."
    )
    max_leverage: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="volatility: position value never above this times equity."
    )


class Entry(StrictModel):
    """How an entry is filled."""

    order: Literal["market", "limit"] = "market"
    limit_percent: float = Field(
        default=0.5, ge=0, lt=100, description="limit: distance from the deciding close, below it for a long, above it for a short."
    )
    valid_bars: int = Field(default=1, ge=1, description="limit: bars after the deciding one on which the order can be filled.")


class Statistics(StrictModel):
    """How much resampling goes into intervals and p-values. 0 turns one off."""

    bootstraps: int = Field(default=1000, ge=0, le=100_000, description="Stationary bootstrap resamples.")
    permutations: int = Field(default=1000, ge=0, le=100_000, description="Permutations of each significance test.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Level of the intervals.")
    block_bars: float | None = Field(
        default=None, ge=1, allow_inf_nan=False, description="Mean block of the bootstrap; null: chosen from the returns."
    )
    permutation_block_bars: int | None = Field(
        default=None,
        ge=2,
        description="The trade test shuffles bars within blocks of so many; null: as long as volatility keeps its level.",
    )


class SimulationProfile(StrictModel):
    """One named simulation profile of a manifest."""

    walkforward: str = Field(default="default", description="Name of the walk-forward profile whose run it simulates.")
    modes: list[Mode] = Field(default_factory=lambda: list(MODES), min_length=1, description="Each mode is a simulation of its own.")
    capital: float = Field(default=100_000.0, gt=0, allow_inf_nan=False, description="Equity before the first bar.")
    costs: Costs = Field(default_factory=Costs)
    entry: Entry = Field(default_factory=Entry)
    exits: Exits = Field(default_factory=Exits)
    sizing: Sizing = Field(default_factory=Sizing)
    atr_bars: int = Field(default=14, ge=1, description="Bars of the average true range.")
    statistics: Statistics = Field(default_factory=Statistics)
    ohlcv_format: FormatSpec | None = Field(
        default=None,
        description="How the manifest's `ohlcv_file` is written; null: as the dataset's file, its labels found from the closes.",
    )
    seed: int = Field(default=7, ge=0, le=2**32 - 1, description="Seed of every resampling; stored with the results.")

    @field_validator("modes")
    @classmethod
    def _no_mode_twice(cls, value: list[Mode]) -> list[Mode]:
        if len(set(value)) != len(value):
            raise ValueError("a mode is named twice")
        return value

    @property
    def needs_atr(self) -> bool:
        """Whether any rule of the profile needs the average true range of the deciding bar."""
        levels = (self.exits.stop_loss, self.exits.trailing_stop, self.exits.take_profit)
        return self.sizing.method == "volatility" or any(level is not None and level.atr is not None for level in levels)

    def resolved(self) -> dict[str, Any]:
        """What determines the numbers of one mode, as JSON: all keys but the ignored ones."""
        config = self.model_dump(mode="json", exclude=set(IGNORED))
        assert all(not isinstance(v, float) or math.isfinite(v) for v in config.values())
        return config
