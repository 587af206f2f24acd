"""Cumulative signal sums of runs over one axis, as the pages of a run and of a comparison draw them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chronos_assets.views import documents as doc
from chronos_assets.views.charts import Line, line_chart
from chronos_assets.views.series import Span

SIDES = ("both", "long", "short")
AXES = ("time", "fold")
# How the curve of each run is drawn: four colours, then the same ones dashed.
STYLES = tuple(f"{name}{dashed}" for dashed in ("", " dashed") for name in ("one", "two", "three", "four"))

# The variables of the style sheet that those four classes take.
COLOURS = {"one": "--gain", "two": "--loss", "three": "--hold", "four": "--ink"}


@dataclass(frozen=True)
class Curve:
    """A run's running signal sum: where each fold with test bars stands on the axis (unix seconds or its number), and the sum there."""

    run_id: str
    places: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]


def curve_of(detail: doc.RunDetail, side: str, axis: str = "time") -> Curve:
    """The running sum of one side of a run, at the last test bar or at the number of each fold."""
    placed = [(int(fold.test_end_ts.timestamp()), fold) for fold in detail.folds if fold.test_end_ts is not None]
    places = [fold.fold_number if axis == "fold" else seconds for seconds, fold in placed]
    sums = np.cumsum([float((fold.metrics.get(side) or {}).get("signal_sum") or 0.0) for _, fold in placed])
    return Curve(detail.run.run_id, np.array(places, dtype=np.int64), sums)


def drawn_curves(curves: Sequence[Curve], side: str, axis: str = "time", span: Span | None = None) -> dict[str, Any]:
    """The curves as a chart, as the columns and lines that a script draws, and in words; empty if no run has a fold.

    `span`: the part of a time axis that the chart without a script shows. One curve alone has the colour of its side.
    """
    every = np.unique(np.concatenate([curve.places for curve in curves]))
    if not len(every):
        return {}
    columns: dict[str, list[Any]] = {"timestamp_unix": every.tolist()}
    lines, described = [], []
    for number, curve in enumerate(curves):
        if not len(curve.places):
            continue
        values = np.full(len(every), np.nan)
        values[np.searchsorted(every, curve.places)] = curve.sums
        name, alone = curve.run_id[:8], len(curves) == 1
        columns[curve.run_id] = [None if np.isnan(value) else float(f"{value:.6g}") for value in values]
        lines.append((values, side if alone else STYLES[number]))
        style, _, dashed = STYLES[number].partition(" ")
        colour = ("--loss" if side == "short" else "--gain") if alone else COLOURS[style]
        label = f"Sum, {side}" if alone else name
        described.append({"column": curve.run_id, "label": label, "colour": colour, "dashed": bool(dashed)})
    shown = np.ones(len(every), dtype=bool)
    if axis == "time" and span is not None:
        shown &= True if span.start is None else every >= span.start.timestamp()
        shown &= True if span.end is None else every < span.end.timestamp()
    drawn = [Line(values[shown], style) for values, style in lines if np.isfinite(values[shown]).any()]
    ends = ", ".join(f"{curve.run_id[:8]} {curve.sums[-1]:.4g}" for curve in curves if len(curve.sums))
    only = f"Cumulative signal sum, {curves[0].sums[-1]:.4g} at the last fold"
    label = only if len(curves) == 1 else f"Cumulative signal sums at the last fold: {ends}"
    chart = line_chart(every[shown], drawn, height=270, label=label, log=False, numbered=axis == "fold") if drawn else ""
    return {"summary": label, "columns": json.dumps(columns), "lines": json.dumps(described), "chart": chart}
