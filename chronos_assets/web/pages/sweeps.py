"""`/sweeps` and `/sweeps/{id}`: grids of walk-forward parameters as a list, and one with its runs ranked and mapped over two parameters."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.domain.statistics.ranking import RANKINGS, Ranking
from chronos_assets.views import sweeps as views
from chronos_assets.views.charts import value_map
from chronos_assets.web.context import Exact, frames_of, stores_of
from chronos_assets.web.pages.forms import one_of
from chronos_assets.web.pages.long_tables import RowsAsked, TablePart
from chronos_assets.web.pages.rendering import page

router = APIRouter(prefix="/sweeps", include_in_schema=False)
Axis = Annotated[str, Query(max_length=200)]


@router.get("")
def list_sweeps(request: Request, dataset: Exact = None) -> Response:
    """Sweeps, the newest first."""
    found = views.list_sweeps(stores_of(request).postgres, dataset or None)
    return page(request, "sweeps.html", sweeps=found, filters={"dataset": dataset})


@router.get("/{sweep_id}")
def show_sweep(
    *, request: Request, sweep_id: str, rank_by: Ranking = "profit_factor", x: Axis = "", y: Axis = "", rows: RowsAsked = ""
) -> Response:
    """One sweep: its runs by `rank_by`, how far the best is the luck of the choice, and a map over the axes `x` and `y` of the grid.

    `rows`: which of its runs the table shows.
    """
    detail = views.read_sweep(stores_of(request), sweep_id, frames_of(request), rank_by=rank_by)
    axes = views.axes_of(detail)
    values: dict[str, Any] = {
        "detail": detail,
        "trials": TablePart.of(detail.trials, rows),
        "sweep": detail.sweep,
        "axes": axes,
        "setting": views.setting_of,
        "rankings": RANKINGS,
        "map": "",
        "x": "",
        "y": "",
    }
    values["overfitting"] = detail.overfitting
    if len(axes) > 1:
        across = one_of("x", x, axes) if x else next(axis for axis in axes if axis != y)
        down = one_of("y", y, axes) if y else next(axis for axis in axes if axis != across)
        label = f"{rank_by.replace('_', ' ')} of the runs over {across} and {down}"
        grid = views.value_grid(detail, across, down)
        values |= {"x": across, "y": down, "grid": grid, "map": value_map(grid.across, grid.down, grid.cells, label=label)}
    return page(request, "sweep.html", **values)
