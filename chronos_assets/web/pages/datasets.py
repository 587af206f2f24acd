"""`/datasets` and `/datasets/{slug}`: what is published, its columns, audits and runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.storage.datasets import Role
from chronos_assets.storage.stores import Stores
from chronos_assets.views import datasets as views
from chronos_assets.views import documents as doc
from chronos_assets.views import runs as run_views
from chronos_assets.views.charts import sparkline
from chronos_assets.web.context import Words, stores_of
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.pages.runs import list_values

router = APIRouter(prefix="/datasets", include_in_schema=False)
ROLES: tuple[Role, ...] = ("target", "price", "feature")
# A dataset with at most so many values is read for its page without being asked for.
FEW_CELLS = 2_000_000


@router.get("")
def list_datasets(request: Request, q: Words = None) -> Response:
    """All published datasets."""
    stores = stores_of(request)
    return page(request, "datasets.html", datasets=views.list_datasets(stores.postgres, q=q), q=q or "")


@router.get("/{slug}")
def show_dataset(request: Request, slug: str, statistics: Annotated[str, Query(max_length=5)] = "") -> Response:
    """One dataset: its columns by role, audits, profiles and newest runs. `statistics=1` reads all bars even if they are many."""
    stores = stores_of(request)
    dataset = views.read_dataset(stores, slug)
    few = dataset.row_count * len(dataset.columns) <= FEW_CELLS
    runs = run_views.list_runs(stores.postgres, {"dataset": slug}, limit=10)
    return page(
        request,
        "dataset.html",
        dataset=dataset,
        columns_shown=_columns(stores, slug) if few or statistics else {},
        roles=ROLES,
        audits=views.list_audits(stores.postgres, slug, limit=10),
        runs=runs,
        **list_values(stores.postgres, runs.items),
    )


def _columns(stores: Stores, slug: str) -> dict[str, list[tuple[doc.ColumnStatistics, str]]]:
    """By role: each column with its statistics and a line of its values."""
    samples = views.sample_columns(stores, slug)

    def line(name: str) -> str:
        return sparkline([value for value in samples[name] if value is not None], label=f"{name} over time")

    return {role: [(one, line(one.name)) for one in views.column_statistics(stores, slug, role)] for role in ROLES}
