"""The documents that readers are given: frozen, typed, and the same for `--json`, the HTTP API and the pages.

Names of fields are those of the Postgres columns where a document is a row. Times are UTC and end in `Z` as JSON; a number that does not
exist is null. Fields are added, never renamed or removed: `schema.json` beside this module is compared by a test.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
Mode = Literal["long", "short", "dual"]
Side = Literal["long", "short"]
Json = dict[str, Any]


class Document(BaseModel):
    """Base of every document."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Warn(Document):
    """Something a reader should stop at: a stable `code` and a sentence."""

    code: str
    message: str


# Datasets


class Column(Document):
    """One column of a dataset: its name in the file, what it is for, and its name in QuestDB."""

    name: str
    role: Literal["feature", "target", "price"]
    questdb_column: str


class ColumnStatistics(Column):
    """A column with what its published bars hold."""

    nulls: int
    min: float | None
    max: float | None
    mean: float | None


class TargetStatistics(ColumnStatistics):
    """A target, with the bars that it looks ahead."""

    horizon: int = Field(description="Bars ahead that the target uses prices of.")
    horizon_assumed: bool = Field(description="True if no manifest declares it.")


class Audit(Document):
    """One attempt to export a dataset (`export_audits`) and what its audit said."""

    audit_id: int
    dataset_id: str
    questdb_tag: str
    checksum: str
    mode: Literal["full", "sample"]
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    content_hash: str
    verdict: Literal["running", "passed", "failed"]
    report: Json
    base_revision: int
    started_at: datetime
    completed_at: datetime | None


class Dataset(Document):
    """One row of the registry (`indicator_datasets`), with counts of its columns and of what was made from it."""

    dataset_id: str
    symbol: str
    granularity: str
    source: str
    questdb_tag: str
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    created_at: datetime
    revision: int
    checksum: str
    content_hash: str
    updated_at: datetime
    features: int
    targets: int
    runs: int
    simulations: int


class DatasetDetail(Dataset):
    """A dataset with its columns, its last audit, and the profiles of its manifest by name."""

    columns: list[Column]
    last_audit: Audit | None
    walkforward_profiles: dict[str, Json]
    simulation_profiles: dict[str, Json]
    warnings: list[Warn]


class DatasetSummary(Document):
    """A dataset as `chronos datasets list --json` shows it."""

    dataset: str
    symbol: str
    granularity: str
    source: str
    questdb_tag: str
    revision: int
    rows: int
    first_bar: datetime
    last_bar: datetime
    features: int
    targets: list[str]
    prices: list[str]
    checksum: str
    content_hash: str
    updated_at: datetime


class DatasetList(Document):
    """All published datasets by name."""

    datasets: list[DatasetSummary]


class TagSpace(Document):
    """Rows under one tag of a dataset, the bytes they take, and whether readers use it."""

    tag: str
    rows: int
    bytes: int
    registered: bool


class AuditLine(Document):
    """An audit in one line."""

    audit_id: int
    questdb_tag: str
    mode: Literal["full", "sample"]
    verdict: Literal["running", "passed", "failed"]
    rows: int
    started_at: datetime


class DatasetReport(DatasetSummary):
    """A dataset as `chronos datasets show --json` shows it: with columns, revisions and the space they take, last audits, runs."""

    columns: list[Column]
    tags: list[TagSpace]
    old_revision_rows: int
    old_revision_bytes: int
    audits: list[AuditLine]
    runs: int
    simulations: int
    reclaim: str | None


# Walk-forward runs


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


class RunWithSpace(Run):
    """A run as `chronos runs --json` shows it."""

    space: RunSpace


class Fold(Document):
    """One row of `walkforward_folds`. Indices are half-open row positions; `*_end_ts` is the time of the first bar outside."""

    run_id: str
    fold_number: int
    train_start_idx: int
    train_end_idx: int
    test_start_idx: int
    test_end_idx: int
    train_start_ts: datetime | None
    train_end_ts: datetime | None
    test_start_ts: datetime | None
    test_end_ts: datetime | None
    samples_train: int
    samples_test: int
    best_iteration: int | None
    best_score: float | None
    thresholds: Json
    metrics: Json
    fold_key: str | None
    versions: dict[str, str] | None = Field(None, description="Versions of the process that trained it; null for older folds.")
    running_sum: float | None = Field(None, description="Sum of `both.signal_sum` of this fold and all before it.")
    pf_train: float | None = Field(None, description="Not stored, so always null.")


