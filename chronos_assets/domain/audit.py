"""The audit: what QuestDB gave back against what the file says, cell by cell, and the verdict as a pandera report.

`Audit` is fed aligned pieces of both sides (`add`) and keeps counts only, plus a bounded number of failing cells. Exact means bit for
bit: 0.0 and -0.0 differ, one NaN is as good as another and equals null, because QuestDB stores no difference between the two. With a
tolerance two numbers agree when they lie within `absolute + relative * |expected|`; a number never agrees with null, and the integer keys
of a bar are exact whatever the tolerance.

Reading belongs to `pipeline.audit`, keeping the verdict to `storage.audits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import UsageError

TIME_KEY = "timestamp_unix"
KEPT_CELLS = 100_000


def fixed(name: str) -> str:
    """Name of a fixed column of the table in a frame whose other columns are called as in the file (which may use the same name)."""
    return f"\0{name}"


STAMP = fixed("timestamp")
_NS = 1_000_000_000
Stamps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
CELL_SCHEMA: dict[str, Any] = {
    "timestamp_unix": pl.Int64,
    "kind": pl.String,
    "column": pl.String,
    "expected": pl.Float64,
    "found": pl.Float64,
    "difference": pl.Float64,
}


@dataclass(frozen=True)
class Tolerance:
    """How far a stored number may be from the file's; exact by default. `columns` overrides single columns."""

    absolute: float = 0.0
    relative: float = 0.0
    columns: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, column: str) -> tuple[float, float]:
        """`(absolute, relative)` of one column."""
        return self.columns.get(column, (self.absolute, self.relative))

    def on(self, names: Iterable[str]) -> Tolerance:
        """The same for a dataset with columns `names`, found whatever their case; raises `UsageError` for one that it does not have."""
        known = list(names)
        folded = {name.casefold(): name for name in known} | {name: name for name in known}
        for name in self.columns:
            if name not in folded and name.casefold() not in folded:
                close = nearest(name, known)
                raise UsageError(
                    f"a tolerance is given for {name!r}, which is not a column of the file",
                    code="tolerance_column",
                    hint=f"Did you mean {close!r}?" if close else "",
                )
        return replace(self, columns={folded.get(n) or folded[n.casefold()]: pair for n, pair in self.columns.items()})


@dataclass
class ColumnTally:
    """What was seen of one column so far."""

    compared: int = 0
    differing: int = 0
    worst_absolute: float = 0.0
    worst_relative: float = 0.0
    worst_at: int | None = None


@dataclass
class RowTally:
    """What was seen of the rows so far."""

    expected: int = 0
    found: int = 0
    compared: int = 0
    missing: int = 0
    stale: int = 0
    duplicate: int = 0
    wrong_tags: int = 0


