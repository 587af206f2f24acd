"""What a simulation stands on, read once for all modes of a run: bars and signals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.engine import NO_FOLD, Signals
from chronos_assets.domain.simulation.prices import PriceBars
from chronos_assets.errors import RefusedError, StoreError
from chronos_assets.ingest.price_checks import price_fields
from chronos_assets.pipeline.simulation.price_sources import PriceSource
from chronos_assets.pipeline.simulation.prices import RunPrices, missing_bars
from chronos_assets.pipeline.walkforward.request import assumed_horizon
from chronos_assets.storage.datasets import DatasetRecord, get_dataset, read_range
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores


@dataclass(frozen=True)
class SimulationInputs:
    """Everything that is the same for all modes. `prices` begin at the dataset's first bar; the simulation is `[start, end)` of them."""

    run: RunRecord
    record: DatasetRecord
    folds: tuple[FoldRecord, ...]
    predictions: pl.DataFrame
    prices: RunPrices
    signals: Signals
    start: int
    end: int

    @cached_property
    def bars(self) -> PriceBars:
        """The bars of the simulation, from the first test bar to the last."""
        return self.prices.bars.span(self.start, self.end)

    @property
    def warnings(self) -> list[dict[str, str]]:
        """What a reader of the results should know."""
        said = [*self.prices.warnings, *missing_bars(self.bars)]
        if (self.run.walk_config or {}).get("horizon_assumed"):
            message = assumed_horizon(self.run.target_column, self.horizon)
            said.append({"code": "target_horizon_assumed", "message": message})
        return said

    @property
    def horizon(self) -> int:
        """Bars that the target looks ahead."""
        return int((self.run.walk_config or {}).get("horizon") or 1)

    @property
    def binary(self) -> bool:
        """Whether the target is 0/1."""
        return bool((self.run.summary_metrics or {}).get("binary_target"))

    @property
    def thresholds(self) -> ThresholdProfile:
        """How the run chose its thresholds."""
        return ThresholdProfile.model_validate((self.run.walk_config or {}).get("thresholds") or {})


def read_inputs(run_id: str, stores: Stores, source: PriceSource) -> SimulationInputs:
    """Read a completed run, its dataset and its prices from `source`.

    Raises `RefusedError` for a run that is not complete or a dataset without prices, `StoreError` if the stores disagree.
    """
    run = get_run(stores.postgres, run_id)
    _require_completed(run)
    # A run keeps to the revision of the dataset that it was trained on.
    current = get_dataset(stores.postgres, run.dataset_id)
    record = dataclasses.replace(
        current, questdb_tag=run.questdb_tag or current.questdb_tag, checksum=run.dataset_checksum or current.checksum
    )
    source.require(record)
    folds, predictions = tuple(get_folds(stores.postgres, run.run_id)), read_predictions(stores, run.run_id)
    _require_complete(run, folds, predictions)
    table = _read_prices(stores, record, int(predictions["timestamp_unix"].max()))  # type: ignore[arg-type]  # an int64 column
    _require_same_bars(table, predictions, record)
    prices = source.read(record, table)
    start, end = min(f.test_start_idx for f in folds), max(f.test_end_idx for f in folds)
    return SimulationInputs(run, record, folds, predictions, prices, signals_of(predictions, start, end), start, end)


def _require_completed(run: RunRecord) -> None:
    if run.status != "completed":
        raise RefusedError(
            f"run {run.run_id} is not complete",
            code="run_incomplete",
            expected="status completed",
            found=f"status {run.status}",
            hint=f"`chronos walkforward {run.dataset_id}` finishes it.",
        )


def _require_complete(run: RunRecord, folds: Sequence[FoldRecord], predictions: pl.DataFrame) -> None:
    expected = sum(fold.test_end_idx - fold.test_start_idx for fold in folds)
    if not folds or predictions.height != expected:
        raise StoreError(
            "QuestDB holds another number of predictions than the folds have test bars",
            code="predictions_missing",
            expected=expected,
            found=predictions.height,
            hint=f"`validate_dataset --run {run.run_id}` says which fold differs.",
        )


def _read_prices(stores: Stores, record: DatasetRecord, last: int) -> pl.DataFrame:
    """Times of all bars up to `last`, with the columns of prices and volume that the dataset has."""
    first = int(record.first_bar_ts.timestamp())
    columns = [record.column(name) for name in price_fields(record.names("price")).values()]
    return read_range(stores.questdb, record.questdb_tag, columns, first=first, last=last)


def _require_same_bars(table: pl.DataFrame, predictions: pl.DataFrame, record: DatasetRecord) -> None:
    """The bars of the dataset lie where the run's `bar_index` says."""
    times, index = table["timestamp_unix"].to_numpy(), predictions["bar_index"].to_numpy()
    if index.max() >= len(times) or not np.array_equal(times[index], predictions["timestamp_unix"].to_numpy()):
        raise StoreError(
            f"the bars of {record.dataset_id} are not those that the run predicted",
            code="bars_differ",
            expected=f"{int(index.max()) + 1} bars up to the last prediction",
            found=f"{len(times)} bars",
            hint=f"`validate_dataset {record.dataset_id}` says what differs.",
            slug=record.dataset_id,
        )


def signals_of(predictions: pl.DataFrame, start: int, end: int) -> Signals:
    """Predictions on the bars `[start, end)`, NaN and no fold between tests."""
    at = predictions["bar_index"].to_numpy() - start
    columns = []
    for name in ("prediction", "long_threshold", "short_threshold"):
        values = np.full(end - start, np.nan)
        values[at] = predictions[name].fill_null(float("nan")).to_numpy()
        columns.append(values)
    fold = np.full(end - start, NO_FOLD, dtype=np.int64)
    fold[at] = predictions["fold"].to_numpy()
    return Signals(columns[0], columns[1], columns[2], fold)
