"""Sweeps as readers see them: what was asked for, and its runs ranked by a pooled metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from chronos_assets.errors import NotPublishedError
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.trials import SweepRecord
from chronos_assets.storage.trials import list_sweeps as records
from chronos_assets.views import documents as doc
from chronos_assets.views.liveness import with_dead_runs

Ranking = Literal["profit_factor", "signal_sum", "mean", "hit_rate", "sharpe"]
RANKINGS = get_args(Ranking)


def list_sweeps(postgres: Postgres, dataset: str | None = None) -> list[doc.SweepRow]:
    """Sweeps, newest first."""
    return [_row(record) for record in _records(postgres, dataset)]


def read_sweep(postgres: Postgres, sweep_id: str, *, rank_by: Ranking = "profit_factor") -> doc.SweepDetail:
    """A sweep with its runs, best first; a run without a value comes last, one without losses first. Raises `NotPublishedError`."""
    record = next((one for one in _records(postgres, None) if one.sweep_id == sweep_id.lower()), None)
    if record is None:
        raise NotPublishedError(f"there is no sweep {sweep_id}", code="sweep_unknown", hint="`chronos sweep SLUG --grid ...` makes one.")
    run_ids = [run["run_id"] for run in record.runs]
    with postgres.connection() as connection:
        rows = connection.execute(query("sweep_runs_shown"), {"run_ids": run_ids}).fetchall()
    known = {row["run_id"]: row for row in with_dead_runs(postgres, rows)}
    trials = sorted(record.runs, key=lambda run: _merit(known.get(run["run_id"], {}), rank_by), reverse=True)
    return doc.SweepDetail(
        sweep=_row(record),
        ranked_by=rank_by,
        trials=[_ranked(number, run, known.get(run["run_id"], {})) for number, run in enumerate(trials, 1)],
        warnings=_warnings(len(known)),
    )


def _records(postgres: Postgres, dataset: str | None) -> list[SweepRecord]:
    try:
        return records(postgres, dataset)
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []


def _row(record: SweepRecord) -> doc.SweepRow:
    return doc.SweepRow(**{**vars(record), "runs": len(record.runs)})


def _both(row: Mapping[str, Any]) -> dict[str, Any]:
    return (row.get("summary_metrics") or {}).get("both") or {}


def _merit(row: Mapping[str, Any], rank_by: Ranking) -> float:
    metrics = _both(row)
    if rank_by == "profit_factor" and metrics.get("no_losses"):
        return float("inf")
    value = row.get("sharpe") if rank_by == "sharpe" else metrics.get(rank_by)
    return float("-inf") if value is None else float(value)


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
