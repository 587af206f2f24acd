"""`/runs` and `/runs/{id}`: walk-forward runs as a list, and one with its folds."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from chronos_assets.pipeline.walkforward.store import LEARNED_NOTHING
from chronos_assets.pipeline.walkforward.summary import basis_lines
from chronos_assets.storage.postgres import Postgres
from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.views import simulations as simulation_views
from chronos_assets.views.charts import Line, bar_strip, line_chart, sparkline
from chronos_assets.views.series import Series
from chronos_assets.web.context import Cursor, Exact, Words, stores_of
from chronos_assets.web.pages.forms import End, Start, number_of, one_of
from chronos_assets.web.pages.rendering import page, page_url
from chronos_assets.web.pages.run_columns import COLUMNS, chosen_columns
from chronos_assets.web.series import MEDIA_TYPES, encoded

router = APIRouter(prefix="/runs", include_in_schema=False)
PER_PAGE = 100
MOST_PINS = 3
SIDES = ("both", "long", "short")
# Which folds the table shows: all, or those with signals, with a loss, or with a note.
FOLD_CHOICES = ("signals", "loss", "notes")
Current = Annotated[Literal["", "true"] | None, Query()]
Names = Annotated[list[str] | None, Query(max_length=40)]


@router.get("")
def list_runs(
    *,
    request: Request,
    dataset: Exact = None,
    target: Exact = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
    min_pf: Annotated[str | None, Query(max_length=20)] = None,
    feature: Exact = None,
    current: Current = None,
    q: Words = None,
    sort: Annotated[str, Query(max_length=40)] = views.NEWEST_FIRST,
    columns: Names = None,
    pin: Names = None,
    cursor: Cursor = None,
) -> Response:
    """Runs, filtered and sorted as the address says, those of `pin` on top. Empty fields of the form do not count."""
    given = {"dataset": dataset, "target": target, "status": status, "min_pf": min_pf, "feature": feature, "current": current, "q": q}
    postgres, pins = stores_of(request).postgres, list(dict.fromkeys(one for one in pin or [] if one))[:MOST_PINS]
    runs = views.list_runs(postgres, _filters(given), sort=sort, limit=PER_PAGE, cursor=cursor)
    pinned = [views.read_run(postgres, one) for one in pins]
    rows = [run for run in runs.items if run.run_id not in {one.run_id for one in pinned}]
    values: dict[str, Any] = {
        "runs": runs,
        "rows": rows,
        "pinned": pinned,
        "pins": pins,
        "sort": sort,
        "filters": given,
        "all_columns": COLUMNS,
    }
    return page(request, "runs.html", **values, **list_values(postgres, [*pinned, *runs.items], columns))


@router.get("/export")
def export(
    *,
    request: Request,
    format: Literal["parquet", "csv"] = "parquet",
    dataset: Exact = None,
    target: Exact = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
    min_pf: Annotated[str | None, Query(max_length=20)] = None,
    feature: Exact = None,
    current: Current = None,
    q: Words = None,
) -> Response:
    """All runs that the filters choose, with their metrics, as one file."""
    given = {"dataset": dataset, "target": target, "status": status, "min_pf": min_pf, "feature": feature, "current": current, "q": q}
    table = views.table_of_runs(stores_of(request).postgres, _filters(given))
    headers = {"Content-Disposition": f'attachment; filename="runs.{format}"', "Cache-Control": "no-store"}
    return Response(b"".join(encoded(Series.of(table), format)), media_type=MEDIA_TYPES[format], headers=headers)


def _filters(given: dict[str, str | None]) -> dict[str, Any]:
    filters: dict[str, Any] = {name: given[name] or None for name in ("dataset", "target", "feature", "q")}
    filters |= {"status": [given["status"]] if given["status"] else None, "min_pf": number_of("min_pf", given["min_pf"])}
    return filters | {"current": True if given["current"] else None}


def list_values(postgres: Postgres, runs: list[doc.Run], names: list[str] | None = None) -> dict[str, Any]:
    """What a table of runs needs beside its rows: its columns, and each run's line if it is among them."""
    columns = chosen_columns(names)
    lines = views.running_lines(postgres, runs) if any(column.key == "running" for column in columns) else {}
    drawn = {run_id: sparkline(line, label=f"Running sum to {line[-1]:.4g}") for run_id, line in lines.items()}
    return {"columns": columns, "running": {run_id: line for run_id, line in drawn.items() if line}}


