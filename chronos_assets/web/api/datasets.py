"""`/api/datasets`: what is published. The same routes answer below `/api/indicators/datasets`, the name that older clients use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.storage.datasets import get_dataset as registered
from chronos_assets.views import datasets as views
from chronos_assets.views import documents as doc
from chronos_assets.views.series import Span, bar_series
from chronos_assets.web.answers import answer, page_answer
from chronos_assets.web.context import (
    PROBLEMS,
    Digits,
    Exact,
    Fields,
    From,
    Limit,
    Points,
    To,
    Words,
    frames_of,
    names_of,
    reads_of,
    stores_of,
)
from chronos_assets.web.series import CONTENT, FormatParameter, chosen_format, series_answer, series_etag, unchanged

router = APIRouter(tags=["datasets"], responses=PROBLEMS)
PATHS = ("/api/datasets", "/api/indicators/datasets")


def list_datasets(request: Request, symbol: Exact = None, granularity: Exact = None, q: Words = None, fields: Fields = None) -> Response:
    """Published datasets by name."""
    found = views.list_datasets(stores_of(request).postgres, symbol=symbol, granularity=granularity, q=q)
    response = answer(request, found, list[doc.Dataset], fields=fields)
    response.headers["X-Total-Count"] = str(len(found))
    return response


def get_dataset(request: Request, dataset: str) -> Response:
    """One dataset with its columns, its last audit and the profiles of its manifest."""
    return answer(request, views.read_dataset(stores_of(request), dataset), doc.DatasetDetail)


for path in PATHS:
    alias = path != PATHS[0]
    name = "alias_" if alias else ""
    router.add_api_route(path, list_datasets, response_model=list[doc.Dataset], operation_id=f"{name}list_datasets", deprecated=alias)
    router.add_api_route(
        f"{path}/{{dataset}}", get_dataset, response_model=doc.DatasetDetail, operation_id=f"{name}get_dataset", deprecated=alias
    )


@router.get("/api/datasets/{dataset}/features", response_model=list[doc.ColumnStatistics], operation_id="list_features")
def list_features(request: Request, dataset: str, q: Words = None) -> Response:
    """Features of a dataset, with what their published bars hold."""
    found = views.column_statistics(stores_of(request), dataset, "feature", q=q)
    return answer(request, found, list[doc.ColumnStatistics])


@router.get("/api/datasets/{dataset}/targets", response_model=list[doc.TargetStatistics], operation_id="list_targets")
def list_targets(request: Request, dataset: str, q: Words = None) -> Response:
    """Targets of a dataset, with what their published bars hold and how far they look ahead."""
    found = views.column_statistics(stores_of(request), dataset, "target", q=q)
    return answer(request, found, list[doc.TargetStatistics])


@router.get(
    "/api/datasets/{dataset}/bars",
    response_model=list[dict[str, float | int | None]] | dict[str, list[Any]],
    responses={200: {"content": CONTENT}},
    operation_id="get_bars",
)
def get_bars(
    *,
    request: Request,
    dataset: str,
    columns: Annotated[str | None, Query(max_length=20_000, description="Names, separated by commas; without it, the prices.")] = None,
    start: From = None,
    to: To = None,
    points: Points = None,
    digits: Digits = None,
    format: FormatParameter = None,
) -> Response:
    """Published bars in order: `timestamp_unix` and the asked columns."""
    stores, kind = stores_of(request), chosen_format(request, format)
    record = registered(stores.postgres, dataset)
    etag = series_etag(request, kind, record.dataset_id, record.revision, record.content_hash)
    if (same := unchanged(request, etag, completed=False)) is not None:
        return same
    span, reads = Span(start, to, points), reads_of(request)
    series = bar_series(stores, record, names_of(columns), span, frames_of(request), reads=reads).narrowed(None, digits)
    return series_answer(request, series, kind, name=f"{record.dataset_id}-bars", etag=etag, completed=False)


@router.get("/api/datasets/{dataset}/audits", response_model=list[doc.Audit], operation_id="list_audits")
def list_audits(
    request: Request,
    dataset: str,
    limit: Limit = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**62, description="Audits before this one.")] = None,
) -> Response:
    """Attempts to export a dataset, the newest first."""
    postgres = stores_of(request).postgres
    page = views.list_audits(postgres, dataset, limit=limit, before=cursor)
    if not page.total:
        views.check_slug(postgres, dataset)
    return page_answer(request, page, list[doc.Audit])
