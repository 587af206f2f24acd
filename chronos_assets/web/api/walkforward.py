"""`/api/walkforward`: runs, their folds, importance, and what differs between runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.views.folds import read_fold
from chronos_assets.views.series import Span, prediction_series
from chronos_assets.web.answers import answer, page_answer
from chronos_assets.web.context import (
    PROBLEMS,
    Current,
    Cursor,
    Digits,
    Exact,
    Fields,
    From,
    Limit,
    Moment,
    Points,
    ProfileName,
    To,
    frames_of,
    stores_of,
)
from chronos_assets.web.series import CONTENT, FormatParameter, chosen_format, series_answer, series_etag, unchanged

router = APIRouter(prefix="/api/walkforward", tags=["walk-forward"], responses=PROBLEMS)
FoldNumber = Annotated[int, Path(ge=0, le=2**31)]
Statuses = Annotated[list[doc.Status] | None, Query(description="Only these (repeatable).")]
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
    current: Current = None,
    profile: ProfileName = None,
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
        "current": current,
        "profile": profile,
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


@router.get("/runs/{run_id}/chosen-features", response_model=doc.ChosenFeatures, operation_id="get_chosen_features")
def get_chosen_features(
    request: Request, run_id: str, slices: Annotated[int, Query(ge=1, le=500, description="Slices of time.")] = 60
) -> Response:
    """How often each feature was chosen by the run's own folds (`features: {select: ...}`), in all and over time."""
    return answer(request, views.read_chosen_features(stores_of(request).postgres, run_id, slices), doc.ChosenFeatures)


@router.get("/runs/{run_id}/folds/{fold_number}", response_model=doc.FoldDetail, operation_id="get_fold")
def get_fold(request: Request, run_id: str, fold_number: FoldNumber) -> Response:
    """A fold with its importance, its predictions as histograms, and how well they rank the target's sign."""
    return answer(request, read_fold(stores_of(request), run_id, fold_number), doc.FoldDetail)


@router.get(
    "/runs/{run_id}/predictions",
    response_model=list[doc.Prediction] | list[doc.PredictionBucket] | dict[str, list[Any]],
    responses={200: {"content": CONTENT}},
    operation_id="get_predictions",
)
def get_predictions(
    *,
    request: Request,
    run_id: str,
    fold: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    signal: Annotated[Literal["long", "short", "any"] | None, Query(description="Only rows that give this signal.")] = None,
    start: From = None,
    to: To = None,
    points: Points = None,
    digits: Digits = None,
    format: FormatParameter = None,
) -> Response:
    """Predictions of the run's test rows in bar order: those of the folds that are stored by now."""
    stores, kind = stores_of(request), chosen_format(request, format)
    run = views.read_run(stores.postgres, run_id)
    etag = series_etag(request, kind, run.run_id, run.status, run.completed_at, run.folds_present)
    completed = run.status == "completed"
    if (same := unchanged(request, etag, completed=completed)) is not None:
        return same
    span = Span(start, to, points)
    series = prediction_series(stores, run, span, frames_of(request), fold=fold, signal=signal).narrowed(None, digits)
    name = f"{run.dataset_id}-{run.run_id[:8]}-predictions"
    return series_answer(request, series, kind, name=name, etag=etag, completed=completed)


@router.get("/compare", response_model=doc.Comparison, operation_id="compare_runs")
def compare_runs(
    request: Request, runs: Annotated[str, Query(max_length=400, description="2 to 8 run ids, separated by commas.")]
) -> Response:
    """What differs between runs in what was asked for, and the metrics of each."""
    ids = [part.strip() for part in runs.split(",") if part.strip()]
    return answer(request, views.compare_runs(stores_of(request).postgres, ids), doc.Comparison)
