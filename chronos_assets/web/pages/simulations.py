"""`/simulations`, `/simulations/{id}` and `/simulations/{id}/trades/{no}`: lists, one simulation with its trades, one trade to its file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from chronos_assets.domain.profiles.simulation import EXIT_REASONS, MODES
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.storage.runs import get_run
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.simulations import list_simulations as list_records
from chronos_assets.views import simulations as views
from chronos_assets.views.series import Span
from chronos_assets.views.trades import TradeFilters, choose_trades, load_trades
from chronos_assets.web.context import Cursor, Exact, Words, frames_of, stores_of
from chronos_assets.web.pages.forms import End, Start, When, number_of, one_of
from chronos_assets.web.pages.rendering import page, page_url
from chronos_assets.web.pages.simulation_values import made_now, sheet_values, whole_values

router = APIRouter(prefix="/simulations", include_in_schema=False)
PER_PAGE = 100
Text = Annotated[str | None, Query(max_length=40)]


@router.get("")
def list_simulations(
    *,
    request: Request,
    dataset: Exact = None,
    run: Exact = None,
    mode: Text = None,
    status: Text = None,
    q: Words = None,
    sort: Annotated[str, Query(max_length=40)] = "-created_at",
    cursor: Cursor = None,
) -> Response:
    """Simulations, filtered and sorted as the address says."""
    postgres = stores_of(request).postgres
    given = {"dataset": dataset, "run": run, "mode": mode, "q": q}
    filters: dict[str, Any] = {name: value or None for name, value in given.items()}
    filters["run"] = get_run(postgres, run).run_id if run else None
    filters["status"] = [status] if status else None
    found = views.list_simulations(postgres, filters, sort=sort, limit=PER_PAGE, cursor=cursor)
    return page(request, "simulations.html", simulations=found, sort=sort, filters={**given, "status": status})


@router.get("/{simulation_id}")
def show_simulation(
    *,
    request: Request,
    simulation_id: str,
    side: Text = None,
    exit_reason: Annotated[list[str] | None, Query()] = None,
    fold: Text = None,
    pnl_lt: Text = None,
    pnl_gt: Text = None,
    entered_from: When = None,
    entered_to: When = None,
    sort: Annotated[str, Query(max_length=40)] = "trade_no",
    cursor: Cursor = None,
    start: Start = None,
    to: End = None,
    scale: Text = None,
    print_: Annotated[str | None, Query(alias="print", max_length=5)] = None,
) -> Response:
    """One simulation: account, drawdown, folds, months, statistics and tests, and its trades filtered as the address says.

    `scale`: of the account's chart. `print=1`: the tear sheet.
    """
    stores, frames = stores_of(request), frames_of(request)
    if print_:
        shown = sheet_values(stores, frames, views.completed(stores.postgres, simulation_id))
        return page(request, "sheet.html", style="", made=made_now(), **shown)
    detail = views.read_simulation_detail(stores.postgres, simulation_id)
    whole = detail.run.status == "completed"
    values: dict[str, Any] = {"detail": detail, "simulation": detail.run, "whole": whole}
    if whole:
        record = views.completed(stores.postgres, simulation_id)
        reasons = [one_of("exit_reason", reason, EXIT_REASONS) for reason in exit_reason or [] if reason]
        chosen = TradeFilters(
            one_of("side", side, ("long", "short")) if side else None,
            reasons or None,
            int(number_of("fold", fold) or 0) if fold else None,
            number_of("pnl_lt", pnl_lt),
            number_of("pnl_gt", pnl_gt),
            entered_from,
            entered_to,
        )
        trades = load_trades(stores, record, frames)
        values["trades"] = choose_trades(trades, chosen, sort=sort, limit=PER_PAGE, cursor=cursor)
        values["filters"] = {"side": side or "", "exit_reason": reasons, "fold": fold or "", "pnl_lt": pnl_lt or "", "pnl_gt": pnl_gt or ""}
        values["filters"] |= {"entered_from": entered_from, "entered_to": entered_to}
        values |= {"sort": sort, "all_trades": trades.height, "reasons": EXIT_REASONS}
        if request.headers.get("hx-request-type") != "partial":
            log = one_of("scale", scale, ("log", "linear")) == "log" if scale else None
            folds = page_url(request, f"/runs/{record.run_id}/folds/")
            values |= whole_values(stores, frames, record, Span(start, to), log=log, fold_url=folds)
            values |= {"siblings": _siblings(request, record), "scale": scale or ""}
    return page(request, "simulation.html", **values)


@router.get("/{simulation_id}/trades/{trade_no}")
def show_trade(request: Request, simulation_id: str, trade_no: Annotated[int, Path(ge=1, le=10**18 - 1)]) -> Response:
    """The trace of one trade: fills, decision, fold, model, bars, run and file."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    count = int((record.summary_metrics or {}).get("trade_count") or 0)
    trace = trace_trade(f"{record.simulation_id}/{trade_no}", stores)
    return page(request, "trade.html", trace=trace, simulation=record, trade_no=trade_no, count=count)


def _siblings(request: Request, record: SimulationRecord) -> list[SimulationRecord]:
    """Simulations of the same run with the same configuration in the other modes, and this one."""
    own = {name: value for name, value in record.config.items() if name != "mode"}
    found = list_records(stores_of(request).postgres, record.run_id)
    same = [one for one in found if {name: value for name, value in one.config.items() if name != "mode"} == own]
    return sorted(same, key=lambda one: MODES.index(one.mode))
