"""`/api/tradesim`: simulations and their buckets."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from chronos_assets.domain.profiles.simulation import EXIT_REASONS
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.views import documents as doc
from chronos_assets.views import simulations as views
from chronos_assets.views.analysis import analyse
from chronos_assets.views.judgement import read_judgement
from chronos_assets.views.series import Series, Span, equity_series
from chronos_assets.views.tear_sheet import monthly_returns
from chronos_assets.views.trades import SORTS, TradeFilters, choose_trades, load_equity, load_trades
from chronos_assets.web.answers import answer, next_page, page_answer
from chronos_assets.web.api.walkforward import Statuses
from chronos_assets.web.context import (
    PROBLEMS,
    Current,
    Cursor,
    Digits,
    Exact,
    Fields,
    From,
    Limit,
    Moment,
    OneOf,
    Points,
    ProfileName,
    To,
    frames_of,
    names_of,
    stores_of,
)
from chronos_assets.web.series import (
    CONTENT,
    MOST_JSON_ROWS,
    Format,
    FormatParameter,
    chosen_format,
    series_answer,
    series_etag,
    unchanged,
)

router = APIRouter(prefix="/api/tradesim", tags=["trade simulator"], responses=PROBLEMS)
SimulationSort = Literal[
    "-created_at",
    "created_at",
    "-total_return_pct",
    "total_return_pct",
    "-sharpe",
    "sharpe",
    "-max_drawdown_pct",
    "max_drawdown_pct",
    "-trade_count",
    "trade_count",
]

ExitReason = Annotated[str, OneOf(*EXIT_REASONS)]
TradeSort = Annotated[str, OneOf(*(f"{sign}{name}" for name in SORTS for sign in ("", "-")))]


@router.get("/runs", response_model=list[doc.Simulation], operation_id="list_simulations")
def list_simulations(
    *,
    request: Request,
    dataset: Exact = None,
    run: Annotated[UUID | None, Query(description="Only those of this walk-forward run.")] = None,
    mode: doc.Mode | None = None,
    status: Statuses = None,
    created_from: Moment = None,
    created_to: Moment = None,
    q: Annotated[str | None, Query(max_length=200, description="Beginning of a simulation_id, or part of a dataset.")] = None,
    min_pf: Annotated[float | None, Query(allow_inf_nan=False, description="Profit factor by trade, at least.")] = None,
    current: Current = None,
    profile: ProfileName = None,
    sort: Annotated[SimulationSort, Query(description="`-`: falling. Simulations without a value come last.")] = "-created_at",
    limit: Limit = 100,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """Simulations, the newest first. `X-Total-Count`: how many the filters choose."""
    filters = {
        "dataset": dataset,
        "run": None if run is None else str(run),
        "mode": mode,
        "status": status,
        "created_from": created_from,
        "created_to": created_to,
        "current": current,
        "profile": profile,
        "q": q or None,
        "min_pf": min_pf,
    }
    page = views.list_simulations(stores_of(request).postgres, filters, sort=sort, limit=limit, cursor=cursor)
    return page_answer(request, page, list[doc.Simulation], fields=fields)


@router.get("/runs/{simulation_id}", response_model=doc.SimulationDetail, operation_id="get_simulation")
def get_simulation(request: Request, simulation_id: str) -> Response:
    """A simulation with the buckets of both sides and what a reader should stop at."""
    return answer(request, views.read_simulation_detail(stores_of(request).postgres, simulation_id), doc.SimulationDetail)


@router.get(
    "/runs/{simulation_id}/trades",
    response_model=list[doc.Trade] | dict[str, Any],
    responses={200: {"content": CONTENT}, 409: PROBLEMS[400]},
    operation_id="list_trades",
)
def list_trades(
    *,
    request: Request,
    simulation_id: str,
    side: doc.Side | None = None,
    exit_reason: Annotated[list[ExitReason] | None, Query(description="Only these (repeatable).")] = None,
    fold: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    pnl_lt: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    pnl_gt: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    entered_from: Moment = None,
    entered_to: Moment = None,
    sort: Annotated[TradeSort, Query(description="`-`: falling. Ties by number.")] = "trade_no",
    limit: Annotated[int | None, Query(ge=1, le=MOST_JSON_ROWS, description="Default: 100 for JSON rows, else all.")] = None,
    cursor: Cursor = None,
    format: FormatParameter = None,
) -> Response:
    """Trades. `X-Total-Count` and `X-Sums` are of all that the filters choose; every format honours the filters."""
    stores, kind = stores_of(request), chosen_format(request, format)
    record = views.completed(stores.postgres, simulation_id)
    etag = _etag(request, kind, record)
    if (same := unchanged(request, etag, completed=True)) is not None:
        return same
    filters = TradeFilters(side, exit_reason, fold, pnl_lt, pnl_gt, entered_from, entered_to)
    rows = limit or (100 if kind == "json" else None)
    page = choose_trades(load_trades(stores, record, frames_of(request)), filters, sort=sort, limit=rows, cursor=cursor)
    sums = json.dumps(page.sums)
    headers = {"X-Total-Count": str(page.total), "X-Sums": sums, **next_page(request, page.cursor)}
    name, extra = _name(record, "trades"), {"_sums": page.sums}
    return series_answer(request, Series.of(page.frame), kind, name=name, etag=etag, completed=True, headers=headers, extra=extra)


@router.get("/runs/{simulation_id}/trades/{trade_no}", response_model=doc.Trace, responses={409: PROBLEMS[400]}, operation_id="get_trade")
def get_trade(request: Request, simulation_id: str, trade_no: Annotated[int, Path(ge=1, le=10**18 - 1)]) -> Response:
    """Where a trade came from: its fold, the fold's model, the bars that decided, entered and left, its run and its file."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    return answer(request, doc.Trace(**trace_trade(f"{record.simulation_id}/{trade_no}", stores)), doc.Trace)


