"""The tear sheet of a simulation: one HTML file with everything inside, from what both stores hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.slug import Slug
from chronos_assets.errors import RefusedError
from chronos_assets.pipeline.simulation.judgement import deflated, tests_of_page
from chronos_assets.pipeline.simulation.price_artifacts import read_prices
from chronos_assets.pipeline.simulation.prices import price_columns
from chronos_assets.pipeline.walkforward.summary import basis_lines
from chronos_assets.storage.atomic_write import write_file
from chronos_assets.storage.datasets import get_dataset, read_range
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run
from chronos_assets.storage.simulations import SimulationRecord, get_buckets, get_simulation, read_equity, read_trades
from chronos_assets.storage.stores import Stores
from chronos_assets.views.charts import Line, bar_strip, line_chart

TRADES_SHOWN = 200
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Floats = npt.NDArray[np.float64]


def write_tearsheet(simulation_id: str, stores: Stores, output: Path | None = None) -> Path:
    """Write the sheet to `output` (default: `reports/` beside the artifacts) and return its absolute path.

    Raises `RefusedError` for a simulation that is not completed.
    """
    simulation = get_simulation(stores.postgres, simulation_id)
    slug = Slug.parse(simulation.dataset_id)  # it comes from a table, and becomes part of a path
    path = output or stores.artifacts / "reports" / f"{slug}-{simulation.mode}-{simulation.simulation_id}.html"
    path = path.expanduser().absolute()
    html = render_tearsheet(simulation, stores)
    write_file(path, html.encode())
    return path


def render_tearsheet(simulation: SimulationRecord, stores: Stores) -> str:
    """The sheet as text."""
    from jinja2 import Environment, PackageLoader

    if simulation.status != "completed" or simulation.summary_metrics is None:
        raise RefusedError(
            f"simulation {simulation.simulation_id} is not complete",
            code="simulation_incomplete",
            found=f"status {simulation.status}",
            hint=f"`chronos simulate {simulation.run_id}` finishes it.",
        )
    run = get_run(stores.postgres, simulation.run_id)
    trades, equity = read_trades(stores, simulation.simulation_id), read_equity(stores, simulation.simulation_id)
    environment = Environment(loader=PackageLoader("chronos_assets.views"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "units": _units,
        "day": _day,
        "minute": _minute,
        "words": lambda t: str(t).replace("_", " "),
    }
    folds = get_folds(stores.postgres, run.run_id)
    return environment.get_template("tearsheet.html.j2").render(
        simulation=simulation,
        run=run,
        config=simulation.config,
        s=simulation.summary_metrics,
        buckets=get_buckets(stores.postgres, simulation.simulation_id),
        charts=_equity_charts(equity, buy_and_hold(simulation, run, stores, equity["timestamp_unix"].to_numpy()))
        | _fold_chart(trades, folds),
        months=MONTHS,
        monthly=monthly_returns(equity, float(simulation.config["capital"])),
        trades=_shown_trades(trades),
        trades_left_out=max(0, trades.height - TRADES_SHOWN),
        tests={test.test: test for test in tests_of_page({simulation.mode: simulation.summary_metrics})},
        deflated=deflated(stores, run.run_id, [simulation.simulation_id])[simulation.simulation_id],
        basis=basis_lines(run.summary_metrics or {}),
        rows=statistics_rows(simulation.summary_metrics),
        parameters=flat_parameters({k: v for k, v in simulation.config.items() if k not in {"prices", "code_version", "mode"}}),
        provenance=provenance_rows(simulation, run, folds),
        made=datetime.now(UTC),
    )


def monthly_returns(equity: pl.DataFrame, capital: float) -> list[dict[str, Any]]:
    """Rows `{year, months: [12 percentages or None], total}` from equity at the last bar of each month (UTC)."""
    last = (
        equity.with_columns(at=pl.from_epoch("timestamp_unix", time_unit="s"))
        .group_by(year=pl.col("at").dt.year(), month=pl.col("at").dt.month())
        .agg(pl.col("equity").last())
        .sort("year", "month")
    )
    before = np.r_[capital, last["equity"].to_numpy()[:-1]]
    shares = 100.0 * (last["equity"].to_numpy() / before - 1.0)
    years: dict[int, dict[str, Any]] = {}
    for year, month, start, end, share in zip(last["year"], last["month"], before, last["equity"], shares, strict=True):
        row = years.setdefault(year, {"year": year, "months": [None] * 12, "start": start})
        row["months"][month - 1] = float(share)
        row["total"] = 100.0 * (end / row["start"] - 1.0)
    return list(years.values())


def _equity_charts(equity: pl.DataFrame, hold: Floats | None) -> dict[str, str]:
    times = equity["timestamp_unix"].to_numpy()
    lines = [Line(equity["equity"].to_numpy(), "strategy")]
    if hold is not None:
        lines.insert(0, Line(hold, "hold"))
    below = Line(-equity["drawdown_pct"].to_numpy(), "drawdown", area=True)
    return {
        "equity": line_chart(times, lines, height=320, label="Equity against buy and hold"),
        "drawdown": line_chart(times, [below], height=150, label="Drawdown in percent", unit=" %"),
        "hold_shown": "yes" if hold is not None else "",
    }


def _fold_chart(trades: pl.DataFrame, folds: list[FoldRecord]) -> dict[str, str]:
    # Each trade in percent of the equity that it began with, so that folds compare whatever the account had grown to.
    growth = pl.col("cumul_return_pct") / 100.0 + 1.0
    shares = trades.with_columns(share=100.0 * (growth / growth.shift(1, fill_value=1.0) - 1.0))
    by_fold = {
        fold: (share, pnl, count)
        for fold, share, pnl, count in shares.group_by("fold").agg(pl.col("share").sum(), pl.col("pnl").sum(), pl.len()).iter_rows()
    }
    rows = [(fold.fold_number, *by_fold.get(fold.fold_number, (0.0, 0.0, 0))) for fold in folds]
    titles = [f"fold {number}: {share:.2f} %, pnl {pnl:,.2f}, {count} trades" for number, share, pnl, count in rows]
    finite = [share if np.isfinite(share) else 0.0 for _, share, _, _ in rows]
    return {"folds": bar_strip(finite, titles, height=140, label="Result of the trades of each fold in percent of equity")}


def buy_and_hold(simulation: SimulationRecord, run: RunRecord, stores: Stores, times: npt.NDArray[np.int64]) -> Floats | None:
    """The starting capital held from the first close to the last, at the bars of the simulation; None if the closes are gone."""
    closes = _closes(simulation, run, stores, times)
    if closes is None or not np.isfinite(closes).any():
        return None
    filled = pl.Series(closes).fill_nan(None).forward_fill().fill_null(np.nan).to_numpy()
    return np.asarray(float(simulation.config["capital"]) * filled / filled[np.isfinite(filled)][0], dtype=np.float64)


def _closes(simulation: SimulationRecord, run: RunRecord, stores: Stores, times: npt.NDArray[np.int64]) -> Floats | None:
    prices = simulation.config.get("prices") or {}
    table = read_prices(stores.artifacts, prices.get("content_hash"))
    if table is None and prices.get("source") == "columns":
        current = get_dataset(stores.postgres, run.dataset_id)
        record = replace(current, questdb_tag=run.questdb_tag or current.questdb_tag)
        column = price_columns(record).get("close")
        if column is None:
            return None
        table = read_range(stores.questdb, record.questdb_tag, [column], first=int(times[0]), last=int(times[-1]))
        table.columns = ["timestamp_unix", "close"]
    if table is None:
        return None
    bars = pl.DataFrame({"timestamp_unix": times}).join(table.select("timestamp_unix", "close"), on="timestamp_unix", how="left")
    return bars["close"].cast(pl.Float64).fill_null(np.nan).to_numpy()


def statistics_rows(s: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the statistics table: what, the strategy's number, its interval, buy and hold's number, and how it is written."""
    hold, bounds = s["buy_and_hold"], s.get("intervals") or {}
    named = (
        ("Total return", "total_return_pct", "percent"),
        ("Growth per year (CAGR)", "cagr_pct", "percent"),
        ("Sharpe ratio", "sharpe", "number"),
        ("Sortino ratio", "sortino", "number"),
        ("Calmar ratio", "calmar", "number"),
        ("Maximum drawdown", "max_drawdown_pct", "percent"),
        ("Longest drawdown, bars", "max_drawdown_bars", "whole"),
        ("Profit factor by bar", "profit_factor_bar", "factor"),
        ("Profit factor by trade", "profit_factor_trade", "factor"),
        ("Trades", "trade_count", "whole"),
        ("Win rate", "win_rate", "share"),
        ("Expectancy per trade", "expectancy", "number"),
        ("Bars held on average", "avg_bars_held", "number"),
        ("Exposure", "exposure_pct", "percent"),
        ("Turnover per year", "turnover_per_year", "number"),
        ("Costs paid", "costs_paid", "number"),
    )
    return [
        {
            "label": label,
            "value": _written(s, key, kind),
            "interval": None if key not in bounds else [_written(bounds[key], side, kind) for side in ("low", "high")],
            "hold": _written(hold, key, kind) if key in hold else None,
        }
        for label, key, kind in named
    ]