class Importance(Document):
    """Importance of a feature: total gain per split, splits, and mean |SHAP| over the test rows. Rank 1 has the largest SHAP."""

    feature: str
    gain: float
    splits: int
    shap: float
    rank: int


class Histogram(Document):
    """Counts of values between `edges` (one more than `counts`)."""

    edges: list[float]
    counts: list[int]


class RocPoint(Document):
    """Share of bars below and above the target's sign that a cut of the prediction lets through."""

    threshold: float | None
    false_positive_rate: float
    true_positive_rate: float


class FoldDetail(Fold):
    """A fold with its importance, the predictions of its validation and test rows, and how well they rank the target's sign."""

    importance: list[Importance]
    validation_predictions: Histogram | None
    test_predictions: Histogram | None
    roc: list[RocPoint]
    auc: float | None


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


class Comparison(Document):
    """What differs between runs, how many values are the same, and the metrics of each."""

    differs: list[Difference]
    same: int
    metrics: list[RunMetrics]


# Simulations


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


class Trade(Document):
    """One trade. Prices in the dataset's currency, `return_pct` in percent, `*_unix` in seconds."""

    trade_no: int
    side: Side
    fold: int
    exit_reason: str
    decision_timestamp_unix: int
    entry_timestamp_unix: int
    exit_timestamp_unix: int
    entry_price: float | None
    exit_price: float | None
    position_size: float | None
    pnl: float | None
    return_pct: float | None
    cumul_return_pct: float | None
    entry_signal: float | None
    exit_signal: float | None
    entry_time: datetime
    exit_time: datetime
    bars_held: int


class EquityPoint(Document):
    """The account at the close of one bar; `buy_and_hold`: the starting capital held from the first close on."""

    timestamp_unix: int
    equity: float | None
    drawdown_pct: float | None
    position: float | None
    buy_and_hold: float | None


class EquityBucket(Document):
    """The account over some bars, from `timestamp_unix` on."""

    timestamp_unix: int
    equity_min: float | None
    equity_max: float | None
    equity_last: float | None
    drawdown_max: float | None
    position_last: float | None
    buy_and_hold_last: float | None
    bars: int


class Prediction(Document):
    """The prediction of one test row, beside the thresholds of its fold. `score`: before the target's transform is undone."""

    timestamp_unix: int
    bar_index: int
    fold: int
    prediction: float | None
    target_value: float | None
    long_threshold: float | None
    short_threshold: float | None
    score: float | None


class PredictionBucket(Document):
    """Predictions of some test rows, from `timestamp_unix` on, and how many of them gave a signal."""

    timestamp_unix: int
    prediction_min: float | None
    prediction_max: float | None
    prediction_last: float | None
    long_signals: int
    short_signals: int
    bars: int


class MonthlyReturns(Document):
    """Returns of one year in percent: one per month (null: no bar), and of the whole year."""

    year: int
    months: list[float | None]
    total: float


class Trace(Document):
    """Where a trade came from: its fold, the fold's model, the bars that decided, entered and left, its run and its file."""

    model_config = ConfigDict(extra="allow")

    trade: str
    simulation: Json
    fold: Json | None
    model: Json | None
    bars: Json
    run: Json
    file: Json


class PageTest(Document):
    """A test of a simulation: its p-value, and the one adjusted for the `tests` that are shown together (Holm)."""

    name: str
    test: str
    p_value: float
    holm: float
    tests: int


class Judgement(Document):
    """How far a simulation could be luck, among all trials and tests that are known now; null without trials or variation."""

    simulation_id: str
    deflated_sharpe: Json | None
    tests: list[PageTest]


# Sweeps, validations, nights


class SweepTrial(Document):
    """One point of a grid: what was changed, its run, and how its signals did."""

    changes: Json
    run_id: str | None
    metrics: Json
    sharpe: float | None
    deflated: Json | None
    error: str | None


