"""`/lfs` and `/lfs/{id}`: Local Feature Selections as a list, and one with its table, shares over time, pairs and null."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator
from starlette.responses import RedirectResponse

from chronos_assets.errors import FileError, NotPublishedError
from chronos_assets.views import documents as doc
from chronos_assets.views import selections as views
from chronos_assets.views.charts import heat_map, histogram_chart
from chronos_assets.views.folds import histogram
from chronos_assets.views.snippets import profile_of_selection
from chronos_assets.web import selection_requests as orders
from chronos_assets.web.context import Exact, stores_of
from chronos_assets.web.pages.forms import typed
from chronos_assets.web.pages.rendering import page
from chronos_assets.web.problems import public
from chronos_assets.web.series import file_answer

router = APIRouter(prefix="/lfs", include_in_schema=False)
Tab = Literal["table", "over-time", "pairs", "null", "setup"]
# An empty field of the form is no limit.
MaxP = Annotated[Annotated[float, Query(ge=0, le=1)] | None, BeforeValidator(typed)]
Sort = Annotated[str, Query(max_length=20)]
SHOWN = 40
PAIRS = 60
SLICES = 60


@router.get("")
def list_selections(
    request: Request, dataset: Exact = None, target: Exact = None, status: Annotated[str | None, Query(max_length=20)] = None
) -> Response:
    """Selections, the newest first."""
    found = views.list_selections(stores_of(request).postgres, dataset or None, target=target or None, status=status or None)
    return page(request, "lfs_list.html", selections=found, filters={"dataset": dataset, "target": target, "status": status})


@router.get("/{lfs_id}")
def show_selection(
    request: Request,
    lfs_id: str,
    tab: Tab = "table",
    max_p: MaxP = None,
    sort: Sort = "-pct",
) -> Response:
    """One selection; `tab` says which view, `max_p` hides features whose unbiased p-value is larger, `sort` orders the table."""
    stores = stores_of(request)
    selection = views.read_selection(stores.postgres, lfs_id)
    features = views.choose_features(selection, sort=sort, max_p=max_p)
    names = [one.feature for _, one in features if one.excluded is None]
    values: dict[str, Any] = {
        "selection": selection,
        "run": selection.run,
        "features": features,
        "names": names,
        "tab": tab,
        "max_p": max_p,
    }
    values |= {"sort": sort, "snippet": profile_of_selection(selection.run, names) if names else ""}
    try:
        values |= _view(request, tab, selection)
        values["missing"] = ""
    except (FileError, NotPublishedError) as error:
        values["missing"] = str(public(error))
    return page(request, "lfs.html", **values)


@router.get("/{lfs_id}/features")
def export(request: Request, lfs_id: str, format: Literal["parquet", "csv"] = "csv", max_p: MaxP = None, sort: Sort = "-pct") -> Response:
    """The features of the table as a file, chosen and ordered as the address says."""
    selection = views.read_selection(stores_of(request).postgres, lfs_id)
    table = views.table_of_features(views.choose_features(selection, sort=sort, max_p=max_p))
    return file_answer(table, format, f"{selection.run.dataset_id}-{selection.run.lfs_id[:8]}-features")


@router.post("/{lfs_id}/cancel")
def cancel(request: Request, lfs_id: str) -> Response:
    """Ask the selection to stop, and show it."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return RedirectResponse(f"{root}/lfs/{orders.cancel(request, lfs_id)}", 303)


def _view(request: Request, tab: Tab, selection: doc.LfsSelection) -> dict[str, Any]:
    """What the chosen tab shows beyond the table; raises `FileError` if this machine does not have the selection's files."""
    stores, lfs_id = stores_of(request), selection.run.lfs_id
    if tab == "over-time":
        shares = views.read_shares(stores, lfs_id, SLICES)
        names, rows = [one.feature for one in shares.features[:SHOWN]], [one.shares for one in shares.features[:SHOWN]]
        starts = [one.first_unix for one in shares.slices]
        return {"shares": shares, "map": heat_map(names, starts, rows, label="Share of the cases that chose each feature, over time")}
    if tab == "pairs":
        return {"pairs": views.read_pairs(stores, lfs_id, limit=PAIRS)}
    if tab == "null":
        null = views.read_null(stores, lfs_id)
        best = selection.features[0] if selection.features else None
        marks = [best.pct] if best is not None and best.pct is not None else []
        found = histogram(np.array(null.best, dtype=np.float64))
        chart = histogram_chart(found.edges, found.counts, marks, label="Best share under permuted targets, in percent") if found else ""
        return {"null": null, "chart": chart, "best": best}
    return {}
