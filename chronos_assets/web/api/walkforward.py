"""`/api/walkforward`: runs, their folds, importance, and what differs between runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.web.answers import answer, page_answer
from chronos_assets.web.context import PROBLEMS, Cursor, Exact, Fields, Limit, stores_of

router = APIRouter(prefix="/api/walkforward", tags=["walk-forward"], responses=PROBLEMS)
Statuses = Annotated[list[doc.Status] | None, Query(description="Only these (repeatable).")]
Moment = Annotated[datetime | None, Query(description="ISO 8601; without an offset, UTC.")]
RunSort = Literal[
    "-created_at",
    "created_at",
    "-duration_ms",
    "duration_ms",
    "-both.profit_factor",
    "both.profit_factor",
    "-both.signal_sum",
    "both.signal_sum",
]


@router.get("/runs", response_model=list[doc.Run], operation_id="list_runs")
def list_runs(
    *,
    request: Request,
    dataset: Exact = None,
    target: Exact = None,
    status: Statuses = None,
    created_from: Moment = None,
    created_to: Moment = None,
    q: Annotated[str | None, Query(max_length=200, description="Beginning of a run_id, or part of a dataset or target.")] = None,
    min_pf: Annotated[float | None, Query(allow_inf_nan=False, description="Profit factor of both sides, at least.")] = None,
    feature: Annotated[str | None, Query(max_length=500, description="Only runs that use this feature.")] = None,
    sort: Annotated[RunSort, Query(description="`-`: falling. Runs without a value come last.")] = "-created_at",
    limit: Limit = 100,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """Walk-forward runs, the newest first. `X-Total-Count`: how many the filters choose."""
    filters = {
        "dataset": dataset,
        "target": target,
        "status": status,
        "created_from": created_from,
        "created_to": created_to,
        "q": q or None,
        "min_pf": min_pf,
        "feature": feature,
    }
    page = views.list_runs(stores_of(request).postgres, filters, sort=sort, limit=limit, cursor=cursor)
    return page_answer(request, page, list[doc.Run], fields=fields)


@router.get("/runs/{run_id}", response_model=doc.RunDetail, operation_id="get_run")
def get_run(
    request: Request, run_id: str, folds: Annotated[Literal["all", "none"], Query(description="`none`: without its folds.")] = "all"
) -> Response:
    """A run with its folds, the simulations made from it, and what a reader should stop at."""
    return answer(request, views.read_run_detail(stores_of(request).postgres, run_id, folds=folds == "all"), doc.RunDetail)


@router.get("/runs/{run_id}/importance", response_model=list[doc.Importance], operation_id="get_importance")
def get_importance(request: Request, run_id: str) -> Response:
    """Pooled importance of the run's features, the most important one first; empty before the run is complete."""
    return answer(request, views.read_importance(stores_of(request).postgres, run_id), list[doc.Importance])


@router.get("/compare", response_model=doc.Comparison, operation_id="compare_runs")
def compare_runs(
    request: Request, runs: Annotated[str, Query(max_length=400, description="2 to 8 run ids, separated by commas.")]
) -> Response:
    """What differs between runs in what was asked for, and the metrics of each."""
    ids = [part.strip() for part in runs.split(",") if part.strip()]
    return answer(request, views.compare_runs(stores_of(request).postgres, ids), doc.Comparison)
