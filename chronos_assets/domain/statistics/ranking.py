"""What runs of a sweep can be ranked by, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

Ranking = Literal["profit_factor", "signal_sum", "mean", "hit_rate", "sharpe"]
RANKINGS: tuple[str, ...] = get_args(Ranking)
RANKINGS_TOLD = f"{', '.join(RANKINGS[:-1])} or {RANKINGS[-1]}"


def merit(metrics: Mapping[str, Any], sharpe: float | None, rank_by: str) -> float:
    """What a run is ranked by, from its pooled metrics: infinite without losses, minus infinite without a value."""
    if rank_by == "profit_factor" and metrics.get("no_losses"):
        return math.inf
    value = sharpe if rank_by == "sharpe" else metrics.get(rank_by)
    return -math.inf if value is None else float(value)
