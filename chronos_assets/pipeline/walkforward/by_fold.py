"""The stored predictions of a run, fold by fold, as views of whole columns: a frame per fold costs more than what is asked of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


class PredictionsByFold:
    """Predictions as `read_predictions` gives them, in bar order within each fold."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame.sort("fold", "bar_index")
        folds, starts = np.unique(self.frame["fold"].to_numpy(), return_index=True)
        self._rows = dict(zip(folds.tolist(), zip(starts, np.append(starts[1:], len(self.frame)), strict=True), strict=True))

    @cached_property
    def _columns(self) -> Columns:
        filled = self.frame.drop("fold").with_columns(cs.float().fill_null(float("nan")))
        return {name: filled[name].to_numpy() for name in filled.columns}

    def of(self, number: int) -> Columns | None:
        """The columns of one fold, as views (doubles: null is NaN); None if it has none."""
        if number not in self._rows:
            return None
        start, end = self._rows[number]
        return {name: values[start:end] for name, values in self._columns.items()}
