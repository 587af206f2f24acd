"""The `live` section of a manifest: which walk-forward profile the live model continues, and when it is promoted by itself."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from chronos_assets.domain.strict import StrictModel


class LiveProfile(StrictModel):
    """Which model is made every night, and whether it becomes the live one."""

    model_config = ConfigDict(allow_inf_nan=False)

    profile: str | None = Field(None, description="Walk-forward profile that the live model continues; default: `default`, else the first.")
    promote: Literal["if_better", "always", "never"] = Field(
        "if_better",
        description="if_better: if its backtest reaches both limits, and is no worse than that of a live model of another request.",
    )
    min_profit_factor: float = Field(1.0, ge=0, description="Least profit factor of the run's signals, both sides together (if_better).")
    max_p_value: float = Field(
        0.10, gt=0, le=1, description="Greatest p-value of the best signal test of its simulations, adjusted for their number (if_better)."
    )
