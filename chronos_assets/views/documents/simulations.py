"""Documents about simulations, their two buckets of trades, and how far one could be luck."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json, Mode, Side, Status, Warn


class Simulation(Document):
    """One row of `simulation_runs`. A simulation whose process is gone is shown as failed."""

    simulation_id: str
    run_id: str
    dataset_id: str
    mode: Mode
    config: Json
    status: Status
    started_at: datetime | None
    completed_at: datetime | None
    summary_metrics: Json | None
    questdb_namespace: str | None
    created_at: datetime
    bars: int | None = Field(None, description="Bars of the dataset as its run saw it.")
    profiles: list[str] = Field(default_factory=list, description="Walk-forward profiles of the manifest that asked for its run.")
    current: bool = Field(default=False, description="True if it is a simulation of a current run.")
    superseded_by: str | None = Field(None, description="The current run of its run's profile, if that is another one.")


class Bucket(Document):
    """The trades of one side of a simulation (`simulation_trade_buckets`). A profit factor without losses is null and `no_losses` true."""

    simulation_id: str
    side: Side
    trade_count: int
    win_count: int
    profit_factor: float | None
    avg_return_pct: float | None
    max_drawdown_pct: float | None
    notes: str | None
    no_losses: bool


class SimulationDetail(Document):
    """A simulation with its two buckets and what belongs to it."""

    run: Simulation
    buckets: list[Bucket]
    warnings: list[Warn]
    links: dict[str, str]


class PageTest(Document):
    """A test of a simulation: its p-value, and the one adjusted for the `tests` that are shown together (Holm)."""

    name: str
    test: str
    p_value: float
    holm: float
    tests: int


class DeflatedSharpe(Document):
    """A Sharpe ratio per observation, the best that chance gives among as many trials, and the probability to be above that."""

    sharpe: float
    expected_best_of_chance: float
    probability: float
    trials: int
    different_trials: int
    observations: int
    effective_observations: float


class Judgement(Document):
    """How far a simulation could be luck, among all trials and tests that are known now; null without trials or variation."""

    simulation_id: str
    deflated_sharpe: DeflatedSharpe | None
    tests: list[PageTest]
