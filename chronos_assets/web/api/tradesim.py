"""`/api/tradesim`: simulations and their buckets."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views import simulations as views
from chronos_assets.web.answers import answer, page_answer
from chronos_assets.web.api.walkforward import Moment, Statuses
from chronos_assets.web.context import PROBLEMS, Cursor, Exact, Fields, Limit, stores_of

router = APIRouter(prefix="/api/tradesim", tags=["trade simulator"], responses=PROBLEMS)
SimulationSort = Literal[
    "-created_at",
    "created_at",
    "-total_return_pct",
    "total_return_pct",
    "-sharpe",
    "sharpe",
    "-max_drawdown_pct",
    "max_drawdown_pct",
    "-trade_count",
    "trade_count",
]


@router.get("/runs", response_model=list[doc.Simulation], operation_id="list_simulations")
def list_simulations(
    *,
    request: Request,
    dataset: Exact = None,
    run: Annotated[UUID | None, Query(description="Only those of this walk-forward run.")] = None,
    mode: doc.Mode | None = None,
    status: Statuses = None,
    created_from: Moment = None,
    created_to: Moment = None,
    q: Annotated[str | None, Query(max_length=200, description="Beginning of a simulation_id, or part of a dataset.")] = None,
    min_pf: Annotated[float | None, Query(allow_inf_nan=False, description="Profit factor by trade, at least.")] = None,
    sort: Annotated[SimulationSort, Query(description="`-`: falling. Simulations without a value come last.")] = "-created_at",
    limit: Limit = 100,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """Simulations, the newest first. `X-Total-Count`: how many the filters choose."""
    filters = {
        "dataset": dataset,
        "run": None if run is None else str(run),
        "mode": mode,
        "status": status,
        "created_from": created_from,
        "created_to": created_to,
        "q": q or None,
        "min_pf": min_pf,
    }
    page = views.list_simulations(stores_of(request).postgres, filters, sort=sort, limit=limit, cursor=cursor)
    return page_answer(request, page, list[doc.Simulation], fields=fields)


@router.get("/runs/{simulation_id}", response_model=doc.SimulationDetail, operation_id="get_simulation")
def get_simulation(request: Request, simulation_id: str) -> Response:
    """A simulation with the buckets of both sides and what a reader should stop at."""
    return answer(request, views.read_simulation_detail(stores_of(request).postgres, simulation_id), doc.SimulationDetail)
