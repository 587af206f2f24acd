"""`/lfs/new`: the form that requests a Local Feature Selection, by the same function as the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.errors import RefusedError, ServiceUnavailableError
from chronos_assets.views.datasets import list_datasets
from chronos_assets.web import selection_requests as orders
from chronos_assets.web.context import Exact, stores_of
from chronos_assets.web.own_forms import FIELD, form_of
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.problems import public, status_of

router = APIRouter(prefix="/lfs/new", include_in_schema=False)
NUMBERS = ("start_row", "end_row", "bins", "max_kept", "iterations", "beta_trials", "permutations", "seed")
ABOUT = {name: LfsProfile.model_fields[name].description or "" for name in (*NUMBERS, "target", "features", "permutation")}


@router.get("")
def ask(request: Request, dataset: Exact = None) -> Response:
    """The empty form; an empty field takes what the dataset's manifest says."""
    return _form(request, {"dataset": dataset or ""})


@router.post("")
async def send(request: Request) -> Response:
    """Request the selection and show it; what cannot be used, or the command if Dagster is down, is said above the form."""
    fields = {name: found[0].strip() for name, found in (await form_of(request)).items() if name != FIELD}
    return await run_in_threadpool(_send, request, fields)


def _send(request: Request, fields: dict[str, str]) -> Response:
    try:
        submission = orders.submit(request, order_of(fields), requested_by="dashboard")
    except (RefusedError, ServiceUnavailableError) as error:
        return _form(request, fields, status=status_of(error), said=str(public(error)))
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return RedirectResponse(f"{root}/lfs/{submission.record.lfs_id}", 303)


def order_of(fields: dict[str, str]) -> dict[str, Any]:
    """Typed fields as the API takes them: empty ones are left out, whole numbers are numbers, features are separated by spaces."""
    order: dict[str, Any] = {name: text for name, text in fields.items() if text}
    for name in NUMBERS:
        text = fields.get(name, "")
        if text.isascii() and text.isdigit() and len(text) < 20:
            order[name] = int(text)
    if "features" in order and order["features"] != "all":
        order["features"] = fields["features"].split()
    return order


def _form(request: Request, fields: dict[str, str], *, status: int = 200, said: str = "") -> Response:
    datasets = [one.dataset_id for one in list_datasets(stores_of(request).postgres)]
    return page(request, "lfs_new.html", status=status, said=said, fields=fields, datasets=datasets, numbers=NUMBERS, about=ABOUT)
