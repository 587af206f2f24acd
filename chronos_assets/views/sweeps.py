"""Sweeps as readers see them: what was asked for, and its runs ranked by a pooled metric."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import polars as pl

from chronos_assets.domain.statistics.ranking import Ranking, merit
from chronos_assets.errors import NotPublishedError
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.runs import get_run
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import SweepRecord
from chronos_assets.storage.trials import list_sweeps as records
from chronos_assets.views import documents as doc
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.liveness import with_dead_runs


@dataclass(frozen=True)
class ValueGrid:
    """A metric over two axes of a grid: labels of columns and rows, and per row a value per column; None if no run has one."""

    across: list[str]
    down: list[str]
    cells: list[list[float | None]]


def list_sweeps(postgres: Postgres, dataset: str | None = None) -> list[doc.SweepRow]:
    """Sweeps, newest first."""
    return [_row(record) for record in _records(postgres, dataset)]


def read_sweep(stores: Stores, sweep_id: str, frames: FrameCache, *, rank_by: Ranking = "profit_factor") -> doc.SweepDetail:
    """A sweep with its runs, best first; a run without a value comes last, one without losses first. Raises `NotPublishedError`."""
    postgres = stores.postgres
    record = next((one for one in _records(postgres, None) if one.sweep_id == sweep_id.lower()), None)
    if record is None:
        raise NotPublishedError(f"there is no sweep {sweep_id}", code="sweep_unknown", hint="`chronos sweep SLUG --grid ...` makes one.")
    run_ids = [run["run_id"] for run in record.runs]
    with postgres.connection() as connection:
        rows = connection.execute(query("sweep_runs_shown"), {"run_ids": run_ids}).fetchall()
    known = {row["run_id"]: row for row in with_dead_runs(postgres, rows)}

    def merit_of(row: Mapping[str, Any]) -> float:
        return merit(_both(row), row.get("sharpe"), rank_by)

    trials = sorted(record.runs, key=lambda run: merit_of(known.get(run["run_id"], {})), reverse=True)
    return doc.SweepDetail(
        sweep=_row(record),
        ranked_by=rank_by,
        trials=[_ranked(number, run, known.get(run["run_id"], {})) for number, run in enumerate(trials, 1)],
        warnings=_warnings(len(known)),
        overfitting=_overfitting(stores, [one for one, row in known.items() if row["status"] == "completed"], frames),
    )


def axes_of(detail: doc.SweepDetail) -> list[str]:
    """The parameters that the grid varies, as dotted keys; those with one value only come last."""
    return sorted(detail.sweep.grid, key=lambda axis: len(detail.sweep.grid[axis]) < 2)


def setting_of(changes: Mapping[str, Any], axis: str) -> str:
    """The value that nested `changes` give to a dotted key, as text."""
    value: Any = changes
    for part in axis.split("."):
        value = value[part]
    return _text(value)


def value_grid(detail: doc.SweepDetail, across: str, down: str) -> ValueGrid:
    """The metric that `detail` is ranked by over two of its axes; a cell is the mean of the runs that have these two values."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in detail.trials:
        value = one.sharpe if detail.ranked_by == "sharpe" else one.metrics.get(detail.ranked_by)
        if value is not None:
            found[setting_of(one.changes, across), setting_of(one.changes, down)].append(float(value))
    columns, rows = ([_text(value) for value in detail.sweep.grid[axis]] for axis in (across, down))
    cells = [[fmean(found[column, row]) if (column, row) in found else None for column in columns] for row in rows]
    return ValueGrid(columns, rows, cells)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _records(postgres: Postgres, dataset: str | None) -> list[SweepRecord]:
    try:
        return records(postgres, dataset)
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []


def _overfitting(stores: Stores, completed: Sequence[str], frames: FrameCache) -> doc.SweepOverfitting | None:
    """Computed from the stored predictions and kept in `frames`: a completed run never changes."""
    from chronos_assets.pipeline.walkforward.overfitting import overfitting, read_signals

    run_ids = sorted(completed)
    if len(run_ids) < 2:
        return None

    def compute() -> pl.DataFrame:
        found = overfitting({run_id: read_signals(get_run(stores.postgres, run_id), stores) for run_id in run_ids})
        return pl.DataFrame([] if found is None else [asdict(found)])

    row = next(iter(frames.get(("overfitting", *run_ids), compute).iter_rows(named=True)), None)
    return None if row is None else doc.SweepOverfitting(**row)


def _row(record: SweepRecord) -> doc.SweepRow:
    return doc.SweepRow(**{**vars(record), "runs": len(record.runs)})


def _both(row: Mapping[str, Any]) -> dict[str, Any]:
    return (row.get("summary_metrics") or {}).get("both") or {}


def _ranked(rank: int, run: Mapping[str, Any], row: Mapping[str, Any]) -> doc.SweepRanked:
    return doc.SweepRanked(
        rank=rank,
        run_id=run["run_id"],
        changes=run["changes"],
        status=row.get("status"),
        metrics=_both(row),
        sharpe=row.get("sharpe"),
    )


def _warnings(runs: int) -> list[doc.Warn]:
    if runs < 2:
        return []
    message = f"{runs} trials were compared: the best of them is flattered by chance. Judge it on bars that no trial has seen."
    return [doc.Warn(code="many_trials", message=message)]
