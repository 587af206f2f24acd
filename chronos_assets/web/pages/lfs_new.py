"""`/lfs/new`: the form that requests a Local Feature Selection, by the same function as the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from chronos_assets.domain.lfs.estimate import in_words
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.errors import RefusedError, ServiceUnavailableError
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.views.datasets import list_datasets
from chronos_assets.web import selection_requests as orders
from chronos_assets.web.context import stores_of
from chronos_assets.web.own_forms import FIELD, form_of
from chronos_assets.web.pages.rendering import page, page_url
from chronos_assets.web.problems import public, status_of

router = APIRouter(prefix="/lfs/new", include_in_schema=False)
NUMBERS = ("start_row", "end_row", "bins", "max_kept", "iterations", "beta_trials", "permutations", "seed")
# Boxes of the column picker.
TICKED = "feature"
ABOUT = {name: LfsProfile.model_fields[name].description or "" for name in (*NUMBERS, "target", "features", "permutation")}


@router.get("")
def ask(request: Request) -> Response:
    """The form, filled as the address says; an empty field takes what the dataset's manifest says. `estimate=1` says what it would take."""
    fields = fields_of(parse_qs(request.url.query))
    if not fields.pop("estimate", ""):
        return _form(request, fields)
    try:
        return _form(request, fields, estimated=orders.estimate(request, order_of(fields)))
    except RefusedError as error:
        return _form(request, fields, status=status_of(error), said=str(public(error)))


@router.post("")
async def send(request: Request) -> Response:
    """Request the selection and show it; what cannot be used, or the command if Dagster is down, is said above the form."""
    fields = fields_of({name: found for name, found in (await form_of(request)).items() if name != FIELD})
    return await run_in_threadpool(_send, request, fields)


def _send(request: Request, fields: dict[str, str]) -> Response:
    try:
        submission = orders.submit(request, order_of(fields), requested_by="dashboard")
    except (RefusedError, ServiceUnavailableError) as error:
        return _form(request, fields, status=status_of(error), said=str(public(error)))
    return RedirectResponse(page_url(request, f"/lfs/{submission.record.lfs_id}"), 303)


def fields_of(sent: dict[str, list[str]]) -> dict[str, str]:
    """One text per field; ticked features become the text of `features`, unless patterns were typed there."""
    fields = {name: found[0].strip() for name, found in sent.items() if name not in {TICKED, FIELD}}
    if not fields.get("features") and sent.get(TICKED):
        fields["features"] = " ".join(sent[TICKED])
    return fields


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


def _form(
    request: Request, fields: dict[str, str], *, status: int = 200, said: str = "", estimated: dict[str, Any] | None = None
) -> Response:
    """The form; once a dataset is chosen it offers that dataset's targets and features."""
    postgres = stores_of(request).postgres
    datasets = list_datasets(postgres)
    chosen = next((one for one in datasets if one.dataset_id == fields.get("dataset")), datasets[0] if len(datasets) == 1 else None)
    record = None if chosen is None else get_dataset(postgres, chosen.dataset_id)
    words = fields.get("features", "").split()
    columns = [] if record is None else [name for name in record.names("feature") if " " not in name]
    values: dict[str, Any] = {"said": said, "fields": fields, "datasets": datasets, "chosen": chosen, "estimated": estimated}
    values |= {"targets": [] if record is None else record.names("target"), "columns": columns, "numbers": NUMBERS, "about": ABOUT}
    # Nothing ticked means what the manifest says, which is all columns unless it says otherwise.
    values["ticked"] = [name for name in columns if name in words]
    values["patterns"] = "" if set(words) <= set(columns) else fields.get("features", "")
    return page(request, "lfs_new.html", status=status, in_words=in_words, **values)
