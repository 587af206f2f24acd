"""The exit rules, all that the loop knows of them: their reasons, their numbers, and when each applies.

A rule decided at a close is a branch of `decided_exit`, first come first served, and a condition of `may_decide`. The loop passes over bars
on which nothing can happen, so `may_decide` has to hold on every bar on which the rule may apply; on others it only costs time. A level
inside a bar belongs in `levels_of` and `level_exit`. What a person may choose is in `domain.profiles.simulation`.
"""

# ruff: noqa: PLR0917 - compiled functions take their numbers by position

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chronos_assets.domain.compiled import inline
from chronos_assets.domain.profiles.simulation import EXIT_REASONS, Exits, Level

OPPOSITE, SIGN_FLIP, DECAY, TIME, STOP, TRAIL, TARGET, END = range(1, len(EXIT_REASONS))
# After these, no entry is decided for `cooldown_bars`.
STOPS = (STOP, TRAIL)


class ExitRules(NamedTuple):
    """The numbers of the exit rules. Percentages have become fractions; 0 means off."""

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


def exit_rules(exits: Exits) -> ExitRules:
    """The exits of a profile as numbers."""
    stop_fraction, stop_atr = _distance(exits.stop_loss)
    trail_fraction, trail_atr = _distance(exits.trailing_stop)
    target_fraction, target_atr = _distance(exits.take_profit)
    return ExitRules(
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
    )


def _distance(level: Level | None) -> tuple[float, float]:
    """A level as (fraction of the fill, average true ranges)."""
    if level is None:
        return 0.0, 0.0
    return (level.percent or 0.0) / 100.0, float(level.atr or 0.0)


@inline
def decided_exit(exits: Any, side: float, signal: float, p: float, entry_signal: float, held: int) -> int:  # pragma: no cover - compiled
    """The reason to leave at the next open, 0 if there is none."""
    if exits.opposite and signal == -side:
        return OPPOSITE
    if exits.sign_flip and p * entry_signal < 0.0:
        return SIGN_FLIP
    if exits.decay_share > 0.0 and abs(p) < exits.decay_share * abs(entry_signal):
        return DECAY
    return TIME if exits.max_bars > 0 and held >= exits.max_bars else 0


@inline
def decision_bounds(exits: Any, entry_signal: float) -> tuple[float, float]:  # pragma: no cover - compiled
    """What `may_decide` compares with, the same on every bar of a trade: the prediction that is too weak, and the one to flip from."""
    weak = exits.decay_share * abs(entry_signal)  # 0 if decay is off: no |prediction| is below it
    flip = entry_signal if exits.sign_flip else 0.0
    return weak, flip


@inline
def may_decide(
    exits: Any, side: float, p: float, opposite_threshold: float, bounds: tuple[float, float]
) -> bool:  # pragma: no cover - compiled
    """Whether `decided_exit` may give a reason other than time on a bar with prediction `p`: one test without a branch."""
    weak, flip = bounds
    return ((side * p <= side * opposite_threshold) & exits.opposite) | (p * flip < 0.0) | (abs(p) < weak)  # type: ignore[no-any-return]


@inline
def last_free_bar(exits: Any, entered: int, n: int) -> int:  # pragma: no cover - compiled
    """The first bar that has to be looked at whatever it holds: the last one, or that on which the time of the trade is over."""
    return n - 1 if exits.max_bars == 0 else min(n - 1, entered + exits.max_bars - 1)


@inline
def levels_of(exits: Any, side: float, fill: float, atr: float) -> tuple[float, float, float, float]:  # pragma: no cover - compiled
    """Stop, target, and the trailing distance as (fraction of the best price, price difference); an infinite level is off."""
    size = abs(fill)
    stop, target = -side * np.inf, side * np.inf
    if exits.stop_fraction > 0.0:
        stop = fill - side * size * exits.stop_fraction
    elif exits.stop_atr > 0.0:
        stop = fill - side * atr * exits.stop_atr
    if exits.target_fraction > 0.0:
        target = fill + side * size * exits.target_fraction
    elif exits.target_atr > 0.0:
        target = fill + side * atr * exits.target_atr
    return stop, target, exits.trail_fraction, (atr * exits.trail_atr if exits.trail_atr > 0.0 else 0.0)


@inline
def trailing_level(side: float, best: float, share: float, distance: float) -> float:  # pragma: no cover - compiled
    """Where a trailing stop is, from the best price since entry."""
    return best - side * (abs(best) * share + distance)


@inline
def level_exit(
    side: float, open_: float, worst: float, reach: float, stop: float, trail: float, target: float, inside: bool
) -> tuple[int, float]:  # pragma: no cover - compiled
    """What a bar does to a position: (reason, price), reason 0 if it stays. `worst` and `reach` are its extremes against and for it."""
    level, reason = stop, STOP
    if (trail - stop) * side > 0.0:
        level, reason = trail, TRAIL
    if (worst - level) * side <= 0.0:
        return reason, (open_ if (open_ - level) * side < 0.0 and not inside else level)
    if (reach - target) * side >= 0.0:
        return TARGET, (open_ if (open_ - target) * side > 0.0 and not inside else target)
    return 0, 0.0
