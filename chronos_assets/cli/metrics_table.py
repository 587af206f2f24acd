"""The pooled metrics of a run as lines of text, those of its baseline beside them."""

from __future__ import annotations

from typing import Any

SIDES = ("long", "short", "both")


def metrics_table(summary: dict[str, Any]) -> list[str]:
    """A line per side, and one per side of the baseline; empty for a run that has no metrics yet."""
    if not any(side in summary for side in SIDES):
        return []
    lines = [f"{'side':<6} {'signals':>8} {'hit rate':>9} {'sum':>12} {'mean':>12} {'profit factor':>14}"]
    lines += [_line(side, summary.get(side) or {}) for side in SIDES]
    baseline = summary.get("baseline")
    if baseline is not None:
        lines.append(f"baseline {baseline['learner']}, run {baseline['run_id']}")
        lines += [_line(side, baseline.get(side) or {}) for side in SIDES]
    return lines


def _line(side: str, metrics: dict[str, Any]) -> str:
    factor = "no losses" if metrics.get("no_losses") else _number(metrics.get("profit_factor"), ".3f")
    numbers = [_number(metrics.get(name), form) for name, form in (("hit_rate", ".3f"), ("signal_sum", ".5g"), ("mean", ".5g"))]
    return f"{side:<6} {metrics.get('n_signals', 0):>8} {numbers[0]:>9} {numbers[1]:>12} {numbers[2]:>12} {factor:>14}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
