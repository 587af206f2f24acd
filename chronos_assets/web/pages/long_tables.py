"""Long tables in parts: a browser lays out hundreds of rows in one go, and does nothing else meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query

from chronos_assets.errors import UsageError

Row = TypeVar("Row")
ROWS = 100
ALL = "all"
# In the address: the number of the first row to show (from 1), or `all`.
RowsAsked = Annotated[str, Query(max_length=10)]


@dataclass(frozen=True)
class TablePart(Generic[Row]):
    """The rows of a table that a page shows: `items`, the first of which has number `first` (from 1) among `total`."""

    items: Sequence[Row]
    first: int
    total: int

    @classmethod
    def of(cls, rows: Sequence[Row], asked: str) -> TablePart[Row]:
        """The part that `asked` names, else the first one; one behind the end is the last. Raises `UsageError` for other words."""
        if asked == ALL:
            return cls(rows, 1, len(rows))
        if asked and not (asked.isascii() and asked.isdigit() and int(asked) > 0):
            raise UsageError(
                "there is no such part of the table", code="parameter_invalid", field="rows", found=asked, expected="a row, or all"
            )
        start = (min(int(asked or 1), max(1, len(rows))) - 1) // ROWS * ROWS
        return cls(rows[start : start + ROWS], start + 1, len(rows))

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return self.first + len(self.items) - 1

    @property
    def is_long(self) -> bool:
        """Whether the table has more rows than one part."""
        return self.total > ROWS

    @property
    def is_whole(self) -> bool:
        """Whether every row is shown."""
        return len(self.items) == self.total

    @property
    def before(self) -> tuple[int, int] | None:
        """First and last row of the part before."""
        return (self.first - ROWS, self.first - 1) if self.first > 1 else None

    @property
    def after(self) -> tuple[int, int] | None:
        """First and last row of the next part."""
        return (self.last + 1, min(self.total, self.last + ROWS)) if self.last < self.total else None
