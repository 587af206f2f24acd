"""`/api/lfs`: Local Feature Selections, their features, shares over time, pairs, null and cases; requests for new ones, and cancelling."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Query, Request, Response

from chronos_assets.errors import ProfileError, UsageError
from chronos_assets.storage.lfs import get_lfs
from chronos_assets.views import documents as doc
from chronos_assets.views import selections as views
from chronos_assets.views.series import Series
from chronos_assets.web import selection_requests as orders
from chronos_assets.web.answers import answer
from chronos_assets.web.context import PROBLEMS, Exact, stores_of
from chronos_assets.web.own_forms import JSON_TYPE, media_type
from chronos_assets.web.series import CONTENT, FormatParameter, chosen_format, series_answer, series_etag, unchanged

router = APIRouter(prefix="/api/lfs/runs", tags=["feature selection"], responses=PROBLEMS)
ORDER = {"required": True, "content": {"application/json": {"schema": orders.LfsOrder.model_json_schema()}}}
LOCATION = {"Location": {"description": "Where the selection is.", "schema": {"type": "string"}}}
WAITS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The same request is complete."},
    202: {"model": doc.LfsSubmission, "description": "The selection waits or runs.", "headers": LOCATION},
}


async def _order(request: Request) -> dict[str, Any]:
    """The body: a JSON object."""
    if not media_type(request):
        raise UsageError("the body must be JSON", code="media_type", expected=f"Content-Type: {JSON_TYPE}", found="none")
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ProfileError("the request's body is not JSON", code="body_invalid", found=str(error)[:200]) from None
    if not isinstance(body, dict):
        raise ProfileError("the request's body is not a JSON object", code="body_invalid", found=type(body).__name__)
    return body


@router.get("", response_model=list[doc.LfsRun], operation_id="list_selections")
def list_selections(request: Request, dataset: Exact = None, target: Exact = None, status: doc.Status | None = None) -> Response:
    """Selections, the newest first."""
    found = views.list_selections(stores_of(request).postgres, dataset, target=target, status=status)
    return answer(request, found, list[doc.LfsRun])


@router.post(
    "",
    response_model=doc.LfsSubmission,
    responses=WAITS,
    openapi_extra={"requestBody": ORDER},
    operation_id="request_selection",
)
def request_selection(request: Request, order: Annotated[dict[str, Any], Depends(_order)]) -> Response:
    """Request a selection. The same request is the same selection: 200 if it is complete, 202 while it waits or runs.

    Dagster does the work. If it cannot be reached, nothing is written, and the hint of the 503 is the command that does the same.
    """
    submission = orders.submit(request, order, requested_by="api")
    return _followed(request, submission.record.lfs_id, completed=submission.outcome == "completed")


@router.post(
    "/{lfs_id}/cancel",
    response_model=doc.LfsSubmission,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: WAITS[202] | {"description": "It stops after the permutation at work; one that is over stays as it is."}},
    operation_id="cancel_selection",
)
def cancel_selection(request: Request, lfs_id: str) -> Response:
    """Ask a selection to stop. It keeps the permutations done, and the same request goes on with it."""
    return _followed(request, orders.cancel(request, lfs_id), completed=False)


def _followed(request: Request, lfs_id: str, *, completed: bool) -> Response:
    document = orders.followed(request, lfs_id)
    headers = {"Location": document.links["self"] or "", "Cache-Control": "no-store"}
    if (key := request.headers.get("idempotency-key")) and key.isascii() and key.isprintable():
        headers["Idempotency-Key"] = key[:200]
    status = HTTPStatus.OK if completed else HTTPStatus.ACCEPTED
    return Response(document.model_dump_json(), status, headers, "application/json")


@router.get("/{lfs_id}", response_model=doc.LfsDetail, operation_id="get_selection")
def get_selection(request: Request, lfs_id: str) -> Response:
    """A selection with its features, the most often chosen one first."""
    selection = views.read_selection(stores_of(request).postgres, lfs_id)
    base = f"/api/lfs/runs/{selection.run.lfs_id}"
    links = {"self": base, **{name: f"{base}/{name}" for name in ("over-time", "pairs", "null", "cases")}}
    return answer(request, doc.LfsDetail(**selection.model_dump(), links=links), doc.LfsDetail)


@router.get("/{lfs_id}/over-time", response_model=doc.LfsShares, operation_id="get_selection_over_time")
def get_over_time(
    request: Request, lfs_id: str, slices: Annotated[int, Query(ge=1, le=500, description="Slices of time.")] = 60
) -> Response:
    """Share of the cases that chose each feature, by slices of about equal numbers of cases."""
    return answer(request, views.read_shares(stores_of(request), lfs_id, slices), doc.LfsShares)


@router.get("/{lfs_id}/pairs", response_model=list[doc.LfsPair], operation_id="get_selection_pairs")
def get_pairs(request: Request, lfs_id: str, limit: Annotated[int, Query(ge=1, le=10_000, description="Pairs at most.")] = 200) -> Response:
    """Pairs of features that cases chose together, the most frequent first."""
    return answer(request, views.read_pairs(stores_of(request), lfs_id, limit=limit), list[doc.LfsPair])


@router.get("/{lfs_id}/null", response_model=doc.LfsNull, operation_id="get_selection_null")
def get_null(request: Request, lfs_id: str) -> Response:
    """Shares under the permutations that are done."""
    return answer(request, views.read_null(stores_of(request), lfs_id), doc.LfsNull)


@router.get(
    "/{lfs_id}/cases",
    response_model=list[dict[str, Any]] | dict[str, list[Any]],
    responses={200: {"content": CONTENT}},
    operation_id="get_selection_cases",
)
def get_cases(request: Request, lfs_id: str, format: FormatParameter = None) -> Response:
    """The cases: `row`, `timestamp_unix`, `class`, and `selected`, the numbers of the chosen features (text in CSV)."""
    stores, kind = stores_of(request), chosen_format(request, format)
    record = get_lfs(stores.postgres, lfs_id)
    etag = series_etag(request, kind, record.lfs_id, record.status, record.completed_at)
    completed = record.status == "completed"
    if (same := unchanged(request, etag, completed=completed)) is not None:
        return same
    frame = views.read_cases(stores, record.lfs_id)
    if kind == "csv":
        frame = frame.with_columns(frame["selected"].cast(pl.List(pl.String)).list.join(" "))
    return series_answer(
        request, Series.of(frame), kind, name=f"{record.dataset_id}-lfs-{record.lfs_id[:8]}", etag=etag, completed=completed
    )
