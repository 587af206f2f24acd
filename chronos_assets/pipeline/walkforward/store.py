"""Folds on their way into the stores: rows and predictions built here, several finished folds stored together.

Storing costs a round trip to both servers and a wait until QuestDB shows the rows, whatever the number of folds, and makes a pack. So
finished folds are collected, longer if a trip took longer or the run does: at most about a tenth of the time goes into waiting for the
stores, 500 quick folds make some ten packs, and a killed process loses a quarter of its work at most, and never more than half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.metrics import METRICS_VERSION, side_returns
from chronos_assets.domain.selectors import SELECTORS
from chronos_assets.domain.targets import Floats
from chronos_assets.domain.thresholds import Thresholds
from chronos_assets.learning.training import FoldResult
from chronos_assets.pipeline.walkforward.data import RunData
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
from chronos_assets.storage.fold_artifacts import FoldArtifacts, ValidationCases, label
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.runs import FoldRecord, store_folds
from chronos_assets.storage.stores import Stores

LEARNED_NOTHING = "learned_nothing"
# How many cases each side's threshold rests on, `{long, short}`; None for a side that is off.
THRESHOLD_CASES = "threshold_cases"
# What a fold's metrics hold besides metrics: remarks, the features that its selector chose, and the cases of its thresholds.
NOTES = ("notes", "features", THRESHOLD_CASES)
EDGES = ("train_start", "train_end", "test_start", "test_end")
LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, PAUSE_PER_COST, PAUSE_PER_SECOND = 0.5, 30.0, 10.0, 0.25
MOST_BUFFERED_ROWS, MOST_BUFFERED_BYTES = 50_000, 64_000_000


@dataclass(frozen=True)
class ReadyFold:
    """A fold ready to be stored: its row, its predictions and scores per test row; `trained` where its files are yet to be written."""

    record: FoldRecord
    predictions: Floats
    scores: Floats
    trained: FoldResult | None = None


@dataclass
class FoldWriter:
    """Collects ready folds and stores them together; leaving the context stores the rest, also after an interrupt."""

    stores: Stores
    lock: Connection
    request: WalkforwardRequest
    data: RunData
    binary: bool
    stored: set[int] = field(default_factory=set)
    _ready: list[ReadyFold] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0
    _pause: float = LEAST_PAUSE_SECONDS
    _last: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.artifacts = FoldArtifacts(self.stores.artifacts)

    def __enter__(self) -> FoldWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # After an error of a store there is no use in asking it again; after Ctrl-C what is finished is worth keeping.
        if kind is None or not issubclass(kind, Exception):
            self.flush()

    def add_result(self, result: FoldResult) -> None:
        """Take a freshly trained fold."""
        record = self._record(
            result.fold,
            result.thresholds,
            result.predictions,
            samples_train=result.samples_train,
            best_iteration=result.best_iteration,
            best_score=result.best_score,
            fold_key=result.key,
            artifact=None,
            importance=vars(result.importance),
            versions=result.versions,
            notes=_notes(result, self.request),
        )
        self.add(ReadyFold(record, result.predictions, result.scores, result))

    def copy(self, fold: Fold, source: FoldRecord, predictions: Floats, scores: Floats) -> None:
        """Take a fold from another run: its metrics are computed afresh, its targets may have filled."""
        names = ("samples_train", "best_iteration", "best_score", "artifact", "importance", "versions", *vars(source.files))
        kept = {name: getattr(source, name) for name in names}
        notes = {name: value for name, value in source.metrics.items() if name in NOTES}
        record = self._record(fold, Thresholds(**source.thresholds), predictions, **kept, notes=notes)
        self.add(ReadyFold(record, predictions, scores))

    def add(self, ready: ReadyFold) -> None:
        """Collect one fold; stores everything collected when its time has come."""
        self._ready.append(ready)
        self._rows += len(ready.predictions)
        self._bytes += len(ready.trained.model) if ready.trained else 0
        if self._rows >= MOST_BUFFERED_ROWS or self._bytes >= MOST_BUFFERED_BYTES or time.monotonic() - self._last >= self._pause:
            self.flush()

    def flush(self) -> None:
        """Store everything collected. `stored` has the numbers; a copied fold whose files went meanwhile is not among them."""
        if self._ready:
            started, by_number = time.monotonic(), {ready.record.fold_number: ready for ready in self._ready}
            records, frame = [ready.record for ready in self._ready], self._frame(self._ready)

            def keep_files(folds: Sequence[FoldRecord]) -> list[FoldRecord]:
                return self._keep_files([by_number[fold.fold_number] for fold in folds])

            self.stored |= store_folds(self.stores, self.lock, records, frame, keep_files=keep_files)
            cost = time.monotonic() - started
            self._ready, self._rows, self._bytes = [], 0, 0
            worked = time.monotonic() - self._began
            self._pause = min(max(LEAST_PAUSE_SECONDS, PAUSE_PER_COST * cost, PAUSE_PER_SECOND * worked), MOST_PAUSE_SECONDS)
        self._last = time.monotonic()

    def _keep_files(self, folds: Sequence[ReadyFold]) -> list[FoldRecord]:
        """Write what trained folds left as one pack and verify that of copied ones; gives the folds that have theirs, with their hashes."""
        trained = [ready.trained for ready in folds if ready.trained is not None]
        saved = self.artifacts.save({result.key: (result.model, _cases(result)) for result in trained})
        copied = [ready.record for ready in folds if ready.trained is None]
        states = self.artifacts.states(record.files for record in copied)
        whole = [record for record, state in zip(copied, states, strict=True) if state == "whole"]
        files = ((ready.record, saved[ready.trained.key]) for ready in folds if ready.trained is not None)
        return whole + [replace(record, **vars(one), artifact=label(one)) for record, one in files]

    def _record(self, fold: Fold, thresholds: Thresholds, predictions: Floats, *, notes: dict[str, Any], **trained: Any) -> FoldRecord:
        targets = self.data.arrays.targets[fold.test_start : fold.test_end]
        metrics = side_returns(predictions, targets, thresholds, binary=self.binary).as_json() | {"version": METRICS_VERSION} | notes
        edges: dict[str, Any] = {}
        for name in EDGES:
            edges |= {f"{name}_idx": getattr(fold, name), f"{name}_ts": self.data.time_of(getattr(fold, name))}
        return FoldRecord(
            run_id=self.request.run_id,
            fold_number=fold.number,
            **edges,
            samples_test=int(np.count_nonzero(~np.isnan(targets))),
            thresholds=thresholds.as_json(),
            metrics=metrics,
            **trained,
        )

    def _frame(self, folds: Sequence[ReadyFold]) -> pl.DataFrame:
        """The folds' rows of `walkforward_predictions`, `timestamp` as int64 seconds."""
        lengths = [len(ready.predictions) for ready in folds]
        rows = np.concatenate([np.arange(ready.record.test_start_idx, ready.record.test_end_idx) for ready in folds])

        def repeated(values: list[Any], kind: Any) -> NDArray[Any]:
            return np.repeat(np.array(values, dtype=kind), lengths)

        def threshold(side: str) -> NDArray[Any]:
            return repeated([np.nan if (v := ready.record.thresholds[side]) is None else v for ready in folds], np.float64)

        return pl.DataFrame(
            {
                "run_id": [self.request.run_id] * len(rows),
                "fold": repeated([str(ready.record.fold_number) for ready in folds], np.str_).tolist(),
                "dataset": [self.request.record.dataset_id] * len(rows),
                "target": [self.request.target] * len(rows),
                "bar_index": rows,
                "prediction": np.concatenate([ready.predictions for ready in folds]),
                "target_value": self.data.arrays.targets[rows],
                "long_threshold": threshold("long"),
                "short_threshold": threshold("short"),
                "score": np.concatenate([ready.scores for ready in folds]),
                "timestamp": self.data.timestamps[rows],
            }
        )


def _notes(result: FoldResult, request: WalkforwardRequest) -> dict[str, Any]:
    """What the fold itself says of its training."""
    notes: dict[str, Any] = {THRESHOLD_CASES: result.threshold_cases}
    if result.learned_nothing:
        notes["notes"] = [LEARNED_NOTHING]
    if request.profile.features.name != SELECTORS.default:
        notes["features"] = list(result.chosen)
    return notes


def _cases(result: FoldResult) -> ValidationCases:
    return ValidationCases(result.val_rows - result.fold.train_start, result.val_predictions, result.val_targets)
