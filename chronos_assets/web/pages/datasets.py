"""`/datasets` and `/datasets/{slug}`: what is published, its columns, audits and runs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from chronos_assets.views import datasets as views
from chronos_assets.views import runs as run_views
from chronos_assets.web.context import Words, stores_of
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.pages.runs import list_values

router = APIRouter(prefix="/datasets", include_in_schema=False)


@router.get("")
def list_datasets(request: Request, q: Words = None) -> Response:
    """All published datasets."""
    stores = stores_of(request)
    return page(request, "datasets.html", datasets=views.list_datasets(stores.postgres, q=q), q=q or "")


@router.get("/{slug}")
def show_dataset(request: Request, slug: str) -> Response:
    """One dataset: its columns by role, audits, profiles and newest runs."""
    stores = stores_of(request)
    runs = run_views.list_runs(stores.postgres, {"dataset": slug}, limit=10)
    return page(
        request,
        "dataset.html",
        dataset=views.read_dataset(stores, slug),
        audits=views.list_audits(stores.postgres, slug, limit=10),
        runs=runs,
        **list_values(stores.postgres, runs.items),
    )
