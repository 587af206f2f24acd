"""Documents about one fold: its row, importance, and the distribution of its predictions."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json


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


class FoldSlice(Document):
    """A stretch of folds in time order: numbers of its first and last fold, and its test bars from the first to before `end_unix`."""

    first_fold: int
    last_fold: int
    first_unix: int
    end_unix: int
    folds: int


class ChosenFeature(Document):
    """In how many folds a feature was chosen, and in which share (0..1) of the folds of each slice."""

    feature: str
    folds: int
    shares: list[float]


class ChosenFeatures(Document):
    """Features that the folds of a run chose for themselves, the most frequent first; none if the run does not select.

    Which fold chose which is in `metrics.features` of the folds.
    """

    folds: int
    slices: list[FoldSlice]
    features: list[ChosenFeature]
