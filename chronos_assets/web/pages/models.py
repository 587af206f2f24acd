"""`/models` and `/models/{id}`: models of live folds as a list, and one with its signals, its backtest and its history."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from chronos_assets.views import models as views
from chronos_assets.web.context import Exact, stores_of
from chronos_assets.web.pages.rendering import page

router = APIRouter(prefix="/models", include_in_schema=False)
SIGNALS_SHOWN = 50


@router.get("")
def list_models(request: Request, dataset: Exact = None) -> Response:
    """Models, the newest first, each with the newest signal that it gave."""
    stores = stores_of(request)
    found = views.list_models(stores.postgres, dataset or None)
    signals = views.newest_signals(stores, found, dataset or None)
    over = views.ended_models(stores.postgres, found, dataset or None)
    return page(request, "models.html", models=found, signals=signals, ended=over, filters={"dataset": dataset})


@router.get("/{model_id}")
def show_model(request: Request, model_id: str) -> Response:
    """One model: the signals that it gave, the newest first; what it was trained on; its backtest; the names that stood for it."""
    stores = stores_of(request)
    model = views.read_model(stores.postgres, model_id)
    signals = views.read_signals(stores, model.dataset_id, model_id=model.model_id, limit=SIGNALS_SHOWN)
    over = model.model_id in views.ended_models(stores.postgres, [model], model.dataset_id)
    return page(request, "model.html", model=model, about=model.description, signals=signals[::-1], over=over)
