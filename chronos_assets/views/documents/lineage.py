"""Documents about work that was done: one dataset through the whole lineage, one walk-forward, the simulations of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json, Mode, Status, Warn
from chronos_assets.views.documents.models import LiveSignal, Model
from chronos_assets.views.documents.simulations import DeflatedSharpe, PageTest


class PlannedFold(Document):
    """One fold of a plan; rows are half-open."""

    fold: int
    train_start: int
    train_end: int
    test_start: int
    test_end: int


class WalkforwardOutcome(Document):
    """What one call of a walk-forward did, and what its run holds now."""

    dataset: str
    run_id: str
    status: Status
    folds_planned: int
    folds_trained: int
    folds_copied: int
    folds_present: int
    summary_metrics: Json
    seconds: float
    warnings: list[Warn]
    device: str


class SimulationOutcome(Document):
    """One simulation as it is stored; `reused`: it was there already."""

    simulation_id: str
    mode: Mode
    status: Status
    summary_metrics: Json
    trades: int
    reused: bool
    warnings: list[Warn]
    deflated_sharpe: DeflatedSharpe | None


class SimulationsOutcome(Document):
    """The simulations of a run, one per mode, and their tests."""

    run_id: str
    dataset: str
    simulations: list[SimulationOutcome]
    tests: list[PageTest]


class Report(Document):
    """A tear sheet that was written."""

    simulation_id: str
    file: str
    bytes: int


class LineageStep(Document):
    """One step of a run of Dagster."""

    step: str
    seconds: float
    succeeded: bool


class LineageCheck(Document):
    """One check of a run of Dagster."""

    asset: str
    check: str
    passed: bool
    severity: str


class LineageRows(Document):
    """Rows of a dataset in this run: all, those written, those read back and compared."""

    total: int | None
    written: int | None
    verified: int | None
    cells_verified: int | None
    transport: str | None
    tag: str | None


class LineageError(Document):
    """The step that failed, and why."""

    step: str | None
    message: str
    exit_code: int


class ThresholdWords(Document):
    """Thresholds of one side over the folds; `folds_off`: folds without one."""

    median: float | None
    latest: float | None
    folds_off: int


class SideMetrics(Document):
    """Signals of one side, pooled over the test rows of all folds."""

    n_signals: int | None
    hit_rate: float | None
    profit_factor: float | None
    no_losses: bool | None
    signal_sum: float | None


class LineageBaseline(Document):
    """How the baseline learner did on the same folds."""

    learner: str
    run_id: str
    long: SideMetrics
    short: SideMetrics
    both: SideMetrics


class LineageWalkforward(Document):
    """One walk-forward profile of a run."""

    profile: str
    run_id: str
    target: str
    folds_planned: int
    folds_trained: int | None
    folds_reused: int | None
    thresholds: dict[str, ThresholdWords]
    threshold_cases: Json | None
    folds_learned_nothing: int | None
    long: SideMetrics
    short: SideMetrics
    both: SideMetrics
    baseline: LineageBaseline | None


class LineageSimulation(Document):
    """One simulation of a run, in one line."""

    name: str
    mode: Mode
    simulation_id: str
    trades: int | None
    win_rate: float | None
    profit_factor: float | None
    return_pct: float | None
    buy_and_hold_pct: float | None
    max_drawdown_pct: float | None


class LineageLive(Document):
    """The live model of the run, whether and why it was promoted, and the signal for the bar to come."""

    model: Model
    promoted: bool
    reason: str
    age_days: float
    newest: LiveSignal | None
    backtest: Json
    warnings: list[Warn]


class LineageRun(Document):
    """One dataset taken through the lineage; what the run did not reach is null or empty."""

    dataset: str
    status: Literal["done", "failed"]
    unchanged: bool
    dagster_run_id: str
    seconds: float
    steps: list[LineageStep]
    checks: list[LineageCheck]
    error: LineageError | None = None
    rows: LineageRows | None = None
    walkforward: list[LineageWalkforward]
    simulations: list[LineageSimulation]
    live: LineageLive | None = None
    next: str | None = Field(None, description="What to look at next.")


class GateDemo(LineageRun):
    """A run in which one stored cell was changed before the audit: nothing is published."""

    corrupted_by: str
    published: bool
    found: str
    partition_removed: bool
