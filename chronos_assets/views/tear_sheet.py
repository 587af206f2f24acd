"""Parts of a simulation's page and tear sheet: returns by month, statistics, parameters in use, provenance, buy and hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.pipeline.simulation.price_artifacts import read_prices
from chronos_assets.pipeline.simulation.prices import price_columns
from chronos_assets.storage.datasets import get_dataset, read_range
from chronos_assets.storage.runs import RunRecord
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Keys of `sizing` that each method uses.
SIZING_KEYS = {
    "fixed_units": ("units",),
    "fixed_amount": ("amount",),
    "fixed_fraction": ("fraction",),
    "volatility": ("risk_fraction", "max_leverage"),
}
Floats = npt.NDArray[np.float64]


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


def monthly_beside_hold(series: pl.DataFrame, capital: float) -> list[dict[str, Any]]:
    """Rows of `monthly_returns` with `hold`, the same of buy and hold (None without its line). `series`: columns of an equity series."""
    rows = monthly_returns(series, capital)
    held = series.filter(pl.col("buy_and_hold").is_not_null()).select("timestamp_unix", equity="buy_and_hold")
    by_year = {row["year"]: row for row in monthly_returns(held, capital)} if held.height else {}
    return [{**row, "hold": by_year.get(row["year"])} for row in rows]


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
    hold, bounds = s.get("buy_and_hold") or {}, s.get("intervals") or {}
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


def provenance_rows(simulation: SimulationRecord, run: RunRecord, folds: int) -> list[tuple[str, str]]:
    """Where a simulation of a run with so many `folds` comes from, as (what, value) rows."""
    prices = simulation.config.get("prices") or {}
    source = f"{prices.get('source', '')} {prices.get('file', '')}".strip()
    return [
        ("Simulation", f"{simulation.simulation_id}, code version {simulation.config.get('code_version')}"),
        ("Walk-forward run", f"{run.run_id}, {folds} folds, {run.code_version or ''}, device {run.device or ''}"),
        ("Target", run.target_column),
        ("Dataset", f"{run.dataset_id}, tag {run.questdb_tag or ''}"),
        ("Checksum of its file", run.dataset_checksum or "unknown"),
        ("Content hash", run.content_hash or "unknown"),
        ("Prices", f"{source}, {prices.get('content_hash', '')}"),
        ("Stored in", simulation.questdb_namespace or ""),
        ("Made", f"{simulation.completed_at:%Y-%m-%d %H:%M:%S} UTC" if simulation.completed_at else ""),
    ]


def parameters_in_use(config: dict[str, Any]) -> list[tuple[str, str]]:
    """The configuration of a simulation as (dotted name, value) rows, without keys that its own choices leave without effect."""
    sizing, entry = dict(config.get("sizing") or {}), dict(config.get("entry") or {})
    used = SIZING_KEYS.get(sizing.get("method", ""), tuple(sizing))
    shown = {key: value for key, value in config.items() if key not in {"prices", "code_version", "mode", "fill"}}
    shown["sizing"] = {key: value for key, value in sizing.items() if key == "method" or key in used}
    if entry.get("order") == "market":
        shown["entry"] = {"order": "market"}
    levels = [level for level in (config.get("exits") or {}).values() if isinstance(level, dict)]
    if sizing.get("method") != "volatility" and not any(level.get("atr") is not None for level in levels):
        shown.pop("atr_bars", None)
    return flat_parameters(shown)


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
