"""`/simulations`, `/simulations/{id}` and `/simulations/{id}/trades/{no}`: lists, one simulation with its trades, one trade to its file."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Path, Query, Request, Response

from chronos_assets.domain.simulation.rules import EXIT_REASONS
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.storage.runs import get_folds, get_run
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.views import simulations as views
from chronos_assets.views import tear_sheet
from chronos_assets.views.charts import Line, bar_strip, line_chart
from chronos_assets.views.series import Span, equity_series
from chronos_assets.views.trades import TradeFilters, choose_trades, load_equity, load_trades
from chronos_assets.web.context import Cursor, Exact, From, Moment, To, Words, frames_of, stores_of
from chronos_assets.web.pages.forms import number_of, one_of
from chronos_assets.web.pages.rendering import page

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
    entered_from: Moment = None,
    entered_to: Moment = None,
    sort: Annotated[str, Query(max_length=40)] = "trade_no",
    cursor: Cursor = None,
    start: From = None,
    to: To = None,
) -> Response:
    """One simulation: account, drawdown, folds, months, statistics and tests, and its trades filtered as the address says."""
    stores, frames = stores_of(request), frames_of(request)
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
            values |= _whole(request, record, Span(start, to))
    return page(request, "simulation.html", **values)


@router.get("/{simulation_id}/trades/{trade_no}")
def show_trade(request: Request, simulation_id: str, trade_no: Annotated[int, Path(ge=1, le=10**18 - 1)]) -> Response:
    """The trace of one trade: fills, decision, fold, model, bars, run and file."""
    stores = stores_of(request)
    record = views.completed(stores.postgres, simulation_id)
    count = int((record.summary_metrics or {}).get("trade_count") or 0)
    trace = trace_trade(f"{record.simulation_id}/{trade_no}", stores)
    return page(request, "trade.html", trace=trace, simulation=record, trade_no=trade_no, count=count)


def _whole(request: Request, record: SimulationRecord, span: Span) -> dict[str, Any]:
    """What a whole page shows beside the trades: charts for readers without a script, months, statistics, luck, parameters, provenance."""
    stores, frames = stores_of(request), frames_of(request)
    run, folds = get_run(stores.postgres, record.run_id), get_folds(stores.postgres, record.run_id)
    equity, summary = load_equity(stores, record, frames), record.summary_metrics or {}
    series = pl.concat(list(equity_series(stores, record, span, frames).pieces()))
    return {
        "charts": _charts(series) | _strip(load_trades(stores, record, frames), [fold.fold_number for fold in folds]),
        "monthly": tear_sheet.monthly_returns(equity, float(record.config["capital"])),
        "months": tear_sheet.MONTHS,
        "rows": tear_sheet.statistics_rows(summary),
        "parameters": tear_sheet.flat_parameters(
            {key: value for key, value in record.config.items() if key not in {"prices", "code_version", "mode"}}
        ),
        "provenance": tear_sheet.provenance_rows(record, run, folds),
        "judgement": views.read_judgement(stores, record),
        "run": run,
        "s": summary,
    }


def _charts(series: pl.DataFrame) -> dict[str, str]:
    if not series.height:
        return {}
    times, values = series["timestamp_unix"].to_numpy(), series["equity"].to_numpy()
    hold = series["buy_and_hold"].fill_null(np.nan).to_numpy()
    lines = [Line(values, "strategy")] if not np.isfinite(hold).any() else [Line(hold, "hold"), Line(values, "strategy")]
    drawdown = series["drawdown_pct"].to_numpy()
    worst = int(np.argmax(drawdown))
    day = np.datetime64(int(times[worst]), "s").astype("datetime64[D]")
    label = f"Equity from {values[0]:,.0f} to {values[-1]:,.0f}; maximum drawdown {drawdown[worst]:.1f} % on {day}"
    return {
        "summary": label,
        "equity": line_chart(times, lines, height=300, label=label),
        "drawdown": line_chart(times, [Line(-drawdown, "drawdown", area=True)], height=140, label="Drawdown in percent", unit=" %"),
    }


def _strip(trades: pl.DataFrame, folds: list[int]) -> dict[str, str]:
    """Profit and loss of the trades of each fold, as one bar each."""
    by_fold = dict(trades.group_by("fold").agg(pl.col("pnl").sum()).iter_rows())
    values = [float(by_fold.get(number, 0.0) or 0.0) for number in folds]
    titles = [f"fold {number}: pnl {value:,.2f}" for number, value in zip(folds, values, strict=True)]
    return {"strip": bar_strip(values, titles, height=120, label=f"Profit and loss of each of {len(folds)} folds")} if folds else {}
