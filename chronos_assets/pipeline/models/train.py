"""Train the live fold of a published dataset, and keep its model with its description, its backtest and its first signals.

The same request is the same model (`model_id`): one that is there with its file is returned at once. The order is that of everything
published here: signals, visible; then the file; then the row that names it.
"""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.identity import canonical, identity_of
from chronos_assets.domain.live_fold import LiveFold, live_fold, signal_names
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.thresholds import Thresholds
from chronos_assets.errors import FoldsFailedError, RefusedError
from chronos_assets.learning.executors.base import FoldExecutor, checked, require_versions
from chronos_assets.learning.executors.catalogue import open_executor
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.models import FoldModel, attributes_of, load_model
from chronos_assets.learning.training import FoldFailure, FoldResult, FoldSpec
from chronos_assets.pipeline.models.backtest import backtest_of
from chronos_assets.pipeline.models.description import as_attribute, describe
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.checks import completeness, thresholds_agree
from chronos_assets.pipeline.walkforward.data import RunData, make_recipe, read_run_data
from chronos_assets.pipeline.walkforward.request import IGNORED, WalkforwardRequest
from chronos_assets.pipeline.walkforward.run import LOCK_SECONDS, plan_request
from chronos_assets.storage.live_signals import write_signals
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import ModelRecord, find_model_of_fold, get_model, renew_backtest, store_model
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.questdb_tables import LIVE_SIGNALS
from chronos_assets.storage.runs import find_run, run_lock
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing_to

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/model")


@dataclass(frozen=True)
class TrainedModel:
    """One call: the model, whether it was there already, the bars of its window so far, and how long it took."""

    model: ModelRecord
    reused: bool
    bars: int
    seconds: float
    warnings: list[dict[str, str]] = field(default_factory=list)


def train_live_model(
    slug: str,
    profile: WalkforwardProfile,
    stores: Stores,
    *,
    horizon: int,
    horizon_assumed: bool,
    profile_name: str | None = None,
    requested_by: str = "chronos",
    progress: Progress | None = None,
    executor: FoldExecutor | None = None,
) -> TrainedModel:
    """The model of the live fold of a published dataset, trained if it is not there.

    Raises `RefusedError` if the run that it continues is not complete or fails its checks, `ProfileError` if no fold follows,
    `ConflictError` if another process works on the run.
    """
    executor = executor or open_executor(stores.settings)
    request = plan_request(slug, profile, stores, horizon=horizon, horizon_assumed=horizon_assumed, executor=executor)
    return train_request(request, stores, profile_name=profile_name, requested_by=requested_by, progress=progress, executor=executor)


def train_request(
    request: WalkforwardRequest,
    stores: Stores,
    *,
    profile_name: str | None = None,
    requested_by: str = "chronos",
    progress: Progress | None = None,
    executor: FoldExecutor | None = None,
) -> TrainedModel:
    """`train_live_model` of a request that is resolved already."""
    started, tell = time.monotonic(), progress or silent
    require_sound_run(request, stores)
    executor = executor or open_executor(stores.settings)
    with run_lock(stores.postgres, request.run_id, wait_seconds=LOCK_SECONDS) as lock:
        tell("read", 0, 1, f"{request.record.row_count} bars, {len(request.features)} features")
        data = read_run_data(stores, request)
        work = _Work(stores, lock, request, data, open_fold(request, data))
        known = work.known()
        if known is None:
            tell("train", 0, 1, f"fold {work.live.number}")
            model_id = work.keep(work.train(executor), profile_name=profile_name, requested_by=requested_by)
        else:
            model_id = work.renew(known)
        tell("train", 1, 1, "")
    model, bars = get_model(stores.postgres, model_id), request.record.row_count - work.live.test_start
    return TrainedModel(model, known is not None, bars, time.monotonic() - started, request.warnings)


def require_sound_run(request: WalkforwardRequest, stores: Stores) -> None:
    """Raise `RefusedError` unless the run of a request is complete and both stores agree on it."""
    slug, run = request.record.dataset_id, find_run(stores.postgres, request.run_id)
    if run is None or run.status != "completed":
        raise RefusedError(
            "a live model continues a complete walk-forward run, and this one is not",
            code="run_incomplete",
            expected=f"run {request.run_id} completed",
            found="no such run" if run is None else f"status {run.status}",
            hint=f"`chronos walkforward {slug}` with the same options completes it.",
            slug=slug,
        )
    findings = completeness(stores, request.run_id).findings or thresholds_agree(stores, request.run_id)
    if findings:
        first = findings[0]
        raise RefusedError(
            "a live model continues a run whose checks pass, and this run's do not",
            code="run_checks_failed",
            expected=f"{first.what} {first.expected}",
            found=first.found,
            hint=f"`validate_dataset --run {request.run_id}` says more; `chronos walkforward {slug}` trains what is missing.",
            slug=slug,
            fold=first.fold,
        )


def open_fold(request: WalkforwardRequest, data: RunData) -> LiveFold:
    """The live fold of a request."""
    return live_fold(
        request.layout,
        request.record.row_count,
        request.folds[-1].number + 1,
        timestamps=data.timestamps,
        interval_seconds=data.interval_seconds,
    )


def model_id_of(request: WalkforwardRequest, fold_key: str, thresholds: Thresholds) -> str:
    """UUIDv5 of fold key, resolved profile, thresholds, dataset and content, and versions: the same request is the same model."""
    parts = {
        "fold": fold_key,
        "profile": identity_of(request.profile, ignored=IGNORED),
        "thresholds": thresholds.as_json(),
        "dataset": request.record.dataset_id,
        "content": request.record.content_hash,
        "code": request.code_version,
    }
    return str(uuid.uuid5(NAMESPACE, canonical(parts)))


