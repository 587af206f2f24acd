"""`/api/nights`: what each night came to, dataset by dataset; and what the stores take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views.nights import list_mornings
from chronos_assets.views.space import read_space
from chronos_assets.web.answers import answer
from chronos_assets.web.context import PROBLEMS, stores_of

router = APIRouter(prefix="/api", tags=["nights"], responses=PROBLEMS)


@router.get("/nights", response_model=list[doc.Morning], operation_id="list_nights")
def list_nights(request: Request, limit: Annotated[int, Query(ge=1, le=100, description="Nights, the newest first.")] = 1) -> Response:
    """What the last nights and backfills came to: per dataset bars, folds, signal, equity, and what did not run and why."""
    return answer(request, list_mornings(stores_of(request).postgres, limit=limit), list[doc.Morning])


@router.get("/space", response_model=doc.Space, operation_id="get_space")
def get_space(request: Request) -> Response:
    """Rows alive and dead and bytes of each QuestDB table, bytes of Postgres and of files, growth per night and what it comes to."""
    return answer(request, read_space(stores_of(request)), doc.Space)