class Sweep(Document):
    """The trials of a grid, best first, and what to keep in mind about them."""

    model_config = ConfigDict(extra="allow")

    ranked_by: str
    trials: list[SweepTrial]
    warnings: list[Warn]
    sweep_id: str | None = None
    overfitting: Json | None = Field(None, description="`probability` (CSCV), `spa_p_value` (Hansen), `runs`, `bars`; null for one run.")
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


class Check(Document):
    """One question of a validation. `passed` null: it could not be asked, and `found` says why."""

    name: str
    passed: bool | None
    expected: Any = None
    found: Any = None


class Validation(Document):
    """What `validate_dataset` found: every question about a dataset or run, and the worst of what differs."""

    kind: str
    subject: str
    passed: bool
    checks: list[Check]
    findings: list[Json]
    audit: Json | None
    seconds: float


class NightRun(Document):
    """How one dataset of a night or backfill ended; `message` says why it failed."""

    slug: str
    why: str
    run_id: str
    succeeded: bool
    exit_code: int
    message: str
    seconds: float


class Night(Document):
    """What one night or backfill did."""

    name: str
    manifests: int
    unchanged: int
    problems: list[str]
    datasets: list[NightRun]
    totals: dict[str, int]
    summary: str


# Local Feature Selections


class LfsRun(Document):
    """One row of `lfs_runs`; `tries` counts the selections on the same dataset and target: the more, the less the best of them says."""

    lfs_id: str
    dataset_id: str
    target_column: str
    feature_columns: list[str]
    config: Json
    status: Status
    requested_by: str | None
    dagster_run_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    progress: Json | None
    summary_metrics: Json | None
    dataset_checksum: str | None
    questdb_tag: str | None
    content_hash: str | None
    code_version: str | None
    device: str | None
    tries: int | None = None


class LfsFeature(Document):
    """One feature of a selection. `mark` goes by `p_unbiased`; `caution`: chosen often, and about as often under permuted targets."""

    feature: str
    feature_no: int
    selected_count: int | None
    pct: float | None
    p_solo: float | None
    p_unbiased: float | None
    mark: Literal["strong", "good", "weak", "noise"] | None
    caution: bool
    excluded: str | None


class LfsSelection(Document):
    """A selection with its features, the most often chosen one first."""

    run: LfsRun
    features: list[LfsFeature]
    warnings: list[Warn]


class LfsDetail(LfsSelection):
    """A selection with where what belongs to it is served."""

    links: dict[str, str]


class LfsSubmission(Document):
    """What became of a request for a selection, and where to follow it. `dagster` is null if no run of Dagster belongs to it."""

    run: LfsRun
    warnings: list[Warn]
    links: dict[str, str | None]


class LfsSlice(Document):
    """A stretch of cases in time order."""

    first_row: int
    last_row: int
    first_unix: int
    last_unix: int
    cases: int


class LfsFeatureShares(Document):
    """Share (0..1) of the cases of each slice that chose a feature."""

    feature: str
    shares: list[float]


class LfsShares(Document):
    """Shares over time: slices, and one list of shares per feature in the order of the table."""

    slices: list[LfsSlice]
    features: list[LfsFeatureShares]


class LfsPair(Document):
    """Two features that cases chose together: how many, and how often against independent choices (`lift` 1: as often)."""

    first: str
    second: str
    together: int
    pct: float
    lift: float


class LfsFeatureNull(Document):
    """Share (percent of the cases) of one feature under each permutation."""

    feature: str
    pct: list[float]


class LfsNull(Document):
    """Shares under permutations: numbers of the permutations done, the share of the feature chosen most often in each, and all of them."""

    permutations: list[int]
    best: list[float]
    features: list[LfsFeatureNull]


DOCUMENTS: tuple[type[Document], ...] = (
    DatasetList,
    DatasetReport,
    Dataset,
    DatasetDetail,
    ColumnStatistics,
    TargetStatistics,
    Audit,
    RunWithSpace,
    RunDetail,
    FoldDetail,
    Importance,
    Comparison,
    SimulationDetail,
    Trade,
    EquityPoint,
    EquityBucket,
    Prediction,
    PredictionBucket,
    MonthlyReturns,
    Trace,
    Judgement,
    Sweep,
    SweepDetail,
    Validation,
    Night,
    LfsSelection,
    LfsShares,
    LfsPair,
    LfsNull,
)
