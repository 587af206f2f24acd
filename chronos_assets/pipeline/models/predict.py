"""Ask a live model for the signals of the newest bars, and keep what it said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from chronos_assets.errors import ConflictError, NotPublishedError, RefusedError
from chronos_assets.learning.models import FoldModel, load_model
from chronos_assets.pipeline.models.aliases import model_named, require_kept
from chronos_assets.pipeline.models.train import signals_frame
from chronos_assets.pipeline.walkforward.data import feature_matrix
from chronos_assets.storage.datasets import DatasetRecord, get_dataset, read_last_bars
from chronos_assets.storage.live_signals import write_signals
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import LIVE, ModelRecord, get_model
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.stores import Stores


@dataclass(frozen=True)
class LivePredictions:
    """What a model says of the bars of its window, the newest last.

    `signals` has the columns of `live_signals`, `target_known` (whether the target of the bar has filled) and `fold`: the fold of the run
    that predicted, or null if the live model did. It is the run's last fold that predicts the newest bar while the model's own window
    has no bar yet.
    """

    model: ModelRecord
    record: DatasetRecord
    signals: pl.DataFrame
    expired: bool

    @property
    def newest(self) -> dict[str, Any] | None:
        """The row of the newest bar, which is the signal for the bar to come; None if nothing predicts it."""
        return self.signals.row(-1, named=True) if self.signals.height else None


def predict_live(
    slug: str, stores: Stores, *, name: str = LIVE, model_id: str | None = None, allow_expired: bool = False
) -> LivePredictions:
    """Predict the bars of a model's window with it, and write them to `live_signals`.

    The model is the one that `name` stands for, or `model_id`. Raises `NotPublishedError` if there is none, `RefusedError` for a
    model that is expired (unless allowed), retired, or of other bars than those published now, `FileError` if its file is damaged.
    """
    record = get_dataset(stores.postgres, slug)
    model = model_named(stores, slug, name) if model_id is None else get_model(stores.postgres, model_id)
    require_kept(model)
    require_same_bars(model, record)
    expired = is_expired(model, record)
    if expired and not allow_expired:
        raise _expired(model, record)
    bars = record.row_count - int(model.fold["test_start_idx"])
    if bars < 1:
        return LivePredictions(model, record, _of_last_fold(model, stores), expired)
    loaded = load_stored(stores, model)
    signals = _signals(stores, record, model, loaded, bars)
    if get_dataset(stores.postgres, slug).revision != record.revision:
        raise ConflictError(
            f"dataset {slug} was published again while its bars were read", code="dataset_moved", hint="Run the command again."
        )
    write_signals(stores, signals)
    return LivePredictions(model, record, signals, expired)


def load_stored(stores: Stores, model: ModelRecord) -> FoldModel:
    """The model from its file, whose hash is checked first."""
    content = ModelArtifacts(stores.artifacts).load(model.model_id, model.sha256)
    return load_model(content, model.description["learner"])


def is_expired(model: ModelRecord, record: DatasetRecord) -> bool:
    """Whether the newest bar lies behind the model's window: by bars for a window in bars, by time for one of the calendar."""
    end_row = model.fold["test_end_idx"]
    return record.last_bar_ts >= model.valid_until_ts if end_row is None else record.row_count > int(end_row)


def _signals(stores: Stores, record: DatasetRecord, model: ModelRecord, loaded: FoldModel, bars: int) -> pl.DataFrame:
    """The last `bars` bars as the model predicts them."""
    target = model.description["target"]["name"]
    columns = [record.column(name) for name in (*loaded.feature_names, target)]
    rows = read_last_bars(stores.questdb, record, columns, bars, keys=("timestamp_unix",))
    times, first = rows["timestamp_unix"].to_numpy(), record.row_count - bars
    signals = signals_frame(model.description, loaded, feature_matrix(rows, loaded.feature_names), times, first)
    known = rows[target].cast(pl.Float64).fill_nan(None).is_not_null()
    return signals.with_columns(target_known=known, fold=pl.lit(None, dtype=pl.Int64))


def _of_last_fold(model: ModelRecord, stores: Stores) -> pl.DataFrame:
    """The newest bar as the last fold of the model's run predicted it: the model's own window begins with the next bar."""
    assert model.run_id is not None  # `require_kept`
    folds = [int(model.fold["fold_number"]) - 1]
    last = read_predictions(stores, model.run_id, folds).tail(1)
    long, short = pl.col("prediction") >= pl.col("long_threshold"), pl.col("prediction") <= pl.col("short_threshold")
    long, short = long.fill_null(value=False), short.fill_null(value=False)
    signal = pl.when(long & ~short).then(pl.lit("long")).when(short & ~long).then(pl.lit("short")).otherwise(pl.lit("none"))
    return last.select(
        "timestamp_unix",
        signal.alias("signal"),
        "bar_index",
        "prediction",
        pl.lit(model.model_id).alias("model_id"),
        pl.lit(model.dataset_id).alias("dataset"),
        "long_threshold",
        "short_threshold",
        pl.col("target_value").is_not_null().alias("target_known"),
        "fold",
    )


def require_same_bars(model: ModelRecord, record: DatasetRecord) -> None:
    """Raise `RefusedError` for a model of another dataset, or of bars that were replaced since."""
    if model.dataset_id != record.dataset_id:
        raise NotPublishedError(
            f"model {model.model_id} is not one of {record.dataset_id}",
            code="model_of_other_dataset",
            expected=f"a model of {record.dataset_id}",
            found=f"one of {model.dataset_id}",
            hint=f"`chronos model list {record.dataset_id}` shows its models.",
        )
    tag = model.description["questdb_tag"]
    if tag != record.questdb_tag:
        raise RefusedError(
            f"the bars of {record.dataset_id} were replaced after this model was trained",
            code="model_of_other_bars",
            expected=f"bars under tag {tag}",
            found=f"tag {record.questdb_tag}",
            hint=f"`chronos model train {record.dataset_id}` makes a model of the new bars.",
            slug=record.dataset_id,
        )


def _expired(model: ModelRecord, record: DatasetRecord) -> RefusedError:
    end_row = model.fold["test_end_idx"]
    until = f"bars before row {end_row}" if end_row is not None else f"bars before {_minute(model.valid_until_ts)}"
    return RefusedError(
        f"model {model.model_id} is expired: its window is full, and the next fold of the plan takes over",
        code="model_expired",
        expected=until,
        found=f"newest bar {_minute(record.last_bar_ts)}, row {record.row_count - 1}",
        hint=f"`chronos model train {record.dataset_id}` makes the next one; `--allow-expired` asks this one all the same.",
        slug=record.dataset_id,
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
