"""Date and Time cells in a declared form (ISO 8601, Unix time, a strptime pattern) into days, seconds of the day and offsets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.domain.moment_patterns import has_seconds, is_text
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s, whole_numbers
from chronos_assets.ingest.dates import FIRST_YEAR, LAST_YEAR, days_since_epoch
from chronos_assets.ingest.moment_cells import Odd, Parts, first_true, parts_by_expression, parts_of_one_width
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.number_text import BLANKS
from chronos_assets.ingest.times import DAY_SECONDS

UNIX_UNITS: dict[str, int] = {"unix_s": 1, "unix_ms": 1_000, "unix_us": 1_000_000, "unix_ns": 1_000_000_000}
"""Form -> how many of its units make a second."""
_LEAST_OF_UNIT = 10**8
_EASYLANGUAGE = 19_000_000
_LAST_SECOND = 7_258_118_400
_PROPOSE = "`chronos inspect FILE` proposes the form that reads the file."
_ODD = {
    "zone_mixed": ("some times have an offset and others none", "Export the file again, with all times in UTC or all with their offset."),
    "date_mixed": ("some dates have a time of day and others none", "Export the file again, with the time of day in every row."),
}


@dataclass(frozen=True)
class Moments:
    """Wall clock of bars, int64 arrays of one length: days since 1970-01-01, seconds of the day (None: the cells hold dates only), and
    seconds east of UTC (None: the cells do not say)."""

    days: Int64s
    seconds: Int64s | None
    offsets: Int64s | None

    def filtered(self, kept: pl.Series | None) -> Moments:
        """Those of the rows that a mask keeps."""
        if kept is None:
            return self
        mask = kept.to_numpy()
        return Moments(self.days[mask], *(None if part is None else part[mask] for part in (self.seconds, self.offsets)))


class DeclaredMoments:
    """Reads the key columns of a file whose `format` declares another form than YYYYMMDD with HHMM or HHMMSS."""

    def __init__(self, columns: Sequence[Column], form: FormatSpec, name: str) -> None:
        labels = {column.key: column.label for column in columns if column.key}
        self._date = labels["date"]
        self._form, self._pattern = form.date_form, form.time_pattern
        self._time = labels.get("time") if self._pattern is not None else None
        self._timezone, self._name = form.timezone, name
        self._date_only_form = form
        self._has_time_column = "time" in labels and form.declared_time != "none"
        self.has_seconds = has_seconds(form.date_form if self._time is None else self._pattern or "")
        self.is_declared = form.date_form != "yyyymmdd" or self._time is not None
        texts = ((self._date, is_text(self._form)), (self._time, True))
        self.text_labels = frozenset(label for label, text in texts if label is not None and text)
        """Key columns whose cells are no numbers."""
        self.is_text = bool(self.text_labels)

    def read(self, frame: pl.DataFrame, row_of: Callable[[int], int]) -> Moments:
        """Moments of the rows of a raw frame; raises `BarsError` for the first cell that has not the declared form."""
        cells = frame[self._date]
        found = self._typed(cells, row_of) if isinstance(cells.dtype, (pl.Datetime, pl.Date)) else self._read_dates(cells, row_of)
        if found.seconds is not None and self._has_time_column:
            raise BarsError(
                "Date has the time of day in it, and there is a Time column too",
                code="time_twice",
                hint="Leave the Time column out: format: {rename: {Time: null}} (--format rename=Time:).",
                file=self._name,
                column="Time",
            )
        if self._time is not None:
            assert self._pattern is not None
            parts = self._text(frame[self._time], self._pattern, "Time", row_of)
            found = Moments(found.days, _seconds(parts, row_of, self._name, "Time"), None)
        return found

    def _typed(self, cells: pl.Series, row_of: Callable[[int], int]) -> Moments:
        """Dates and timestamps of Parquet, Arrow and Excel files, which say by their type what they are."""
        if cells.null_count():
            raise _empty("Date", self._name, row_of(int(cells.is_null().arg_max() or 0)))
        if cells.dtype == pl.Date:
            days = cells.cast(pl.Int64).to_numpy()
            self._refuse_far(days, cells, row_of)
            return Moments(days, None, None)
        zone = getattr(cells.dtype, "time_zone", None)
        unit = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[getattr(cells.dtype, "time_unit", "us")]
        stamps = cells.cast(pl.Int64).to_numpy()
        seconds = self._whole_seconds(stamps, np.full(len(stamps), unit), cells, row_of)
        self._refuse_far(seconds // DAY_SECONDS, cells, row_of)
        if zone is None:
            return Moments(seconds // DAY_SECONDS, seconds % DAY_SECONDS, None)
        return _of_utc(seconds, zone if self._timezone == "UTC" else self._timezone)

    def _read_dates(self, cells: pl.Series, row_of: Callable[[int], int]) -> Moments:
        if self._form == "iso" or "%" in self._form:
            if cells.dtype != pl.String:
                cells = cells.cast(pl.String)
            parts = self._text(cells, self._form, "Date", row_of)
            return self._dated(parts, cells, row_of)
        numbers = whole_numbers(cells, what="Date", name=self._name, row_of=row_of)
        if self._form in {"yyyymmdd", "1yymmdd"}:
            shift = _EASYLANGUAGE if self._form == "1yymmdd" else 0
            return Moments(days_since_epoch(numbers + shift, name=self._name, row_of=row_of), None, None)
        seconds = self._whole_seconds(numbers, self._units(numbers, row_of), cells, row_of)
        self._refuse_far(seconds // DAY_SECONDS, cells, row_of)
        return _of_utc(seconds, self._timezone)

    def _units(self, numbers: Int64s, row_of: Callable[[int], int]) -> Int64s:
        """How many of a cell's units make a second."""
        if self._form in UNIX_UNITS:
            return np.full(len(numbers), UNIX_UNITS[self._form], dtype=np.int64)
        units = np.zeros(len(numbers), dtype=np.int64)
        for unit in UNIX_UNITS.values():
            units[(numbers >= _LEAST_OF_UNIT * unit) & (numbers < _LAST_SECOND * unit)] = unit
        if len(numbers) and not units.all():
            at = int(np.argmin(units))
            raise BarsError(
                "Date is no Unix time whose unit can be told",
                code="date_invalid",
                expected="Unix time from March 1973 on, in seconds, milli-, micro- or nanoseconds",
                found=int(numbers[at]),
                hint="Declare the unit: format: {date: unix_s}, or unix_ms, unix_us, unix_ns.",
                file=self._name,
                row=row_of(at),
                column="Date",
            )
        return units

    def _whole_seconds(self, stamps: Int64s, units: Int64s, cells: pl.Series, row_of: Callable[[int], int]) -> Int64s:
        seconds: Int64s = stamps // units
        if (at := first_true(seconds * units != stamps)) is not None:
            raise _fraction(str(cells[at]), self._name, row_of(at), "Date")
        return seconds

    def _refuse_far(self, days: Int64s, cells: pl.Series, row_of: Callable[[int], int]) -> None:
        if (at := first_true((days < 0) | (days * DAY_SECONDS >= _LAST_SECOND))) is not None:
            early = days[at] < 0
            raise BarsError(
                f"Date is {'before 1970, the first year that QuestDB stores' if early else f'after {LAST_YEAR}'}",
                code="date_too_early" if early else "date_too_late",
                expected=f"years {FIRST_YEAR} to {LAST_YEAR}" if early else f"{self._form}, years {FIRST_YEAR} to {LAST_YEAR}",
                found=str(cells[at]),
                hint=f"Leave out the bars before {FIRST_YEAR}." if early else f"Correct the cell, or the unit in format.date. {_PROPOSE}",
                file=self._name,
                row=row_of(at),
                column="Date",
            )

    def _text(self, cells: pl.Series, form: str, what: str, row_of: Callable[[int], int]) -> Parts:
        """The parts of text cells by the names of the expression's groups."""
        found = parts_of_one_width(cells, form)
        if found is not None:
            return found
        cells = cells.str.strip_chars(BLANKS)
        if cells.null_count() or (cells == "").any():
            raise _empty(what, self._name, row_of(int((cells.is_null() | (cells == "").fill_null(value=True)).arg_max() or 0)))
        parts = parts_by_expression(cells, form)
        if isinstance(parts, Odd):
            declared = f"{'a date' if what == 'Date' else 'a time'} written {form}, as format.{what.lower()} declares"
            message, hint = _ODD.get(
                parts.code, (f"{what} has not the declared form", f"Correct the cell, or format.{what.lower()}. {_PROPOSE}")
            )
            raise BarsError(
                message,
                code=parts.code or f"{what.lower()}_invalid",
                expected=declared,
                found=repr(str(cells[parts.at])[:40]),
                hint=hint,
                file=self._name,
                row=row_of(parts.at),
                column=what,
            )
        return parts

    def _dated(self, parts: Parts, cells: pl.Series, row_of: Callable[[int], int]) -> Moments:
        days, good = parts["days"].astype(np.int64), parts["good"].astype(np.bool_)
        if (at := first_true(~good)) is not None:
            early = bool(parts["early"][at]) if "early" in parts else False
            raise BarsError(
                f"Date is {'before 1970, the first year that QuestDB stores' if early else 'not a day of the calendar'}",
                code="date_too_early" if early else "date_invalid",
                expected=f"years {FIRST_YEAR} to {LAST_YEAR}",
                found=repr(str(cells[at])[:40]),
                hint=f"Leave out the bars before {FIRST_YEAR}."
                if early
                else "Correct the cell, or format.date: days and months may be swapped.",
                file=self._name,
                row=row_of(at),
                column="Date",
            )
        seconds = _seconds(parts, row_of, self._name, "Date") if "H" in parts else None
        return Moments(days, seconds, parts["z"].astype(np.int64) if "z" in parts else None)


