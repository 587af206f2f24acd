"""Documents about models of live folds: what they are, what they say of the newest bars, which names stand for them, their bundles."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from chronos_assets.views.documents.base import Document, Json, Status, Warn

SignalWord = Literal["long", "short", "none"]


class Model(Document):
    """One row of `models`, in short; `aliases` are the names that stand for it now."""

    model_id: str
    dataset_id: str
    run_id: str | None
    profile: str | None
    target: str
    fold_number: int
    aliases: list[str]
    thresholds: Json
    train_start_ts: datetime
    train_end_ts: datetime
    valid_from_ts: datetime
    valid_until_ts: datetime
    simulation_ids: list[str]
    status: Status
    requested_by: str | None
    created_at: datetime
    retired_at: datetime | None


class AliasChange(Document):
    """One change of what a name stands for: `rollback` took the last `promote` back."""

    change_id: int
    dataset_id: str
    name: str
    model_id: str
    action: Literal["promote", "rollback"]
    reason: str | None
    changed_by: str | None
    changed_at: datetime


class ModelDetail(Model):
    """A model with what its file says of itself, its backtest, and the history of the names that ever stood for it."""

    fold: Json
    description: Json
    backtest: Json
    sha256: str
    bytes: int
    history: list[AliasChange]


class ModelOutcome(Document):
    """What `chronos model train` did: `bars` of the model's window are there so far; `reused` if the model was there already."""

    model: Model
    reused: bool
    bars: int
    seconds: float
    warnings: list[Warn]


class ModelNamed(Document):
    """What a name stands for now, and stood for before; `changed` is false if it stood for this model already."""

    name: str
    model: Model
    before: str | None
    changed: bool


class LiveSignal(Document):
    """What a model said of one bar, at the bar's close. `fold`: the fold of the run that predicted; null if the live model did."""

    timestamp: datetime
    bar_index: int
    model_id: str
    dataset: str
    prediction: float
    signal: SignalWord
    long_threshold: float | None
    short_threshold: float | None
    target_known: bool | None = None
    fold: int | None = None


class LivePredictions(Document):
    """The signals of a model's window, the newest last: `newest` is the signal for the bar to come."""

    dataset: str
    model: Model
    age_days: float
    expired: bool
    newest: LiveSignal | None
    signals: list[LiveSignal]
    warnings: list[Warn]


class WrittenBundle(Document):
    """A bundle that was written: the SHA-256 of each of its files."""

    model: Model
    path: str
    files: dict[str, str]


class VerifiedBundle(Document):
    """A bundle that its reader takes: every file is what was written, and `sample_rows` rows are predicted to the same bits."""

    path: str
    model_id: str
    dataset: str
    valid_from: datetime
    valid_until: datetime
    sample_rows: int


class BundleSignal(Document):
    """What a bundle says of one bar: `bar` is its UTC second."""

    bar: int
    prediction: float
    signal: SignalWord


class BundlePredictions(Document):
    """The bars of a file that lie in a bundle's window, the newest last."""

    model_id: str
    dataset: str
    valid_from: datetime
    valid_until: datetime
    thresholds: Json
    signals: list[BundleSignal]