@router.get("/{run_id}")
def show_run(
    *,
    request: Request,
    run_id: str,
    side: Annotated[str, Query(max_length=10)] = "both",
    folds: Annotated[str, Query(max_length=10)] = "",
    start: Start = None,
    to: End = None,
) -> Response:
    """One run: metrics, the cumulative signal sum of `side`, one bar per fold, the folds that `folds` chooses, importance, provenance."""
    postgres = stores_of(request).postgres
    detail = views.read_run_detail(postgres, run_id)
    one_of("side", side, SIDES)
    if folds:
        one_of("folds", folds, FOLD_CHOICES)
    simulations = simulation_views.list_simulations(postgres, {"run": detail.run.run_id}, limit=20)
    values: dict[str, Any] = {"detail": detail, "run": detail.run, "importance": views.read_importance(postgres, run_id)}
    values |= {"charts": _charts(request, detail, side, start, to), "basis": basis_lines(detail.run.summary_metrics or {})}
    values |= {"side": side, "sides": SIDES, "simulations": simulations, "fold_choice": folds, "fold_choices": FOLD_CHOICES}
    return page(request, "run.html", **values, folds=[fold for fold in detail.folds if _chosen(fold, folds)])


def _chosen(fold: doc.Fold, choice: str) -> bool:
    both = fold.metrics.get("both") or {}
    if choice == "signals":
        return bool(both.get("n_signals"))
    if choice == "loss":
        return (both.get("signal_sum") or 0.0) < 0.0
    return choice != "notes" or bool(fold.metrics.get("notes"))


def _charts(request: Request, detail: doc.RunDetail, side: str, start: Start, to: End) -> dict[str, Any]:
    """The cumulative signal sum over the folds' last test bars, and one bar per fold."""
    placed = [fold for fold in detail.folds if fold.test_end_ts is not None]
    if not placed:
        return {}
    values = [float((fold.metrics.get(side) or {}).get("signal_sum") or 0.0) for fold in placed]
    times = np.array([int(fold.test_end_ts.timestamp()) for fold in placed if fold.test_end_ts], dtype=np.int64)
    sums = np.cumsum(values)
    columns = json.dumps({"timestamp_unix": times.tolist(), side: [float(f"{value:.6g}") for value in sums]})
    shown = np.ones(len(times), dtype=bool) if start is None else times >= start.timestamp()
    shown &= True if to is None else times < to.timestamp()
    titles = [
        f"fold {fold.fold_number}: {value:.4g}, {_state(fold, side) or 'signals'}" for fold, value in zip(placed, values, strict=True)
    ]
    styles = [_STYLES.get(_state(fold, side), "") for fold in placed]
    links = [page_url(request, f"/runs/{detail.run.run_id}/folds/{fold.fold_number}") for fold in placed]
    label = f"Cumulative signal sum, {sums[-1]:.4g} at the last fold"
    empty = sum(style == "hollow" for style in styles)
    strip_label = f"Signal sum of each of {len(values)} folds; {empty} without signals"
    return {
        "summary": label,
        "columns": columns,
        "sum": line_chart(times[shown], [Line(sums[shown], side)], height=260, label=label, log=False) if shown.any() else "",
        "strip": bar_strip(values, titles, height=120, label=strip_label, styles=styles, links=links),
    }


_STYLES = {"learned nothing": "hatched", "no signals": "hollow"}


def _state(fold: doc.Fold, side: str) -> str:
    """What a fold's bar alone does not say."""
    if LEARNED_NOTHING in (fold.metrics.get("notes") or []):
        return "learned nothing"
    return "" if (fold.metrics.get(side) or {}).get("n_signals") else "no signals"