def _seconds(parts: Parts, row_of: Callable[[int], int], name: str, what: str) -> Int64s:
    """Seconds of the day; raises `BarsError` for the first that is none. Zones beyond 14 hours are none either."""
    hours = parts["H"].astype(np.int64)
    nothing = np.zeros(len(hours), dtype=np.int64)
    minutes, seconds = (parts[part].astype(np.int64) if part in parts else nothing for part in ("M", "S"))
    bad = (hours >= 24) | (minutes >= 60) | (seconds >= 60)
    if "z" in parts:
        bad |= np.abs(parts["z"].astype(np.int64)) > 14 * 3_600
    if (at := first_true(bad)) is not None:
        raise BarsError(
            f"{what} is not a time of day",
            code="time_invalid",
            found=f"{hours[at]:02d}:{minutes[at]:02d}:{seconds[at]:02d}",
            hint="Hours go to 23, minutes and seconds to 59; midnight is 0 of the next day.",
            file=name,
            row=row_of(at),
            column=what,
        )
    if "f" in parts and (at := first_true(parts["f"].astype(np.int64) > 0)) is not None:
        raise _fraction("a fraction of a second", name, row_of(at), what)
    return hours * 3_600 + minutes * 60 + seconds


def _of_utc(seconds: Int64s, zone: str) -> Moments:
    """Moments of UTC seconds: the wall clock of the zone, whose days daily bars are called by, and its offsets."""
    if zone in {"UTC", "Etc/UTC", "Z"}:
        return Moments(seconds // DAY_SECONDS, seconds % DAY_SECONDS, np.zeros(len(seconds), dtype=np.int64))
    utc = pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))
    wall = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None).cast(pl.Int64).to_numpy() // 1_000_000
    return Moments(wall // DAY_SECONDS, wall % DAY_SECONDS, wall - seconds)


def _empty(what: str, name: str, row: int) -> BarsError:
    code = "date_missing" if what == "Date" else "time_missing"
    return BarsError(
        f"{what} is empty", code=code, hint="Every bar needs its key; delete the row or fill it.", file=name, row=row, column=what
    )


def _fraction(found: str, name: str, row: int, column: str) -> BarsError:
    return BarsError(
        "the time has a fraction of a second",
        code="time_fraction",
        expected="whole seconds",
        found=found,
        hint="Bars are kept to the second: round the times, or check the unit in format.date.",
        file=name,
        row=row,
        column=column,
    )
