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
from chronos_assets.ingest.daily_times import DailyTimes, are_daily
from chronos_assets.ingest.doubtful import ReadBars, Steps
from chronos_assets.ingest.time_refusals import unit_refused, written_otherwise
from chronos_assets.ingest.time_units import HOURS, Unit, unit_of_numbers, unit_of_times
from chronos_assets.ingest.times import (
    DAY_SECONDS,
    ONE_FORMAT_HINT,
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
from chronos_assets.ingest.two_readings import TwoReadings, misread_among_hhmmss

SCAN = "scan"
"""The reading of an attempt that only looks at the keys, so that the whole column can decide before a bar is written."""
_FORMATS: dict[str, TimeFormat] = {"hhmm": "hhmm", "hhmmss": "hhmmss", "none": "none"}
_MAX_REMEMBERED = 5_000_000
_TRY_AGAIN = 1.25


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
        self._declared = spec.format.declared_time
        self._unit_declared = spec.format.time_unit
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
        self._is_typed = False
        self._exact: TimeFormat | None = None
        self._weight: TwoReadings | None = None
        self.daily = DailyTimes()

    def read(
        self, days: Int64s, times: Int64s, cells: pl.Series, row_of: Callable[[int], int], exact: TimeFormat | None = None
    ) -> Int64s | None:
        """Seconds of the day of the next cells, or None for daily bars; raises `BarsError` naming row and value.

        `exact`: `times` are in this format for certain, and only whether the bars are daily is open.
        """
        padding = padding_of(cells)
        self._exact = exact
        # A column of times (Parquet, Arrow) says by itself what its hours and minutes are.
        self._is_typed = cells.dtype == pl.Time or exact is not None
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
            self._confirm(decision, days, times, padding)
            if decision.format == "none":
                return None
            return checked_seconds(times, decision.format)
        except UnclearTimeError as unclear:
            seen = times if self._weight is None else np.concatenate((self._weight.values, times))
            if (named := self._unit(unclear.code, seen, days)) is not None and unclear.index is not None:
                raise unit_refused(named, int(times.max()), row_of(unclear.index), self._name) from None
            raise self._refusal(unclear, cells, row_of) from None

    def weigh(self, bars: ReadBars, steps: Steps) -> None:
        """Take in bars that were read: what their neighbours say of the reading of each."""
        self._weight = self._weight or self.readings()
        if self._weight is not None:
            self._weight.add(bars, steps)

    def finish(self, steps: Steps) -> None:
        """The file has ended: raises if the whole column leaves its reading open, or if the reading does not explain every bar."""
        if self._open and self._memory:
            self._settle(final=True)
        if self._weight is not None:
            self._refuse_unexplained(self._weight, steps)

    def explain_disorder(self, index: int, bars: ReadBars, steps: Steps) -> None:
        """The bar at `index` is not later than the one before it: raises if that is because the column is read wrongly."""
        decision = self.decision
        if decision is None or self._is_typed:
            return
        if decision.format == "none":
            if not decision.firm and len(self.daily.counts) > 1:
                raise FormatChangedError("intraday")
            return
        before = None if self._weight is None else self._weight.last
        self.weigh(bars, steps)
        assert self._weight is not None
        self._refuse_unexplained(self._weight, steps, whole=False)
        if before is not None:
            index, bars = index + 1, bars.after(before)
        if (at := self._weight.disorder(bars, index, steps.usual)) is not None:
            raise written_otherwise(int(bars.values[at]), bars.row_of(at), decision.format, self._name)
        if self._open and decision.format == "hhmm" and (at := misread_among_hhmmss(bars)) is not None:
            raise written_otherwise(int(bars.values[at]), bars.row_of(at), "hhmmss", self._name)

    def readings(self) -> TwoReadings | None:
        """What weighs the two readings of the column against each other, before any bar; None if its cells have one reading."""
        if self.decision is None or self.decision.format == "none" or self._is_typed:
            return None
        return TwoReadings(self.decision.format, self._interval)

    def can_be_read_both_ways(self) -> bool:
        """Whether no cell says by itself in which format the column is written."""
        return self._weight is not None and self._weight.is_all_doubtful()

    def _refuse_unexplained(self, weight: TwoReadings, steps: Steps, *, whole: bool = True) -> None:
        if whole:
            if (unit := unit_of_times(weight.values, weight.days, weight.chosen)) is not None and self._unit_declared is None:
                raise unit_refused(unit, int(weight.values[-1]), None, self._name)
            if self._declared == "hhmmss" and weight.first is not None and weight.declared_wrongly():
                value, row = weight.first
                raise refusal(contradicted("hhmmss", 0), value, file=self._name, row=row, column="Time")
        if (found := weight.written_otherwise(steps)) is not None:
            raise written_otherwise(found.value, found.row, weight.chosen, self._name)

    def _settle(self, *, final: bool) -> None:
        """Decide by all cells seen so far; if they leave it open, read them as HHMM for the time being."""
        days, times = (np.concatenate(parts) for parts in zip(*((part.days, part.times) for part in self._memory), strict=True))
        try:
            found = self._decide(days, times)
        except UnclearTimeError as unclear:
            if unclear.may_clear and not final and len(times) < _MAX_REMEMBERED:
                if unclear.code != "time_ambiguous":
                    raise FormatChangedError(SCAN) from None
                self._use(Decision("hhmm", firm=False))
                return
            if (named := self._unit(unclear.code, times, days)) is not None:
                row = None if unclear.index is None else self._remembered_row(unclear.index)
                raise unit_refused(named, int(times.max()), row, self._name) from None
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

    def _unit(self, code: str, times: Int64s, days: Int64s) -> Unit | None:
        """The unit of a column that is refused by `code`, if it is another than HHMM or HHMMSS."""
        values = np.unique(times)
        if code == "time_invalid":
            return unit_of_numbers(values)
        in_hours = self._interval is not None and self._interval % 3_600 == 0 and self._interval < DAY_SECONDS
        if code == "time_ambiguous" and in_hours and values[-1] < 24 and (np.diff(days * 24 + times) * 3_600 == self._interval).all():
            return HOURS
        return None

    def _decide(self, days: Int64s, times: Int64s) -> Decision:
        if self._is_typed and self._exact is None:
            return Decision("hhmmss", firm=True)
        if self._declared == "none":
            return Decision("none", firm=True)
        if self._daily or (self._may_be_daily and len(times) > 1 and are_daily(days, times)):
            return Decision("none", firm=self._daily)
        if self._exact is not None:
            return Decision(self._exact, firm=True)
        padding = Padding()
        for part in reversed(self._memory):
            padding = part.padding.followed_by(padding, len(part.cells))
        return decide(days, times, padding, declared=self._declared, interval=self._interval)

    def _confirm(self, decision: Decision, days: Int64s, times: Int64s, padding: Padding) -> None:
        """Whether these cells fit the reading; raises `FormatChangedError` if it was only likely."""
        if decision.format == "none":
            self.daily.add(times)
            if not decision.firm and ((np.diff(days) == 0).any() or not self.daily.are_few()):
                raise FormatChangedError("intraday")
            long = (times >= 10_000).any() or padding.six is not None
            checked_seconds(times, "hhmmss" if long else "hhmm")
            return
        if decision.format == "hhmm":
            big = times >= 10_000
            first = int(np.argmax(big)) if big.any() else padding.six
            if first is not None and not decision.firm:
                raise FormatChangedError(SCAN)
        else:
            first = padding.four
        if first is not None and self._declared is not None:
            raise contradicted(self._declared, first)
        if first is not None:
            raise UnclearTimeError("time_mixed", "Time mixes HHMM and HHMMSS", first, ONE_FORMAT_HINT)

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
