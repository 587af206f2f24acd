"""Whether a model becomes the live one: a policy over its backtest, as a pure function that says why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_assets.domain.profiles.live import LiveProfile


@dataclass(frozen=True)
class Candidate:
    """What the policy needs to know of a model. `request` is equal for models that differ in their bars only."""

    request: str
    backtest: Mapping[str, Any]
    has_side: bool
    learned_nothing: bool


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why or why not, in words."""

    promote: bool
    reason: str


def decide(policy: LiveProfile, model: Candidate, live: Candidate | None) -> Decision:
    """What becomes of a new model. `live` is the one that is live now, None if there is none or it is expired."""
    if policy.promote != "if_better":
        return Decision(promote=policy.promote == "always", reason=f"the manifest says `promote: {policy.promote}`")
    short = _falls_short(policy, model)
    return Decision(promote=False, reason=short) if short else _compared(model, live)


def _falls_short(policy: LiveProfile, model: Candidate) -> str:
    """Which limit a model does not reach, in words; empty if it reaches all of them."""
    if model.learned_nothing or not model.has_side:
        what = "learned nothing" if model.learned_nothing else "has no threshold on either side"
        return f"the live fold {what}, so no signal would come of it"
    factor, p_value = profit_factor_of(model.backtest), p_value_of(model.backtest)
    if factor is None or factor < policy.min_profit_factor:
        found = "there is none" if factor is None else f"it is {factor:.2f}"
        return f"the profit factor of its backtest has to be at least {policy.min_profit_factor:g}, and {found}"
    if p_value is None or p_value > policy.max_p_value:
        found = "no signal test was made" if p_value is None else f"it is {p_value:.3f}"
        return f"the p-value of its best signal test has to be at most {policy.max_p_value:g}, and {found}"
    return ""


def _compared(model: Candidate, live: Candidate | None) -> Decision:
    """A model that reaches the limits, against the live one."""
    factor = profit_factor_of(model.backtest) or 0.0
    said = f"profit factor {factor:.2f}, p-value {p_value_of(model.backtest):.3f}"
    if live is None or live.request == model.request:
        why = "no model is live" if live is None else "the same request as the live model, on newer bars"
        return Decision(promote=True, reason=f"{said}; {why}")
    other = profit_factor_of(live.backtest) or 0.0
    better = factor >= other
    beside = f"{'no worse than' if better else 'worse than'} the live model's {other:.2f}, which is of another request"
    return Decision(promote=better, reason=f"{said}; {beside}")


def profit_factor_of(backtest: Mapping[str, Any]) -> float | None:
    """Profit factor of a run's signals on both sides; infinite without losses, None without signals."""
    both = backtest["run"].get("both") or {}
    if both.get("no_losses"):
        return math.inf
    value = both.get("profit_factor")
    return None if value is None else float(value)


def p_value_of(backtest: Mapping[str, Any]) -> float | None:
    """The least p-value of the signal tests of a run's simulations, each adjusted for the number of all tests (Holm)."""
    found = [s["tests"]["signal_test"]["holm"] for s in backtest["simulations"] if "signal_test" in s["tests"]]
    return min(found, default=None)
