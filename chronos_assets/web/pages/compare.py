"""`/runs/compare`: what differs between runs, their metrics, their curves, and their folds side by side."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import runs as views
from chronos_assets.views.series import Span
from chronos_assets.web.context import stores_of
from chronos_assets.web.pages.curves import AXES, SIDES, STYLES, curve_of, drawn_curves
from chronos_assets.web.pages.forms import End, Start, one_of
from chronos_assets.web.pages.rendering import page

router = APIRouter(prefix="/runs/compare", include_in_schema=False)


@router.get("")
def compare(
    *,
    request: Request,
    runs: Annotated[list[str], Query()],
    all: Annotated[str, Query(max_length=5)] = "",
    side: Annotated[str, Query(max_length=10)] = "both",
    axis: Annotated[str, Query(max_length=10)] = "time",
    start: Start = None,
    to: End = None,
) -> Response:
    """What differs between 2 to 8 runs; `runs` repeated, or separated by commas. `all=1` shows what is the same too."""
    one_of("side", side, SIDES)
    one_of("axis", axis, AXES)
    ids = list(dict.fromkeys(one.strip() for part in runs for one in part.split(",") if one.strip()))
    postgres = stores_of(request).postgres
    comparison = views.compare_runs(postgres, ids, everything=bool(all))
    details = [views.read_run_detail(postgres, one) for one in ids]
    values: dict[str, Any] = {"comparison": comparison, "runs": [detail.run for detail in details], "all": all, "side": side, "axis": axis}
    rows = views.common_folds(details, side)
    curves = drawn_curves([curve_of(one, side, axis) for one in details], side, axis, Span(start, to))
    return page(request, "compare.html", **values, sides=SIDES, styles=STYLES, rows=rows, curves=curves)
