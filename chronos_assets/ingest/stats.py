"""Counts per column, gathered batch by batch: nulls, NaN, non-finite cells, constants, and a bounded sample for look-ahead suspects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from chronos_assets.ingest.lookahead import Sample
from chronos_assets.ingest.names import Column

_FEW_ROWS = 64


@dataclass
class ColumnStats:
    """What is known of one column so far."""

    nulls: int = 0
    nan: int = 0
    non_finite: int = 0
    first_non_finite_row: int | None = None
    low: float = math.inf
    high: float = -math.inf

    @property
    def constant(self) -> bool:
        """Whether all numbers seen are the same one."""
        return self.low == self.high


class Stats:
    """Counts of all data columns. `take` also returns the batch with NaN and non-finite cells turned to null; `sample` is fed with that."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = {column.name: ColumnStats() for column in columns}
        self.sample = Sample(columns)
        self.rows = 0

    def take(self, frame: pl.DataFrame, row_of: Callable[[int], int]) -> pl.DataFrame:
        """Count the cells of `frame` (Float64 columns) and clean it."""
        if not frame.height:
            return frame
        self.rows += frame.height
        # Series by series: a query over all columns would wait for the threads that parse.
        odd = [series.name for series in frame.iter_columns() if not math.isfinite(series.sum())]
        if odd:
            frame = frame.with_columns(self._clean(name, frame[name], row_of) for name in odd)
        for series in frame.iter_columns():
            self.columns[series.name].nulls += series.null_count()
        self._ranges(frame)
        return frame

    def _clean(self, name: str, values: pl.Series, row_of: Callable[[int], int]) -> pl.Series:
        stats = self.columns[name]
        stats.nan += int(values.is_nan().sum())
        infinite = values.is_infinite()
        count = int(infinite.sum())
        if count:
            if stats.first_non_finite_row is None:
                stats.first_non_finite_row = row_of(int(infinite.fill_null(value=False).arg_max() or 0))
            stats.non_finite += count
        return pl.select(pl.when(values.is_finite()).then(values)).to_series().alias(name)

    def _ranges(self, frame: pl.DataFrame) -> None:
        """Extend the ranges of columns that may still be constant: by a few rows, and by the others only where those are all alike."""
        for name, stats in self.columns.items():
            for rows in (_FEW_ROWS, frame.height):
                if not stats.low < stats.high and (values := frame[name].head(rows)).null_count() < len(values):
                    stats.low, stats.high = min(stats.low, _number(values.min())), max(stats.high, _number(values.max()))


def _number(value: object) -> float:
    assert isinstance(value, float)
    return value
