"""Numbers that stand for "no number": what programs write where they have no value, and what no indicator is.

Two kinds. Limits of number types (2147483647, 1.7976931348623157e308, anything beyond float32) are told wherever they appear. Round
words such as -999 can be values: they are told if they lie far outside the rest of their column, or are repeated in a column of
fractions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

RowOf = Callable[[int], int]

FLOAT32_MAX = 3.4028234663852886e38
_LIMITS = (2147483647.0, -2147483647.0, -2147483648.0, 4294967295.0, 9223372036854775807.0, -9223372036854775808.0, 18446744073709551615.0)
_WORDS = (
    *(-999.0, -9999.0, -99999.0, -999999.0, -9999999.0, -99999999.0, -999999999.0, -999.25, -999.9, -9999.9, -999.99, -9999.99),
    *(9999.0, 99999.0, 999999.0, 9999999.0, 99999999.0, 999999999.0, 9999999999.0, -8888.0, -7777.0, -1e6, -1e9, 1e20, -1e20, 1e30, -1e30),
)
_KNOWN = tuple(sorted({*_LIMITS, *_WORDS}))
_NEAREST = min(abs(value) for value in _KNOWN)
_OFTEN = 3
_FRACTIONS = 0.5


@dataclass(frozen=True)
class SentinelFound:
    """A value that stands for none: how many cells hold it, and the row of the first."""

    value: float
    cells: int
    first_row: int

    def __str__(self) -> str:
        return f"{self.value:.17g} ({self.cells} cell{'s' * (self.cells != 1)}, first in row {self.first_row})"


@dataclass
class Sentinels:
    """What one column holds so far: its range, with and without values that may stand for none, and the counts of those."""

    low: float = math.inf
    high: float = -math.inf
    rest_low: float = math.inf
    rest_high: float = -math.inf
    fractions: bool = False
    found: dict[float, tuple[int, int]] = field(default_factory=dict)

    def take(self, values: pl.Series, row_of: RowOf) -> None:
        """Take the next cells of the column: finite Float64 or null."""
        low, high = values.min(), values.max()
        if low is None or high is None:
            return
        assert isinstance(low, float)
        assert isinstance(high, float)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low > -_NEAREST and high < _NEAREST:
            self.rest_low, self.rest_high = min(self.rest_low, low), max(self.rest_high, high)
        else:
            self._look(values, low, high, row_of)

    def _look(self, values: pl.Series, low: float, high: float, row_of: RowOf) -> None:
        """Count the known values between `low` and `high`, and those beyond float32."""
        rest = values
        for value in _KNOWN:
            if low <= value <= high and (places := (values == value)).any():
                self._count(value, int(places.sum()), row_of(int(places.fill_null(value=False).arg_max() or 0)))
                rest = rest.filter((rest != value).fill_null(value=False))
        if max(abs(low), abs(high)) > FLOAT32_MAX:
            for value, count in values.filter((values.abs() > FLOAT32_MAX).fill_null(value=False)).value_counts().iter_rows():
                if len(self.found) < _MOST_VALUES or value in self.found:
                    self._count(value, count, row_of(int((values == value).fill_null(value=False).arg_max() or 0)))
            rest = rest.filter((rest.abs() <= FLOAT32_MAX).fill_null(value=False))
        if rest.null_count() < len(rest):
            self.rest_low, self.rest_high = min(self.rest_low, _number(rest.min())), max(self.rest_high, _number(rest.max()))
            self.fractions = self.fractions or bool((rest != rest.round()).mean() or 0 > _FRACTIONS)
