"""Time columns that are neither HHMM nor HHMMSS, called by their name: hours, minutes, seconds or milliseconds of the day, numbers of bars.

Many of their values look like times (hour 4 like 00:04, second 14400 like 01:44:00), so the whole column is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chronos_assets.domain.bars_spec import TimeFormat, TimeUnit
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.time_grid import even_round_the_clock
from chronos_assets.ingest.times import DAY_SECONDS, seconds_of_day

_LAST_HOUR = 24
_LAST_OF_HOUR = 59
_LAST_MINUTE = 1_439
_WHOLE_DAY = 0.9
_MOSTLY = 0.8
_PLENTY = 0.25


class Unit(NamedTuple):
    """What a Time column seems to hold: a code, a sentence, and what to do."""

    code: str
    message: str
    hint: str


_WRITE = "Write Time as HHMM or HHMMSS"
HOURS = Unit("time_hours", "Time looks like hours of the day", f"{_WRITE} (14 is 1400), or declare it: format: {{time: hh}}, --format hh.")
MINUTES = Unit(
    "time_minutes",
    "Time looks like minutes of the day",
    f"{_WRITE} (870 is 1430), or declare it: format: {{time: minutes}}, --format minutes.",
)
SECONDS = Unit("time_seconds", "Time looks like seconds of the day", f"{_WRITE} (52200 is 143000).")
MILLISECONDS = Unit("time_milliseconds", "Time looks like milliseconds of the day", f"{_WRITE} (52200000 is 143000).")
FRACTIONS = Unit("time_milliseconds", "Time looks like HHMMSS with milliseconds", f"{_WRITE}, without the milliseconds.")
UNIX = Unit("time_unix", "Time looks like a Unix timestamp", f"Write Date as YYYYMMDD, and {_WRITE[6:]}.")
BAR_NUMBER = Unit("time_bar_number", "Time looks like the number of a bar in its day", f"{_WRITE} (0 to 2359, 0 to 235959).")


def unit_of_times(values: Int64s, days: int, chosen: TimeFormat) -> Unit | None:
    """The unit of a column that could be read as `chosen`; None if it is that. `values`: ascending, each once, on `days` dates."""
    if len(values) < 2:
        return None
    if days > 1 and values[-1] <= _LAST_OF_HOUR:
        return HOURS if values[-1] <= _LAST_HOUR and not _may_be_numbers(values, _LAST_HOUR) else BAR_NUMBER
    seconds, bad = seconds_of_day(values, chosen)
    if bad is None and even_round_the_clock(seconds):
        return None
    units = ((HOURS, 3_600, 24), (MINUTES, 60, 1_440), (SECONDS, 1, DAY_SECONDS))
    for unit, each, end in units:
        # On one date, 0 to 23 may be minute bars.
        if values[-1] < end and even_round_the_clock(values * each) and (days > 1 or unit is not HOURS):
            return unit
    return None


def unit_of_numbers(values: Int64s) -> Unit | None:
    """The unit of a column that holds numbers which are no time; None if it is a time with some mistakes. `values` as above."""
    largest = int(values[-1])
    if largest >= 100 * DAY_SECONDS * 1000:
        return UNIX
    if largest > 235_959:
        return _of_large(values)
    if len(values) < 3 or not _evenly_apart(values) or min(_bad_share(values, "hhmm"), _bad_share(values, "hhmmss")) < _PLENTY:
        return None
    if _may_be_numbers(values, _LAST_MINUTE):
        return BAR_NUMBER
    return MINUTES if largest < 1_440 else SECONDS if largest < DAY_SECONDS else None


def in_hhmm(times: Int64s, unit: TimeUnit, *, name: str, row_of: Callable[[int], int]) -> Int64s:
    """Hours (0 to 23) or minutes of the day (0 to 1439) as HHMM; raises `BarsError` at the first that is none."""
    end, what = (24, "an hour of the day") if unit == "hh" else (1_440, "a minute of the day")
    bad = (times < 0) | (times >= end)
    if bad.any():
        at = int(np.argmax(bad))
        raise BarsError(
            f"Time is not {what}",
            code="time_invalid",
            expected=f"0 to {end - 1}, as format.time {unit} declares",
            found=int(times[at]),
            hint="Correct the cell, or format.time; midnight is 0 of the next day.",
            file=name,
            row=row_of(at),
            column="Time",
        )
    return times * 100 if unit == "hh" else times // 60 * 100 + times % 60


def _of_large(values: Int64s) -> Unit | None:
    large = values[values > 235_959]
    if 2 * len(large) < len(values):
        return None
    if seconds_of_day(large // 1000, "hhmmss")[1] is None:
        return FRACTIONS
    return MILLISECONDS if values[-1] < DAY_SECONDS * 1000 else UNIX if values[-1] >= 100_000_000 else None


def _may_be_numbers(values: Int64s, last: int) -> bool:
    """Whether the bars of a day may simply be numbered, from 0 or 1 on: 1 to 7 are the hours of a session rather than of the night."""
    return bool(values[0] <= 1 and values[-1] - values[0] == len(values) - 1 and values[-1] < _WHOLE_DAY * last)


def _evenly_apart(values: Int64s) -> bool:
    _, counts = np.unique(np.diff(values), return_counts=True)
    return bool(counts.max() >= _MOSTLY * (len(values) - 1))


def _bad_share(values: Int64s, form: TimeFormat) -> float:
    packed = values * 100 if form == "hhmm" else values
    bad = (packed // 10_000 >= 24) | (packed // 100 % 100 >= 60) | (packed % 100 >= 60)
    return float(bad.mean())
