"""The Time column as a whole, read batch by batch.

The first batch usually decides how to read the column. Where it does not, the likelier reading is used for the time being and the
key cells are remembered until the column has decided; if it then decides otherwise, the file is read once more. Where no reading is
likelier, the keys alone are read to the end of the file first. A later cell that contradicts a reading which the column itself had
decided is an error, not a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec, TimeFormat
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import BarsError, SlugError
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.times import (
    DAY_SECONDS,
    Decision,
    Padding,
    UnclearTimeError,
    checked_seconds,
    contradicted,
    decide,
    padding_of,
    refusal,
    seconds_of_day,
)

SCAN = "scan"
"""The reading of an attempt that only looks at the keys, so that the whole column can decide before a bar is written."""
_FORMATS: dict[str, TimeFormat] = {"hhmm": "hhmm", "hhmmss": "hhmmss", "none": "none"}
_MAX_REMEMBERED = 5_000_000
_TRY_AGAIN = 1.25
_ONE_FORMAT_HINT = "Write the whole column in one format."


class FormatChangedError(Exception):
    """Later rows contradict a reading that was only likely; `reading` says how to go about it the next time."""

    def __init__(self, reading: str) -> None:
        super().__init__(reading)
        self.reading = reading


class _Cells(NamedTuple):
    """Key cells that are remembered: with their padding, and where each stands in the file."""

    days: Int64s
    times: Int64s
    cells: pl.Series
    padding: Padding
    row_of: Callable[[int], int]


class TimeColumn:
    """Reads Time cells into seconds of the day. `reading`: what an earlier attempt at the same file found out."""

    def __init__(self, spec: BarsSpec, name: str, reading: str | None) -> None:
        self._declared = spec.format.time_format
        self._interval = spec.interval_seconds or interval_in_name(name)
        self._name = name
        self._daily = spec.interval_seconds is not None and spec.interval_seconds % DAY_SECONDS == 0
        self._may_be_daily = spec.granularity is None and reading in {None, "none", SCAN}
        self._open = reading not in {"hhmm", "hhmmss"}
        self._memory: list[_Cells] = []
        self._remembered = 0
        self._try_from = 0.0
        self.decision: Decision | None = None
        self._scanning = reading == SCAN
        if reading in _FORMATS:
            self.decision = Decision(_FORMATS[str(reading)], firm=reading == "hhmmss")
        self.daily_time: int | None = None

    def read(self, days: Int64s, times: Int64s, cells: pl.Series, row_of: Callable[[int], int]) -> Int64s | None:
        """Seconds of the day of the next cells, or None for daily bars; raises `BarsError` naming row and value."""
        padding = padding_of(cells)
        if self._open:
            self._memory.append(_Cells(days, times, cells, padding, row_of))
            self._remembered += len(times)
            if self._scanning:
                return None
            if self._remembered >= self._try_from or seconds_of_day(times, "hhmm")[1] is not None:
                # Not after every batch: each time all cells so far are looked at.
                self._try_from = self._remembered * _TRY_AGAIN
                self._settle(final=False)
        decision = self.decision
        assert decision is not None
        try:
            self._confirm(decision, times, padding)
            if decision.format == "none":
                return None
            return checked_seconds(times, decision.format)
        except UnclearTimeError as unclear:
            raise self._refusal(unclear, cells, row_of) from None

    def finish(self) -> None:
        """The file has ended: raises where the whole column leaves its reading open."""
        if self._open and self._memory:
            self._settle(final=True)

    def _settle(self, *, final: bool) -> None:
        """Decide by all cells seen so far; where they leave it open, read them as HHMM for the time being."""
        days, times = (np.concatenate(parts) for parts in zip(*((part.days, part.times) for part in self._memory), strict=True))
        try:
            found = self._decide(days, times)
        except UnclearTimeError as unclear:
            if unclear.may_clear and not final and len(times) < _MAX_REMEMBERED:
                if unclear.code != "time_ambiguous":
                    raise FormatChangedError(SCAN) from None
                self._use(Decision("hhmm", firm=False))
                return
            raise self._refusal(unclear, pl.concat([part.cells for part in self._memory]), self._remembered_row) from None
        self._use(found)
        if not final and found.format != "none" and not times.any():
            return  # midnight says nothing; the next cells will
        self._open = False
        self._memory.clear()

    def _use(self, found: Decision) -> None:
        if self._scanning or (self.decision is not None and self.decision.format != found.format):
            raise FormatChangedError(found.format)
        self.decision = found

    def _decide(self, days: Int64s, times: Int64s) -> Decision:
        constant = bool((times == times[0]).all())
        if self._daily or (self._may_be_daily and constant and len(times) > 1):
            self.daily_time = int(times[0])
            return Decision("none", firm=self._daily)
        padding = Padding()
        for part in reversed(self._memory):
            padding = part.padding.followed_by(padding, len(part.cells))
        return decide(days, times, padding, declared=self._declared, interval=self._interval)

    def _confirm(self, decision: Decision, times: Int64s, padding: Padding) -> None:
        """Whether these cells fit the reading; raises `FormatChangedError` where it was only likely."""
        if decision.format == "none":
            if self.daily_time is None:
                self.daily_time = int(times[0])
            if not decision.firm and (times != self.daily_time).any():
                raise FormatChangedError("intraday")
            long = (times >= 10_000).any() or padding.six is not None
            checked_seconds(times, "hhmmss" if long else "hhmm")
            return
        if decision.format == "hhmm":
            big = times >= 10_000
            first = int(np.argmax(big)) if big.any() else padding.six
            if first is not None and not decision.firm:
                raise FormatChangedError("hhmmss")
        else:
            first = padding.four
        if first is not None and self._declared is not None:
            raise contradicted(self._declared, first)
        if first is not None:
            raise UnclearTimeError("time_mixed", "Time mixes HHMM and HHMMSS", first, _ONE_FORMAT_HINT)

    def _remembered_row(self, index: int) -> int:
        for part in self._memory:
            if index < len(part.cells):
                return part.row_of(index)
            index -= len(part.cells)
        raise AssertionError("an index beyond the cells that were remembered")

    def _refusal(self, unclear: UnclearTimeError, cells: pl.Series, row_of: Callable[[int], int]) -> BarsError:
        index = unclear.index
        value, row = (None, None) if index is None else (cells[index], row_of(index))
        return refusal(unclear, value, file=self._name, row=row, column="Time")


def interval_in_name(name: str) -> int | None:
    """Seconds of the interval that a file name such as `btc_4h.csv` tells, or None."""
    for part in re.split(r"[^0-9A-Za-z]+", name.rsplit("/", 1)[-1].lower()):
        try:
            return granularity_seconds(part)
        except SlugError:
            continue
    return None
