"""What the page of a simulation and its tear sheet show beside the list of trades: charts, months, statistics, luck, origin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.pipeline.walkforward.summary import basis_lines
from chronos_assets.storage.runs import fold_numbers, get_run
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores
from chronos_assets.views import simulations as views
from chronos_assets.views import tear_sheet
from chronos_assets.views.account import drawn_lines, month_ends, read_account
from chronos_assets.views.analysis import SimulationAnalysis, analyse
from chronos_assets.views.charts import Floats, Ints, Line, bar_strip, histogram_chart, line_chart, scatter_chart, value_bars
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.judgement import read_judgement
from chronos_assets.views.runs import read_importance
from chronos_assets.views.series import Span, rows_of
from chronos_assets.views.trades import load_trades

# A sheet with more trades shows the last ones and says where all of them are.
MOST_TRADES = 2_000
MOST_POINTS = 2_000


def whole_values(
    stores: Stores,
    frames: FrameCache,
    record: SimulationRecord,
    span: Span,
    *,
    log: bool | None = None,
    fold_url: str | None = None,
) -> dict[str, Any]:
    """What a whole page shows. `log`: the scale of the account; None: by its growth. `fold_url`: where the
    bar of a fold leads, but for its number."""
    run, folds = get_run(stores.postgres, record.run_id), fold_numbers(stores.postgres, record.run_id)
    shown, _, _ = rows_of(read_account(stores, record, frames), span)
    capital, trades = float(record.config["capital"]), load_trades(stores, record, frames)
    return {
        "charts": _account(shown, drawn_lines(shown, record, frames), log=log) | _strip(trades, folds, fold_url),
        "monthly": tear_sheet.monthly_beside_hold(month_ends(stores, record, frames), capital),
        "months": tear_sheet.MONTHS,
        "rows": tear_sheet.statistics_rows(record.summary_metrics or {}),
        "parameters": tear_sheet.parameters_in_use(record.config),
        "provenance": tear_sheet.provenance_rows(record, run, len(folds)),
        "judgement": read_judgement(stores, record, frames),
        "run": run,
    }


def sheet_values(stores: Stores, frames: FrameCache, record: SimulationRecord) -> dict[str, Any]:
    """Everything that the tear sheet shows."""
    values, analysed = whole_values(stores, frames, record, Span()), analyse(stores, record, frames)
    trades = load_trades(stores, record, frames)
    values["charts"] |= _behind_totals(analysed, trades)
    return values | {
        "detail": views.read_simulation_detail(stores.postgres, record.simulation_id),
        "simulation": views.read_simulation(stores.postgres, record.simulation_id),
        "analysed": analysed,
        "importance": read_importance(stores.postgres, record.run_id),
        "basis": basis_lines(values["run"].summary_metrics or {}),
        "trades": trades.tail(MOST_TRADES),
        "trades_left_out": trades.height > MOST_TRADES,
    }


def made_now() -> str:
    """The time that a sheet says it was made, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")


def _account(series: pl.DataFrame, drawn: Mapping[str, tuple[Ints, Floats]], *, log: bool | None) -> dict[str, Any]:
    """Charts of the rows of an account, drawn by its few points, and what they show in words."""
    if not series.height:
        return {}
    values, position = series["equity"], series["position"].fill_null(0.0)
    worst = series["drawdown_pct"].arg_max() or 0
    times = series["timestamp_unix"][[0, -1]].to_numpy()
    day = np.datetime64(int(series["timestamp_unix"][worst]), "s").astype("datetime64[D]")
    label = f"Equity from {values[0]:,.0f} to {values[-1]:,.0f}; maximum drawdown {series['drawdown_pct'][worst]:.1f} % on {day}"
    low, high = (float(edge) for edge in position.to_frame().select(low=pl.col("position").min(), high=pl.col("position").max()).row(0))
    units = f"Position in units, from {low:.6g} to {high:.6g}"

    def line(name: str, style: str, *, area: bool = False, factor: float = 1.0) -> Line:
        at, points = drawn[name]
        return Line(factor * points, style, area=area, times=at)

    held = series["buy_and_hold"].null_count() < series.height
    lines = [*([line("buy_and_hold", "hold")] if held else []), line("equity", "strategy")]
    return {
        "summary": label,
        "hold_shown": held,
        "equity": line_chart(times, lines, height=300, label=label, log=log),
        "drawdown": line_chart(
            times, [line("drawdown_pct", "drawdown", area=True, factor=-1.0)], height=140, label="Drawdown in percent", unit=" %"
        ),
        "position": line_chart(times, [line("position", "hold", area=True)], height=110, label=units),
    }


def _strip(trades: pl.DataFrame, folds: list[int], fold_url: str | None) -> dict[str, str]:
    """Profit and loss of the trades of each fold, as one bar each."""
    if not folds:
        return {}
    found = trades.group_by("fold").agg(pl.col("pnl").sum(), pl.len())
    by_fold: Mapping[int, tuple[float, int]] = {fold: (pnl, count) for fold, pnl, count in found.iter_rows()}
    values = [float(by_fold.get(number, (0.0, 0))[0] or 0.0) for number in folds]
    counts = [by_fold.get(number, (0.0, 0))[1] for number in folds]
    titles = [f"fold {n}: {v:,.2f} from {c} trades" for n, v, c in zip(folds, values, counts, strict=True)]
    styles = ["hollow" if count == 0 else "" for count in counts]
    label = f"Profit and loss of each of {len(folds)} folds; {counts.count(0)} have no trade"
    links = None if fold_url is None else [f"{fold_url}{number}" for number in folds]
    return {"strip": bar_strip(values, titles, height=120, label=label, styles=styles, links=links)}


def _behind_totals(analysed: SimulationAnalysis, trades: pl.DataFrame) -> dict[str, str]:
    document, charts = analysed.document, {}
    if np.isfinite(analysed.rolling).any():
        low, high = np.nanmin(analysed.rolling), np.nanmax(analysed.rolling)
        label = f"Sharpe ratio over the last {analysed.window_bars} bars, from {low:.2f} to {high:.2f}"
        charts["rolling"] = line_chart(analysed.times, [Line(analysed.rolling, "strategy")], height=160, label=label, log=False)
    if document.trade_returns is not None:
        found = document.trade_returns
        charts["returns"] = histogram_chart(found.edges, found.counts, [0.0], label="Trades by their return in percent")
    if analysed.excursions is not None and trades.height:
        newest = slice(max(0, trades.height - MOST_POINTS), None)
        x, y = analysed.excursions.adverse[newest], trades["return_pct"].to_numpy()[newest]
        charts["excursions"] = scatter_chart(x, y, [], label=f"Return of {len(x)} trades over their maximum adverse excursion")
    titles = [f"tenth {one.number}: {one.mean_outcome:.4g}" for one in document.deciles]
    label = "Mean outcome of each tenth of the predictions, the smallest first"
    charts["deciles"] = value_bars([one.mean_outcome for one in document.deciles], titles, label=label) if document.deciles else ""
    return charts