def signals_frame(
    description: dict[str, Any], model: FoldModel, features: np.ndarray, timestamps: np.ndarray, first_row: int
) -> pl.DataFrame:
    """Predictions and signals of bars from `first_row` on, as `live_signals` has them.

    `features` float32 of shape (bars, features) in the order of `model.feature_names`; `timestamps` int64 UTC seconds of shape (bars,).
    """
    thresholds = Thresholds(**{name: description["thresholds"][name] for name in Thresholds.__dataclass_fields__})
    predictions = model.predict(features) if len(features) else np.empty(0)
    fixed = {
        "model_id": pl.lit(description["model_id"]),
        "dataset": pl.lit(description["dataset"]),
        "long_threshold": pl.lit(thresholds.long, dtype=pl.Float64),
        "short_threshold": pl.lit(thresholds.short, dtype=pl.Float64),
    }
    return pl.DataFrame(
        {
            "timestamp_unix": timestamps,
            "signal": pl.Series(signal_names(thresholds, predictions), dtype=pl.String),
            "bar_index": np.arange(first_row, first_row + len(predictions), dtype=np.int64),
            "prediction": predictions,
        }
    ).with_columns(**fixed)


@dataclass(frozen=True)
class _Work:
    """One request, under the lock of the run that it continues."""

    stores: Stores
    lock: Connection
    request: WalkforwardRequest
    data: RunData
    live: LiveFold

    @cached_property
    def spec(self) -> FoldSpec:
        """What is trained: the fold without test rows, for those do not make the model."""
        recipe, training = make_recipe(self.request, self.data), self.live.training
        split = training.split(self.request.profile.val_split_ratio)
        return FoldSpec(training, split, FoldKeys(self.data.arrays, recipe).key(training, split), recipe)

    def known(self) -> ModelRecord | None:
        """The model, if it is there with its file."""
        found = find_model_of_fold(self.stores.postgres, self.request.run_id, self.spec.key)
        whole = found is not None and ModelArtifacts(self.stores.artifacts).is_whole(found.model_id, found.sha256)
        return found if whole else None

    def renew(self, known: ModelRecord) -> str:
        """Take in what was made of the run since: simulations, and with them the backtest."""
        backtest = backtest_of(self.stores, self.request.run_id)
        simulations = _simulation_ids(backtest)
        if simulations != known.simulation_ids:
            with self.stores.postgres.wrapped():
                renew_backtest(self.lock, known.model_id, simulations, backtest)
        return known.model_id

    def train(self, executor: FoldExecutor) -> FoldResult:
        """Train the fold; raises `FoldsFailedError`."""
        profile = self.request.profile
        with executor.session():
            require_versions(executor, profile.model, profile.features)
            with closing(executor.map(self.data.arrays, [self.spec])) as results:
                (result,) = (checked(one, self.request.versions) for one in results)
        if isinstance(result, FoldFailure):
            raise FoldsFailedError(
                "the live fold failed",
                code="folds_failed",
                found=f"fold {self.live.number}: {result.reason}",
                slug=self.request.record.dataset_id,
            )
        return result

    def keep(self, result: FoldResult, *, profile_name: str | None, requested_by: str) -> str:
        """Write signals, file and row; gives the `model_id`."""
        request, live, learner = self.request, self.live, self.request.profile.model.name
        model = load_model(result.model, learner)
        model_id = model_id_of(request, result.key, result.thresholds)
        description = describe(model_id, request, live, self.data, result)
        attributes = attributes_of(result.key, model.feature_names, model.transform, binary=model.binary) | as_attribute(description)
        content = model.trained.save(attributes, names=model.feature_names)
        backtest = backtest_of(self.stores, request.run_id)
        row = {
            "model_id": model_id,
            "dataset_id": request.record.dataset_id,
            "run_id": request.run_id,
            "profile": profile_name,
            "fold": _fold_row(live, result),
            "thresholds": result.thresholds.as_json(),
            **{f"{name}_ts": description[name] for name in ("valid_from", "valid_until")},
            **{f"train_{edge}_ts": description["train"][edge] for edge in ("start", "end")},
            "simulation_ids": _simulation_ids(backtest),
            "description": description,
            "backtest": backtest,
            "requested_by": requested_by,
        }
        # No compaction meanwhile: signals without a row would be dead ones.
        with self.stores.postgres.wrapped(), writing_to(self.lock, LIVE_SIGNALS.name):
            self._first_signals(description, load_model(content, learner))
            store_model(self.stores, self.lock, row, content)
        return model_id

    def _first_signals(self, description: dict[str, Any], model: FoldModel) -> None:
        """The bars of the window so far, predicted by the model as its file gives it back."""
        first = self.live.test_start
        features = self.data.arrays.features[first:, model.columns(self.request.features)]
        write_signals(self.stores, signals_frame(description, model, features, self.data.timestamps[first:], first))


def _fold_row(live: LiveFold, result: FoldResult) -> dict[str, Any]:
    return {
        "fold_key": result.key,
        "fold_number": live.number,
        "train_start_idx": live.train_start,
        "train_end_idx": live.train_end,
        "test_start_idx": live.test_start,
        "test_end_idx": live.test_end,
        "samples_train": result.samples_train,
        "samples_validation": len(result.val_rows),
        "best_iteration": result.best_iteration,
        "best_score": result.best_score,
        "learned_nothing": result.learned_nothing,
    }


def _simulation_ids(backtest: dict[str, Any]) -> list[str]:
    return [simulation["simulation_id"] for simulation in backtest["simulations"]]
