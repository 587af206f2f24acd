"""Documents about walk-forward runs: one, many, and several compared."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json, Mode, Status, Warn
from chronos_assets.views.documents.folds import Fold


class RunSpace(Document):
    """What a run takes: its files, those of them that no other run uses, and its rows in both stores."""

    run_id: str
    folds: int
    prediction_rows: int
    artifact_bytes: int
    own_artifact_bytes: int
    simulations: list[str]


class Run(Document):
    """One row of `walkforward_runs`, with the folds that are stored and planned. A run whose process is gone is shown as failed."""

    run_id: str
    dataset_id: str
    target_column: str
    feature_columns: list[str]
    hyperparameters: Json
    walk_config: Json
    status: Status
    requested_by: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    summary_metrics: Json | None
    created_at: datetime
    dataset_checksum: str | None
    questdb_tag: str | None
    content_hash: str | None
    code_version: str | None
    device: str | None
    folds_present: int
    folds_planned: int | None
    bars: int | None = Field(None, description="Bars of the dataset as the run saw it.")
    profiles: list[str] = Field(
        default_factory=list, description="Profiles of the manifest that asked for it; `NAME/baseline` is the baseline of profile NAME."
    )
    current: bool = Field(
        default=False, description="True if it is the current run of a profile: completed, on the registered content, requested last."
    )
    superseded_by: str | None = Field(None, description="The current run of its profile, if that is another one.")
    pinned_at: datetime | None = Field(None, description="Since when it is kept whatever the retention policy says.")


class RunWithSpace(Run):
    """A run as `chronos runs --json` shows it."""

    space: RunSpace


class SimulationName(Document):
    """A simulation of a run, in one line."""

    simulation_id: str
    mode: Mode
    status: Status
    created_at: datetime


class RunDetail(Document):
    """A run with its folds and what belongs to it."""

    run: Run
    folds: list[Fold]
    simulations: list[SimulationName]
    warnings: list[Warn]
    links: dict[str, str]


class Difference(Document):
    """One value that differs between runs: its dotted path, and each run's value by run_id."""

    path: str
    values: Json


class RunMetrics(Document):
    """The pooled metrics of one of the compared runs."""

    run_id: str
    status: Status
    metrics: Json


class FoldComparison(Document):
    """A run against the first one, on the folds that test the same bars: signal sums of both sides, and a sign test over the folds."""

    run_id: str
    against: str
    folds: int = Field(description="Folds that both runs have.")
    better: int
    worse: int
    difference: float = Field(description="Sum of signals of this run minus that of the first, over these folds.")
    p_value: float | None = Field(description="Two-sided sign test over folds that differ; null without any.")


class Comparison(Document):
    """What differs between runs, how many values are the same, the metrics of each, and its folds against those of the first."""

    differs: list[Difference]
    same: int
    metrics: list[RunMetrics]
    folds: list[FoldComparison]
