"""The cases of the signal test: for every fold the bars that chose its thresholds, as the run's own rule chose them, and its test bars.

Validation predictions are kept beside each model. Predictions of the fitted rows (`thresholds.data` `train` or `both`) are not: the stored
model makes them again, to the same bits, from the bars that the run saw.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.statistics.signal_significance import Cases, FoldCases
from chronos_assets.domain.targets import Floats, case_returns
from chronos_assets.pipeline.simulation.inputs import SimulationInputs
from chronos_assets.pipeline.walkforward.data import feature_matrix
from chronos_assets.pipeline.walkforward.request import learner_of
from chronos_assets.storage.datasets import read_range
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.runs import FoldRecord
from chronos_assets.storage.stores import Stores


def fold_cases(inputs: SimulationInputs, stores: Stores) -> list[FoldCases] | None:
    """The cases of every fold, in order; None if no fold has its files here, or an older program stored some without a hash.

    Raises `FileError` if those of some folds are missing or damaged: a test on the others would pass for one on all.
    """
    artifacts = FoldArtifacts(stores.artifacts)
    states = set(artifacts.states(fold.files for fold in inputs.folds))
    if states <= {"missing"} or "unrecorded" in states:
        return None
    data = inputs.thresholds.data
    fitted = None if data == "validation" else _FittedRows(inputs, stores)
    scored = inputs.predictions.filter(pl.col("target_value").is_not_null()).partition_by("fold", as_dict=True)
    cases = []
    for fold in inputs.folds:
        parts = [] if fitted is None else [fitted.cases(fold)]
        if data != "train":
            kept = artifacts.validation(fold.files)
            parts.append(_cases(fold.train_start_idx + kept.offsets, kept.predictions, kept.targets, binary=inputs.binary))
        test = scored.get((fold.fold_number,), inputs.predictions.clear())
        columns = (test[name].to_numpy() for name in ("bar_index", "prediction", "target_value"))
        cases.append(FoldCases(_joined(parts), _cases(*columns, binary=inputs.binary)))
    return cases


class _FittedRows:
    """Predictions of the rows that folds were fitted on, made by their stored models from the bars that the run saw."""

    def __init__(self, inputs: SimulationInputs, stores: Stores) -> None:
        self._inputs, self._artifacts = inputs, FoldArtifacts(stores.artifacts)
        run, record = inputs.run, inputs.record
        names = tuple(run.feature_columns)
        columns = [record.column(name) for name in (*names, run.target_column)]
        first, last = int(record.first_bar_ts.timestamp()), int(inputs.predictions["timestamp_unix"].max())  # type: ignore[arg-type]
        bars = read_range(stores.questdb, record.questdb_tag, columns, first=first, last=last)
        self._features = feature_matrix(bars, names)
        self._targets: Floats = bars[run.target_column].cast(pl.Float64).fill_null(np.nan).to_numpy()

    def cases(self, fold: FoldRecord) -> Cases:
        """The fitted rows of one fold that have a target."""
        from chronos_assets.learning.models import load_model  # xgboost is heavy

        plan = Fold(fold.fold_number, fold.train_start_idx, fold.train_end_idx, fold.test_start_idx, fold.test_end_idx)
        split = plan.split(float(self._inputs.run.walk_config["val_split_ratio"]))
        rows = split.fit_start + np.flatnonzero(~np.isnan(self._targets[split.fit_start : split.fit_end]))
        run = self._inputs.run
        model = load_model(self._artifacts.model(fold.files), learner_of(run))
        features = self._features[rows][:, model.columns(run.feature_columns)]
        return _cases(rows, model.predict(features), self._targets[rows], binary=self._inputs.binary)


def _cases(rows: np.ndarray, predictions: Floats, targets: Floats, *, binary: bool) -> Cases:
    return Cases(rows.astype(np.int64), predictions, case_returns(targets, binary=binary))


def _joined(parts: list[Cases]) -> Cases:
    """Fitted rows, then validation rows: the order in which training ranked them."""
    if len(parts) == 1:
        return parts[0]
    return Cases(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "predictions", "returns")))
