"""`/runs` and `/runs/{id}`: walk-forward runs as a list, and one with its folds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from chronos_assets.pipeline.walkforward.store import LEARNED_NOTHING
from chronos_assets.pipeline.walkforward.summary import basis_lines
from chronos_assets.storage.postgres import Postgres
from chronos_assets.views import documents as doc
from chronos_assets.views import runs as views
from chronos_assets.views import simulations as simulation_views
from chronos_assets.views.charts import bar_strip, sparkline
from chronos_assets.views.series import Span
from chronos_assets.views.snippets import profile_of_run
from chronos_assets.web.context import Cursor, Exact, Words, stores_of
from chronos_assets.web.pages.curves import AXES, SIDES, STYLES, curve_of, drawn_curves
from chronos_assets.web.pages.forms import End, Start, number_of, one_of
from chronos_assets.web.pages.long_tables import RowsAsked, TablePart
from chronos_assets.web.pages.rendering import page, page_url
from chronos_assets.web.pages.run_columns import COLUMNS, chosen_columns
from chronos_assets.web.series import file_answer

router = APIRouter(prefix="/runs", include_in_schema=False)
PER_PAGE = 100
MOST_PINS = 3
MOST_BESIDE = 4
OFFERED = 12
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
    return file_answer(table, format, "runs")


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
    rows: RowsAsked = "",
    beside: Names = None,
    axis: Annotated[str, Query(max_length=10)] = "time",
    start: Start = None,
    to: End = None,
) -> Response:
    """One run: metrics, the cumulative signal sum of `side`, one bar per fold, the folds that `folds` chooses, importance, provenance.

    `rows`: which of the folds the table shows; `beside`: up to 4 other runs whose sums are drawn too; `axis`: by `time`, or by the number
    of the `fold`.
    """
    postgres = stores_of(request).postgres
    detail = views.read_run_detail(postgres, run_id)
    one_of("side", side, SIDES)
    one_of("axis", axis, AXES)
    if folds:
        one_of("folds", folds, FOLD_CHOICES)
    simulations = simulation_views.list_simulations(postgres, {"run": detail.run.run_id}, limit=20)
    values: dict[str, Any] = {"detail": detail, "run": detail.run, "importance": views.read_importance(postgres, run_id)}
    others = [views.read_run_detail(postgres, one) for one in dict.fromkeys(beside or []) if one and one != detail.run.run_id][:MOST_BESIDE]
    curves = [curve_of(one, side, axis) for one in (detail, *others)]
    values |= {"charts": _charts(request, detail, side), "curves": drawn_curves(curves, side, axis, Span(start, to))}
    values |= {
        "beside": [one.run for one in others],
        "styles": STYLES,
        "axis": axis,
        "comparable": _comparable(postgres, detail.run, others),
    }
    values |= {"snippet": profile_of_run(postgres, detail.run.run_id), "basis": basis_lines(detail.run.summary_metrics or {})}
    values |= {"side": side, "sides": SIDES, "simulations": simulations, "fold_choice": folds, "fold_choices": FOLD_CHOICES}
    return page(request, "run.html", **values, folds=TablePart.of([fold for fold in detail.folds if _chosen(fold, folds)], rows))


def _chosen(fold: doc.Fold, choice: str) -> bool:
    both = fold.metrics.get("both") or {}
    if choice == "signals":
        return bool(both.get("n_signals"))
    if choice == "loss":
        return (both.get("signal_sum") or 0.0) < 0.0
    return choice != "notes" or bool(fold.metrics.get("notes"))


def _comparable(postgres: Postgres, run: doc.Run, beside: list[doc.RunDetail]) -> list[doc.Run]:
    """Runs that a reader may want beside this one: those that are, and the newest others on its dataset and target."""
    found = views.list_runs(postgres, {"dataset": run.dataset_id, "target": run.target_column}, limit=OFFERED).items
    chosen = [one.run for one in beside]
    return chosen + [one for one in found if one.run_id not in {run.run_id, *(other.run_id for other in chosen)}]


def _charts(request: Request, detail: doc.RunDetail, side: str) -> dict[str, str]:
    """One bar per fold."""
    placed = [fold for fold in detail.folds if fold.test_end_ts is not None]
    if not placed:
        return {}
    values = [float((fold.metrics.get(side) or {}).get("signal_sum") or 0.0) for fold in placed]
    titles = [
        f"fold {fold.fold_number}: {value:.4g}, {_state(fold, side) or 'signals'}" for fold, value in zip(placed, values, strict=True)
    ]
    styles = [_STYLES.get(_state(fold, side), "") for fold in placed]
    links = [page_url(request, f"/runs/{detail.run.run_id}/folds/{fold.fold_number}") for fold in placed]
    empty = sum(style == "hollow" for style in styles)
    strip_label = f"Signal sum of each of {len(values)} folds; {empty} without signals"
    return {"strip": bar_strip(values, titles, height=120, label=strip_label, styles=styles, links=links)}


_STYLES = {"learned nothing": "hatched", "no signals": "hollow"}


def _state(fold: doc.Fold, side: str) -> str:
    """What a fold's bar alone does not say."""
    if LEARNED_NOTHING in (fold.metrics.get("notes") or []):
        return "learned nothing"
    return "" if (fold.metrics.get(side) or {}).get("n_signals") else "no signals"