@router.get(
    "/runs/{simulation_id}/equity",
    response_model=list[doc.EquityPoint] | list[doc.EquityBucket] | dict[str, list[Any]],
    responses={200: {"content": CONTENT}, 409: PROBLEMS[400]},
    operation_id="get_equity",
)
def get_equity(
    *,
    request: Request,
    simulation_id: str,
    start: From = None,
    to: To = None,
    points: Points = None,
    columns: Annotated[
        str | None, Query(max_length=400, description="Columns of the answer, separated by commas; without it, all.")
    ] = None,
    digits: Digits = None,
    format: FormatParameter = None,
) -> Response:
    """The account at the close of every bar, beside the starting capital held from the first close on."""
    stores, kind = stores_of(request), chosen_format(request, format)
    record = views.completed(stores.postgres, simulation_id)
    etag = _etag(request, kind, record)
    if (same := unchanged(request, etag, completed=True)) is not None:
        return same
    series = equity_series(stores, record, Span(start, to, points), frames_of(request)).narrowed(names_of(columns), digits)
    return series_answer(request, series, kind, name=_name(record, "equity"), etag=etag, completed=True)


@router.get(
    "/runs/{simulation_id}/monthly", response_model=list[doc.MonthlyReturns], responses={409: PROBLEMS[400]}, operation_id="get_monthly"
)
def get_monthly(request: Request, simulation_id: str) -> Response:
    """Returns of the account by month and year, in percent."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    rows = monthly_returns(load_equity(stores, record, frames_of(request)), float(record.config["capital"]))
    return answer(request, [doc.MonthlyReturns(**row) for row in rows], list[doc.MonthlyReturns])


@router.get("/runs/{simulation_id}/judgement", response_model=doc.Judgement, responses={409: PROBLEMS[400]}, operation_id="get_judgement")
def get_judgement(request: Request, simulation_id: str) -> Response:
    """How far the simulation could be luck: its Sharpe ratio deflated by all trials on record, its p-values adjusted for their number."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    return answer(request, read_judgement(stores, record, frames_of(request)), doc.Judgement)


@router.get("/runs/{simulation_id}/analysis", response_model=doc.Analysis, responses={409: PROBLEMS[400]}, operation_id="get_analysis")
def get_analysis(request: Request, simulation_id: str) -> Response:
    """What lies behind the totals: worst drawdowns, returns and excursions of trades, costs simulated again, outcomes by prediction."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    return answer(request, analyse(stores, record, frames_of(request)).document, doc.Analysis)


def _etag(request: Request, kind: Format, record: SimulationRecord) -> str:
    return series_etag(request, kind, record.simulation_id, record.status, record.completed_at)


def _name(record: SimulationRecord, what: str) -> str:
    return f"{record.dataset_id}-{record.mode}-{record.simulation_id[:8]}-{what}"