class Audit:
    """Compares pieces of bars and keeps the tally. `columns` are the numeric columns to compare, keys included."""

    def __init__(self, columns: Sequence[str], tags: Mapping[str, str], tolerance: Tolerance | None = None) -> None:
        self._tolerance = tolerance or Tolerance()
        self._tags = dict(tags)
        self.rows = RowTally()
        self.columns = {name: ColumnTally() for name in columns}
        self.foreign: dict[str, int] = {}
        self._cells: list[pl.DataFrame] = []
        self._kept = 0

    def add(self, expected: pl.DataFrame, found: pl.DataFrame) -> None:
        """Compare the bars of one range of time.

        `expected` has `timestamp_unix` and every column; `found` also `STAMP` (designated, ns) and
        the tags as `fixed(tag)`. Both are in order.
        """
        self.rows.expected += expected.height
        self.rows.found += found.height
        stamps = found[STAMP].to_physical().to_numpy()
        if not np.array_equal(stamps, expected[TIME_KEY].to_numpy() * _NS):
            expected, found = self._align(expected, found, stamps)
        self.rows.compared += expected.height
        self._compare_tags(found)
        for name in self.columns:
            self._compare_column(name, expected, found)

    def add_foreign(self, column: str, values: int, stamps: Sequence[int]) -> None:
        """A column of the table that the file does not have, with `values` in it; `stamps` (unix seconds) are some of the bars."""
        self.foreign[column] = values
        nothing = np.full(len(stamps), np.nan)
        self._keep("value the file lacks", column, np.asarray(stamps, dtype=np.int64), (nothing, nothing, nothing))

    def _align(self, expected: pl.DataFrame, found: pl.DataFrame, stamps: npt.NDArray[np.int64]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Keep the bars that both sides have, once; count the rest."""
        wanted = expected[TIME_KEY].to_numpy() * _NS
        first = np.concatenate([[True], stamps[1:] != stamps[:-1]]) if stamps.size else np.zeros(0, dtype=bool)
        known = np.isin(stamps, wanted)
        kept = first & known
        lost = ~np.isin(wanted, stamps)
        self.rows.duplicate += int((~first & known).sum())
        self.rows.stale += int((~known).sum())
        self.rows.missing += int(lost.sum())
        self._keep_rows("duplicate row", stamps[~first & known] // _NS)
        self._keep_rows("stale row", stamps[~known] // _NS)
        self._keep_rows("missing row", wanted[lost] // _NS)
        return expected.filter(pl.Series(~lost)), found.filter(pl.Series(kept))

    def _compare_tags(self, found: pl.DataFrame) -> None:
        wrong = np.zeros(found.height, dtype=bool)
        for name, value in self._tags.items():
            wrong |= ~found[fixed(name)].eq(value).fill_null(value=False).to_numpy()
        if wrong.any():
            self.rows.wrong_tags += int(wrong.sum())
            self._keep_rows("wrong tag", found.filter(pl.Series(wrong))[STAMP].to_physical().to_numpy() // _NS)

    def _compare_column(self, name: str, expected: pl.DataFrame, found: pl.DataFrame) -> None:
        tally = self.columns[name]
        tally.compared += expected.height
        left, right = expected[name], found[name]
        a: npt.NDArray[Any]
        b: npt.NDArray[Any]
        if left.dtype == pl.Int64 and right.dtype == pl.Int64 and not right.null_count():
            a, b = left.to_numpy(), right.to_numpy()
            wrong = a != b
        elif _same_bits(left, right):
            return
        else:
            a, b = _doubles(left), _doubles(right)
            wrong = a.view(np.int64) != b.view(np.int64)
        if wrong.any():
            stamps = expected[TIME_KEY].to_numpy()[wrong]
            limits = (0.0, 0.0) if left.dtype == pl.Int64 else self._tolerance.of(name)
            self._count_cells(name, stamps, (a[wrong].astype(np.float64), b[wrong].astype(np.float64)), limits)

    def _count_cells(self, name: str, stamps: Stamps, sides: tuple[Values, Values], limits: tuple[float, float]) -> None:
        """Of the values whose bits differ, count those beyond the limits (absolute, relative)."""
        tally = self.columns[name]
        left, right = sides
        absolute_limit, relative_limit = limits
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            difference = np.abs(left - right)
            relative = difference / np.abs(left)
            # Two values that differ in bits and are within no tolerance: NaN against a number is among them, and so is an infinity, which
            # would be its own limit.
            beyond = ~(difference <= absolute_limit + relative_limit * np.abs(left)) | (absolute_limit + relative_limit == 0)
            beyond |= ~np.isfinite(left) | ~np.isfinite(right)
        if not beyond.any():
            return
        stamps, left, right = stamps[beyond], left[beyond], right[beyond]
        difference, relative = difference[beyond], relative[beyond]
        tally.differing += stamps.size
        worst = _worst(difference)
        if worst is not None and (tally.worst_at is None or difference[worst] > tally.worst_absolute):
            tally.worst_at, tally.worst_absolute, tally.worst_relative = (
                int(stamps[worst]),
                float(difference[worst]),
                float(relative[worst]),
            )
        self._keep("cell", name, stamps, (left, right, difference))

    def _keep_rows(self, kind: str, stamps: Stamps) -> None:
        nothing = np.full(stamps.size, np.nan)
        self._keep(kind, "", stamps, (nothing, nothing, nothing))

    def _keep(self, kind: str, column: str, stamps: Stamps, numbers: tuple[Values, Values, Values]) -> None:
        count = min(KEPT_CELLS - self._kept, stamps.size)
        if count <= 0:
            return
        self._kept += count
        words = (pl.repeat(text, count, dtype=pl.String, eager=True) for text in (kind, column))
        values = [stamps[:count], *words, *(n[:count] for n in numbers)]
        frame = pl.DataFrame(dict(zip(CELL_SCHEMA, values, strict=True)), schema=CELL_SCHEMA)
        self._cells.append(frame.with_columns(pl.col("expected", "found", "difference").fill_nan(None)))

    def cells(self) -> pl.DataFrame:
        """Failing rows and cells, at most `KEPT_CELLS` of them, in the order they were met."""
        return pl.concat(self._cells) if self._cells else pl.DataFrame(schema=CELL_SCHEMA)

    def rules(self) -> pl.DataFrame:
        """One row per rule: what it is about, how many rows or cells it looked at, how many it should have, and how many fail."""
        rows = self.rows
        about_rows = [
            ("no row is missing", "rows", rows.expected, rows.compared + rows.missing, rows.missing),
            ("no row is stale", "rows", rows.found, rows.compared + rows.stale + rows.duplicate, rows.stale),
            ("no row is there twice", "rows", rows.found, rows.compared + rows.stale + rows.duplicate, rows.duplicate),
            ("the tags are right", ", ".join(self._tags), rows.compared, rows.compared, rows.wrong_tags),
        ]
        about_cells = [("the values agree", name, rows.compared, tally.compared, tally.differing) for name, tally in self.columns.items()]
        about_foreign = [("the file has this column", name, values, values, values) for name, values in self.foreign.items()]
        return pl.DataFrame(
            [*about_rows, *about_cells, *about_foreign], schema=["rule", "subject", "due", "looked_at", "failing"], orient="row"
        )


def _same_bits(left: pl.Series, right: pl.Series) -> bool:
    """Whether two columns of doubles are equal in every bit, as they are as a rule; no answer yet where NaNs of another form differ."""
    if left.dtype != pl.Float64 or right.dtype != pl.Float64:
        return False
    a, b = (np.ascontiguousarray(series.to_numpy()).view(np.int64) for series in (left, right))
    return np.array_equal(a, b)


def _doubles(series: pl.Series) -> npt.NDArray[np.float64]:
    """Values as float64 with every null and every NaN as one and the same NaN."""
    values = series.to_numpy().astype(np.float64, copy=False)
    nan = np.isnan(values)
    if nan.any():
        values = np.where(nan, np.float64("nan"), values)
    return np.ascontiguousarray(values)


def _worst(difference: npt.NDArray[np.float64]) -> int | None:
    known = ~np.isnan(difference)
    return int(np.flatnonzero(known)[np.argmax(difference[known])]) if known.any() else None


def parse_tolerance(texts: Sequence[str]) -> Tolerance:
    """A tolerance from texts such as `1e-9`, `rel:1e-6`, `macd=1e-9`, `macd=rel:1e-6`; raises `UsageError`."""
    everywhere = [0.0, 0.0]
    single: dict[str, list[float]] = {}
    for text in texts:
        column, separator, value = text.rpartition("=")
        relative = value.startswith("rel:")
        try:
            number = float(value.removeprefix("rel:"))
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf") or (separator and not column):
            raise UsageError(
                "a tolerance cannot be read", code="tolerance_invalid", expected="X, rel:X, COLUMN=X or COLUMN=rel:X", found=text
            )
        pair = single.setdefault(column, [0.0, 0.0]) if separator else everywhere
        pair[1 if relative else 0] = number
    return Tolerance(everywhere[0], everywhere[1], columns={name: (pair[0], pair[1]) for name, pair in single.items()})