def _written(row: dict[str, Any], key: str, kind: str) -> str:
    value = row.get(key)
    if value is None:
        return "∞" if row.get(f"{key}_no_losses") else "–"
    if kind == "share":
        return _percent(100.0 * value)
    return _percent(value) if kind == "percent" else f"{value:,.0f}" if kind == "whole" else _number(value)


def _shown_trades(trades: pl.DataFrame) -> list[dict[str, Any]]:
    return trades.tail(TRADES_SHOWN).reverse().to_dicts()


def provenance_rows(simulation: SimulationRecord, run: RunRecord, folds: list[FoldRecord]) -> list[tuple[str, str]]:
    """Where a simulation comes from, as (what, value) rows."""
    prices = simulation.config.get("prices") or {}
    source = f"{prices.get('source', '')} {prices.get('file', '')}".strip()
    return [
        ("Simulation", f"{simulation.simulation_id}, code version {simulation.config.get('code_version')}"),
        ("Walk-forward run", f"{run.run_id}, {len(folds)} folds, {run.code_version or ''}, device {run.device or ''}"),
        ("Target", run.target_column),
        ("Dataset", f"{run.dataset_id}, tag {run.questdb_tag or ''}"),
        ("Checksum of its file", run.dataset_checksum or "unknown"),
        ("Content hash", run.content_hash or "unknown"),
        ("Prices", f"{source}, {prices.get('content_hash', '')}"),
        ("Stored in", simulation.questdb_namespace or ""),
        ("Made", f"{simulation.completed_at:%Y-%m-%d %H:%M:%S} UTC" if simulation.completed_at else ""),
    ]


def flat_parameters(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) rows; None reads `off`."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        rows += flat_parameters(value, f"{name}.") if isinstance(value, dict) else [(name, "off" if value is None else str(value))]
    return rows


def _number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    text = f"{value / 1e6:,.{digits}f}M" if abs(value) >= 1e6 else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{_number(value)}\u00a0%"


def _units(value: float) -> str:
    return f"{value:,.0f}" if value >= 10_000 else f"{value:.5g}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d")


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")
