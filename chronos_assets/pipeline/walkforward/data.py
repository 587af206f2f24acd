"""The bars of a run as arrays: read once, only the columns needed, shared by all folds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.domain.targets import is_binary
from chronos_assets.errors import ConflictError, ProfileError
from chronos_assets.learning.training import FoldData, Recipe
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
from chronos_assets.storage.datasets import get_dataset, read_bars
from chronos_assets.storage.stores import Stores

FLOAT32_MOST = np.finfo(np.float32).max


@dataclass(frozen=True)
class RunData:
    """`arrays` that folds train on, and the bars' times (int64 UTC seconds)."""

    arrays: FoldData
    timestamps: NDArray[np.int64]
    interval_seconds: int

    def time_of(self, row: int) -> datetime:
        """Time of a row; of the bar to come if `row` is one past the last."""
        inside = min(row, len(self.timestamps) - 1)
        return datetime.fromtimestamp(int(self.timestamps[inside]) + (row - inside) * self.interval_seconds, tz=UTC)


def read_run_data(stores: Stores, request: WalkforwardRequest) -> RunData:
    """Read the request's columns; raises `ConflictError` if the dataset was published again meanwhile."""
    record = request.record
    bars = read_bars(stores, record, request.columns)
    if get_dataset(stores.postgres, record.dataset_id).revision != record.revision:
        raise ConflictError(
            f"dataset {record.dataset_id} was published again while its bars were read", code="dataset_moved", hint="Run the command again."
        )
    weight = request.profile.weight_column
    weights = None if weight is None else _doubles(bars[weight])
    if weights is not None and bool(np.any(weights < 0)):
        raise ProfileError("a sample weight is negative", code="weight_negative", column=weight, slug=record.dataset_id)
    arrays = FoldData(feature_matrix(bars, request.features), _doubles(bars[request.target]), weights)
    return RunData(arrays, bars["timestamp_unix"].to_numpy(), seconds_to_next_bar(record.granularity, int(bars["timestamp_unix"][-1])))


def feature_matrix(bars: pl.DataFrame, features: tuple[str, ...]) -> NDArray[np.float32]:
    """Features as float32 of shape (rows, features), C order; null is NaN, and what float32 cannot hold its greatest value."""
    matrix = np.empty((bars.height, len(features)), dtype=np.float32)
    for column, name in enumerate(features):
        matrix[:, column] = as_float32(_doubles(bars[name]))
    return matrix


def as_float32(values: ArrayLike) -> NDArray[np.float32]:
    """Doubles as models see them: what float32 cannot hold becomes its greatest value of that sign."""
    return np.clip(np.asarray(values, dtype=np.float64), -FLOAT32_MOST, FLOAT32_MOST).astype(np.float32)


def make_recipe(request: WalkforwardRequest, data: RunData) -> Recipe:
    """How the folds of `request` are trained. A target is 0/1 if the whole dataset knows no other value of it.

    Raises `ProfileError` if the learner cannot learn the target as the profile asks.
    """
    profile = request.profile
    binary = is_binary(data.arrays.targets)
    try:
        learner = profile.model.on_target(binary=binary, transform=profile.target_transform)
    except ProfileError as error:
        error.where |= {"column": request.target, "slug": request.record.dataset_id}
        raise
    return Recipe(
        learner=learner,
        selector=profile.features,
        thresholds=profile.thresholds,
        feature_names=request.features,
        binary=binary,
        device=request.device,
        transform=profile.target_transform,
        tanh_k=profile.tanh_k,
        weight_half_life=profile.weight_half_life,
    )


def _doubles(series: pl.Series) -> NDArray[np.float64]:
    return np.asarray(series.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)
