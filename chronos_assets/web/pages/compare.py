"""`/runs/compare`: what differs between runs, their metrics, their curves, and their folds side by side."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.views.charts import Line, line_chart
from chronos_assets.web.context import stores_of
from chronos_assets.web.pages.forms import one_of
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.pages.runs import SIDES

router = APIRouter(prefix="/runs/compare", include_in_schema=False)
# How the curve of each run is drawn: four colours, then the same ones dashed.
STYLES = tuple(f"{name}{dashed}" for dashed in ("", " dashed") for name in ("one", "two", "three", "four"))


@router.get("")
def compare(
    request: Request,
    runs: Annotated[list[str], Query()],
    all: Annotated[str, Query(max_length=5)] = "",
    side: Annotated[str, Query(max_length=10)] = "both",
) -> Response:
    """What differs between 2 to 8 runs; `runs` repeated, or separated by commas. `all=1` shows what is the same too."""
    one_of("side", side, SIDES)
    ids = list(dict.fromkeys(one.strip() for part in runs for one in part.split(",") if one.strip()))
    postgres = stores_of(request).postgres
    comparison = views.compare_runs(postgres, ids, everything=bool(all))
    details = [views.read_run_detail(postgres, one) for one in ids]
    values: dict[str, Any] = {"comparison": comparison, "runs": [detail.run for detail in details], "all": all, "side": side}
    rows = views.common_folds(details, side)
    return page(request, "compare.html", **values, sides=SIDES, styles=STYLES, rows=rows, chart=_chart(details, side))


def _chart(details: list[doc.RunDetail], side: str) -> str:
    """The cumulative signal sums of all runs over one axis of time."""
    curves = []
    for detail in details:
        placed = [fold for fold in detail.folds if fold.test_end_ts is not None]
        times = np.array([int(fold.test_end_ts.timestamp()) for fold in placed if fold.test_end_ts], dtype=np.int64)
        sums = np.cumsum([float((fold.metrics.get(side) or {}).get("signal_sum") or 0.0) for fold in placed])
        curves.append((times, sums))
    every = np.unique(np.concatenate([times for times, _ in curves]))
    if not len(every):
        return ""
    lines = []
    for style, (times, sums) in zip(STYLES, curves, strict=False):
        values = np.full(len(every), np.nan)
        values[np.searchsorted(every, times)] = sums
        if len(times):
            lines.append(Line(values, style))
    ends = ", ".join(f"{detail.run.run_id[:8]} {sums[-1]:.4g}" for detail, (_, sums) in zip(details, curves, strict=True) if len(sums))
    return line_chart(every, lines, height=280, label=f"Cumulative signal sums at the last fold: {ends}", log=False)
