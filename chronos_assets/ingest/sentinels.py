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
LIMITS = (2147483647.0, -2147483647.0, -2147483648.0, 4294967295.0, 9223372036854775807.0, -9223372036854775808.0, 18446744073709551615.0)
WORDS = (
    *(-999.0, -9999.0, -99999.0, -999999.0, -9999999.0, -99999999.0, -999999999.0, -999.25, -999.9, -999.99, -9999.9, -9999.99),
    *(9999.0, 99999.0, 999999.0, 9999999.0, 99999999.0, 999999999.0, 9999999999.0, -8888.0, -7777.0, -1e6, -1e9),
    *(1e10, -1e10, 1e20, -1e20, 1e30, -1e30),
)
_KNOWN = tuple(sorted({*LIMITS, *WORDS}))
_NEAREST = min(abs(value) for value in _KNOWN)
_OFTEN = 3
_OFTEN_POSITIVE = 10
_FAR = 10.0
_MANY = 0.01
_MOST_VALUES = 64


@dataclass(frozen=True)
class SentinelFound:
    """A value that stands for none: how many cells hold it, and the row of the first."""

    value: float
    cells: int
    first_row: int

    def __str__(self) -> str:
        return f"{self.value:.17g} ({self.cells} cell{'s' * (self.cells != 1)}, first in row {self.first_row})"


@dataclass
class ValueRange:
    """What one column holds so far: its range, with and without values that may stand for none, and the counts of those."""

    low: float = math.inf
    high: float = -math.inf
    rest_low: float = math.inf
    rest_high: float = -math.inf
    whole_numbers: bool = True
    cells: int = 0
    counts: dict[float, tuple[int, int]] = field(default_factory=dict)

    def take(self, values: pl.Series, row_of: RowOf) -> None:
        """Take the next cells of the column: finite Float64 or null."""
        low, high = values.min(), values.max()
        if low is None or high is None:
            return
        assert isinstance(low, float)
        assert isinstance(high, float)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.cells += len(values) - values.null_count()
        if low > -_NEAREST and high < _NEAREST:
            self.rest_low, self.rest_high = min(self.rest_low, low), max(self.rest_high, high)
        else:
            self._look(values, low, high, row_of)

    def sentinels(self) -> list[SentinelFound]:
        """The values that stand for none, once the file has ended."""
        found = [SentinelFound(value, *count) for value, count in sorted(self.counts.items())]
        return [one for one in found if self._stands_for_none(one.value, one.cells)]

    def _stands_for_none(self, value: float, cells: int) -> bool:
        if value in LIMITS or abs(value) > FLOAT32_MAX:
            return not self.rest_low <= value <= self.rest_high or not self.whole_numbers or cells >= _OFTEN
        if self.rest_low > self.rest_high:  # nothing but such values: a column of one number is told as constant
            return False
        spread = self.rest_high - self.rest_low
        apart = max(self.rest_low - value, value - self.rest_high)
        if apart > max(spread, _FAR * max(abs(self.rest_low), abs(self.rest_high)) * (value > 0)):
            return True
        # A price may well be 9999.00 a few times.
        often = max(_OFTEN_POSITIVE, _MANY * self.cells) if value > 0 else _OFTEN
        return cells >= often and not self.whole_numbers

    def _look(self, values: pl.Series, low: float, high: float, row_of: RowOf) -> None:
        """Count the known values between `low` and `high` and those beyond float32; what is left is the rest of the column."""
        rest = values.drop_nulls()
        beyond = rest.filter(rest.abs() > FLOAT32_MAX).unique().to_list()[:_MOST_VALUES] if max(-low, high) > FLOAT32_MAX else []
        for value in (*_KNOWN, *beyond):
            if low <= value <= high and (cells := int((rest == value).sum())):
                row = row_of(int((values == value).arg_max() or 0)) if value not in self.counts else 0
                before, first = self.counts.get(value, (0, row))
                self.counts[value] = (before + cells, first)
                rest = rest.filter(rest != value)
        if len(rest):
            self.rest_low, self.rest_high = min(self.rest_low, float(rest.min())), max(self.rest_high, float(rest.max()))  # type: ignore[arg-type]  # floats
            self.whole_numbers = self.whole_numbers and bool((rest == rest.round()).all())
