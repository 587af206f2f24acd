"""What is gathered batch by batch: counts and ranges per column, faults of prices, far dates, and bars to look at in the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from chronos_assets.ingest.far_dates import Islands
from chronos_assets.ingest.horizon import EmptyEnd
from chronos_assets.ingest.lookahead import Sample
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.price_checks import PriceChecks, price_fields
from chronos_assets.ingest.sentinels import ValueRange
from chronos_assets.ingest.tail import Tail


@dataclass
class ColumnStats:
    """What is known of one column so far."""

    nulls: int = 0
    nan: int = 0
    non_finite: int = 0
    first_non_finite_row: int | None = None
    range: ValueRange = field(default_factory=ValueRange)

    @property
    def constant(self) -> bool:
        """Whether all numbers seen are the same one."""
        return self.range.low == self.range.high


class Stats:
    """All that is gathered of the bars. `take` also returns the batch with NaN and non-finite cells as nulls; `keep` is fed with that."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = {column.name: ColumnStats() for column in columns}
        self.sample = Sample(columns)
        self.tail = Tail([column.name for column in columns])
        self.empty_ends = {column.name: EmptyEnd() for column in columns if column.role == "target"}
        self.prices = price_fields(column.name for column in columns if column.role == "price")
        self.price_checks = PriceChecks()
        self.islands = Islands()
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
            stats = self.columns[series.name]
            stats.nulls += series.null_count()
            stats.range.take(series, row_of)
        self.price_checks.add({field: frame[name].to_numpy() for field, name in self.prices.items()}, row_of)
        return frame

    def keep(self, frame: pl.DataFrame, row_of: Callable[[int], int]) -> None:
        """Look at a batch of normalized bars: keys and cleaned numbers."""
        self.islands.add(frame["timestamp_unix"].to_numpy(), row_of)
        self.sample.add(frame)
        self.tail.add(frame)
        for name, end in self.empty_ends.items():
            end.add(frame[name])

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
