"""What was tried, in Postgres: a trial per run that stays when the run goes, and sweeps as records with the runs they asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from chronos_assets.domain.statistics.trials import Trial
from chronos_assets.storage.postgres import Postgres, Row
from chronos_assets.storage.queries import query
from chronos_assets.storage.runs import RunRecord


@dataclass(frozen=True)
class SweepRecord:
    """One row of `sweeps`, with its runs as `{run_id, changes}`."""

    sweep_id: str
    dataset_id: str
    target: str
    grid: dict[str, Any]
    created_at: datetime
    runs: list[dict[str, Any]]


def record_trial(postgres: Postgres, run: RunRecord, lineage: str, trial: Trial) -> None:
    """Keep a run's trial; a run that was retired and made again is no longer retired."""
    request = {name: getattr(run, name) for name in ("feature_columns", "hyperparameters", "walk_config", "code_version", "device")}
    row = {name: getattr(run, name) for name in ("run_id", "dataset_id", "target_column", "content_hash", "created_at")}
    numbers = {name: getattr(trial, name) for name in ("signals", "effective_signals", "sharpe")}
    series = {"width_seconds": trial.width_seconds, "first": trial.first, "sums": list(trial.sums)}
    with postgres.connection() as connection:
        connection.execute(query("trial_record"), row | numbers | {"lineage": lineage, "request": Jsonb(request), "series": Jsonb(series)})


def has_trial(postgres: Postgres, run_id: str) -> bool:
    """Whether a run's trial is kept."""
    with postgres.connection() as connection:
        return connection.execute(query("trial_exists"), {"run_id": run_id}).fetchone() is not None


def read_trials(postgres: Postgres, lineage: str, target: str) -> tuple[dict[str, Trial], list[str]]:
    """Kept trials on a lineage and target by run_id, newest first, and the completed runs without one (made by an older program)."""
    asked = {"lineage": lineage, "target_column": target}
    with postgres.connection() as connection:
        rows = connection.execute(query("trials_of_lineage"), asked).fetchall()
        others = connection.execute(query("runs_without_trial"), asked).fetchall()
    return {row["run_id"]: _trial_from(row) for row in rows}, [row["run_id"] for row in others]


def state_of_trials(postgres: Postgres, lineage: str, target: str) -> str:
    """Changes whenever `read_trials` gives anything else; asks for no trial's series."""
    with postgres.connection() as connection:
        row = connection.execute(query("trials_state"), {"lineage": lineage, "target_column": target}).fetchone()
    assert row is not None
    return str(row["state"])


def begin_sweep(postgres: Postgres, sweep_id: str, *, dataset_id: str, target: str, grid: Mapping[str, Sequence[Any]]) -> None:
    """Record a sweep before its first run; one that is recorded already stays as it is."""
    row = {"sweep_id": sweep_id, "dataset_id": dataset_id, "target": target, "grid": Jsonb(dict(grid))}
    with postgres.connection() as connection:
        connection.execute(query("sweep_begin"), row)


def link_sweep(postgres: Postgres, sweep_id: str, run_id: str, changes: Mapping[str, Any]) -> None:
    """Say that a sweep asked for a run."""
    with postgres.connection() as connection:
        connection.execute(query("sweep_link"), {"sweep_id": sweep_id, "run_id": run_id, "changes": Jsonb(dict(changes))})


def list_sweeps(postgres: Postgres, slug: str | None = None) -> list[SweepRecord]:
    """Sweeps, newest first."""
    with postgres.connection() as connection:
        return [SweepRecord(**row) for row in connection.execute(query("sweep_list"), {"dataset_id": slug}).fetchall()]


def _trial_from(row: Row) -> Trial:
    series = row["series"]
    return Trial(
        signals=row["signals"],
        effective_signals=row["effective_signals"],
        sharpe=row["sharpe"],
        width_seconds=int(series["width_seconds"]),
        first=int(series["first"]),
        sums=tuple(series["sums"]),
    )
