"""`/api/sweeps`: grids of walk-forward parameters, and their runs ranked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.domain.statistics.ranking import Ranking
from chronos_assets.views import documents as doc
from chronos_assets.views import sweeps as views
from chronos_assets.web.answers import answer
from chronos_assets.web.context import PROBLEMS, Exact, frames_of, stores_of

router = APIRouter(prefix="/api/sweeps", tags=["walk-forward"], responses=PROBLEMS)


@router.get("", response_model=list[doc.SweepRow], operation_id="list_sweeps")
def list_sweeps(request: Request, dataset: Exact = None) -> Response:
    """Sweeps, the newest first."""
    return answer(request, views.list_sweeps(stores_of(request).postgres, dataset), list[doc.SweepRow])


@router.get("/{sweep_id}", response_model=doc.SweepDetail, operation_id="get_sweep")
def get_sweep(
    request: Request, sweep_id: str, rank_by: Annotated[Ranking, Query(description="Pooled over both sides.")] = "profit_factor"
) -> Response:
    """A sweep with its runs, the best first, and how much of the best owes to the choice."""
    return answer(request, views.read_sweep(stores_of(request), sweep_id, frames_of(request), rank_by=rank_by), doc.SweepDetail)
