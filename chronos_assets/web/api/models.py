"""`/api/models` and `/api/signals`: models of live folds with their backtests, and the signals that they gave."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views import models as views
from chronos_assets.web.answers import answer
from chronos_assets.web.context import PROBLEMS, Exact, stores_of

router = APIRouter(prefix="/api", tags=["models"], responses=PROBLEMS)
MOST_SIGNALS = 10_000


@router.get("/models", response_model=list[doc.Model], operation_id="list_models")
def list_models(request: Request, dataset: Exact = None) -> Response:
    """Models, the newest first, with the names that stand for them now."""
    return answer(request, views.list_models(stores_of(request).postgres, dataset), list[doc.Model])


@router.get("/models/{model_id}", response_model=doc.ModelDetail, operation_id="get_model")
def get_model(request: Request, model_id: str) -> Response:
    """A model with what its file says of itself, its backtest, and the history of the names that ever stood for it."""
    return answer(request, views.read_model(stores_of(request).postgres, model_id), doc.ModelDetail)


@router.get("/signals", response_model=list[doc.LiveSignal], operation_id="list_signals")
def list_signals(
    request: Request,
    dataset: Exact = None,
    model: Annotated[str | None, Query(max_length=36, description="Id of a model: only what it said.")] = None,
    first: Annotated[datetime | None, Query(alias="from", description="Bars at and after this time (UTC if it names no zone).")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SIGNALS, description="The newest so many.")] = 500,
) -> Response:
    """Signals that were given live, in order of bars: one per model and bar."""
    return answer(
        request,
        views.read_signals(stores_of(request), dataset, model_id=model, first=views.in_utc(first), limit=limit),
        list[doc.LiveSignal],
    )
