"""Documents about sweeps: the grid asked for, its trials, and their ranking."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from chronos_assets.views.documents.base import Document, Json, Status, Warn
from chronos_assets.views.documents.simulations import DeflatedSharpe


class SweepOverfitting(Document):
    """How much of a sweep's best owes to the choice, over the `bars` that all its `runs` predicted; null without enough of them."""

    probability: float | None = Field(description="Of backtest overfitting (CSCV).")
    spa_p_value: float | None = Field(description="Hansen's test of superior ability: that the best beats doing nothing by luck only.")
    runs: int
    bars: int


class SweepTrial(Document):
    """One point of a grid: what was changed, its run, and how its signals did."""

    changes: Json
    run_id: str | None
    metrics: Json
    sharpe: float | None
    deflated: DeflatedSharpe | None
    error: str | None


class Sweep(Document):
    """The trials of a grid, best first, and what to keep in mind about them."""

    model_config = ConfigDict(extra="allow")

    ranked_by: str
    trials: list[SweepTrial]
    warnings: list[Warn]
    sweep_id: str | None = None
    overfitting: SweepOverfitting | None = None
    trials_on_record: int = Field(0, description="All trials ever made on this data and target; each `deflated` counts them.")


class SweepRow(Document):
    """One row of `sweeps`: the grid that was asked for, and how many runs it asked for."""

    sweep_id: str
    dataset_id: str
    target: str
    grid: Json
    created_at: datetime
    runs: int


class SweepRanked(Document):
    """One run of a sweep: what was changed, and its pooled metrics. `status` null: the run was retired, its trial is kept."""

    rank: int
    run_id: str
    changes: Json
    status: Status | None
    metrics: Json
    sharpe: float | None = Field(description="Per signal, as the run's trial keeps it.")


class SweepDetail(Document):
    """A sweep with its runs, the best first, and what to keep in mind about them."""

    sweep: SweepRow
    ranked_by: str
    trials: list[SweepRanked]
    warnings: list[Warn]
    overfitting: SweepOverfitting | None = Field(description="Null with fewer than two completed runs.")
