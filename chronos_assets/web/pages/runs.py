"""`/runs`, `/runs/{id}` and `/runs/compare`: walk-forward runs as a list, one with its folds, and what differs between some."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from chronos_assets.pipeline.walkforward.summary import basis_lines
from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.views.charts import Line, bar_strip, line_chart
from chronos_assets.web.context import Cursor, Exact, Words, stores_of
from chronos_assets.web.pages.forms import number_of
from chronos_assets.web.pages.rendering import page

router = APIRouter(prefix="/runs", include_in_schema=False)
PER_PAGE = 100


@router.get("")
def list_runs(
    *,
    request: Request,
    dataset: Exact = None,
    target: Exact = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
    min_pf: Annotated[str | None, Query(max_length=20)] = None,
    feature: Exact = None,
    current: Annotated[Literal["", "true"] | None, Query()] = None,
    q: Words = None,
    sort: Annotated[str, Query(max_length=40)] = views.NEWEST_FIRST,
    cursor: Cursor = None,
) -> Response:
    """Runs, filtered and sorted as the address says. Empty fields of the form do not count."""
    given = {"dataset": dataset, "target": target, "feature": feature, "q": q}
    filters: dict[str, Any] = {name: value or None for name, value in given.items()}
    filters |= {"status": [status] if status else None, "min_pf": number_of("min_pf", min_pf)}
    filters |= {"current": True if current else None}
    runs = views.list_runs(stores_of(request).postgres, filters, sort=sort, limit=PER_PAGE, cursor=cursor)
    return page(request, "runs.html", runs=runs, sort=sort, filters={**given, "status": status, "min_pf": min_pf, "current": current})


@router.get("/compare")
def compare(request: Request, runs: Annotated[list[str], Query()]) -> Response:
    """What differs between 2 to 8 runs; `runs` repeated, or separated by commas."""
    ids = [one.strip() for part in runs for one in part.split(",") if one.strip()]
    postgres = stores_of(request).postgres
    return page(request, "compare.html", comparison=views.compare_runs(postgres, ids), runs=[views.read_run(postgres, one) for one in ids])


@router.get("/{run_id}")
def show_run(request: Request, run_id: str) -> Response:
    """One run: metrics, the cumulative signal sum, the strip of folds, the table of folds, importance and provenance."""
    postgres = stores_of(request).postgres
    detail = views.read_run_detail(postgres, run_id)
    values: dict[str, Any] = {"detail": detail, "run": detail.run, "importance": views.read_importance(postgres, run_id)}
    values |= {"charts": _charts(detail.folds), "basis": basis_lines(detail.run.summary_metrics or {})}
    return page(request, "run.html", **values)


def _charts(folds: list[doc.Fold]) -> dict[str, str]:
    """The cumulative signal sum over the folds' last test bars, and one bar per fold."""
    placed = [fold for fold in folds if fold.test_end_ts is not None and fold.running_sum is not None]
    if not placed:
        return {}
    times = np.array([int(fold.test_end_ts.timestamp()) for fold in placed if fold.test_end_ts], dtype=np.int64)
    sums = np.array([fold.running_sum for fold in placed], dtype=np.float64)
    values = [float((fold.metrics.get("both") or {}).get("signal_sum") or 0.0) for fold in placed]
    titles = [f"fold {fold.fold_number}: {value:.4g}" for fold, value in zip(placed, values, strict=True)]
    return {
        "sum": line_chart(times, [Line(sums, "both")], height=260, label=f"Cumulative signal sum, {sums[-1]:.4g} at the last fold"),
        "strip": bar_strip(values, titles, height=120, label=f"Signal sum of each of {len(values)} folds"),
    }
