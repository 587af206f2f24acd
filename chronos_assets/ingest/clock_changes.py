"""Clock changes of well-known zones: which of them explain an hour that a file repeats or leaves out.

A file in the local clock of its exchange shows one hour twice in autumn and skips one in spring. Read as UTC it has duplicates, bars
that go back by an hour, or steps that are an hour too long or too short, all on the dates on which its zone changes the clock.
Moments are seconds of the wall clock, counted as if it were UTC.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Sequence
from typing import NamedTuple

from chronos_assets.ingest.times import DAY_SECONDS

ZONES = (
    *("America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow"),
    *("Australia/Sydney", "Pacific/Auckland", "America/Sao_Paulo", "America/Santiago", "America/Mexico_City", "Asia/Jerusalem"),
)
"""Zones of exchanges and of the servers of trading programs (Athens: Eastern European Time)."""
_EPOCH = dt.datetime(1970, 1, 1)
_HOUR = 3_600
_MOST = 0.9


class Change(NamedTuple):
    """A change of the clock: what it shows at that moment before and after."""

    before: int
    after: int


class OddStep(NamedTuple):
    """A step from the bar at `start` that is `excess` seconds longer (or, negative, shorter) than usual."""

    start: int
    step: int
    excess: int


@functools.lru_cache(maxsize=4096)
def changes(zone: str, year: int) -> tuple[Change, ...]:
    """The clock changes of `zone` in `year`."""
    clock = zoneinfo.ZoneInfo(zone)

    def offset(utc: int) -> int:
        found = dt.datetime.fromtimestamp(utc, clock).utcoffset()
        assert found is not None
        return int(found.total_seconds())

    first = int((dt.datetime(year, 1, 1) - _EPOCH).total_seconds())
    found = []
    for week in range(first, first + 366 * DAY_SECONDS, 7 * DAY_SECONDS):
        low, high = week, week + 7 * DAY_SECONDS
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(Change(high + offset(low), high + offset(high)))
    return tuple(change for change in found if (_EPOCH + dt.timedelta(seconds=change.before)).year == year)


def zones_that_repeat(moment: int) -> tuple[list[str], list[str]]:
    """Zones whose clock shows `moment` twice, and zones that put the clock back on its date at another hour."""
    exact, dated = [], []
    for zone in ZONES:
        for change in _near(zone, moment):
            if change.after <= moment < change.before:
                exact.append(zone)
            elif change.after < change.before and change.before // DAY_SECONDS == moment // DAY_SECONDS:
                dated.append(zone)
    return exact, dated


def skips(zone: str, moment: int) -> bool:
    """Whether the clock of `zone` never shows `moment`, or shows the hour before it or behind it never."""
    return any(change.before - _HOUR <= moment < change.after + _HOUR for change in _near(zone, moment) if change.after > change.before)


def zones_that_explain(steps: Sequence[OddStep], first: int, last: int) -> list[str]:
    """Zones whose changes explain nearly all of the odd `steps` of a file from `first` to `last`, and most of whose changes it shows."""
    if not steps:
        return []
    found = []
    for zone in ZONES:
        explained = sum(any(_explains(change, step) for change in _near(zone, step.start)) for step in steps)
        due = sum(first < change.before <= last for year in range(_year(first), _year(last) + 1) for change in changes(zone, year))
        if explained >= _MOST * len(steps) and 2 * explained >= due:
            found.append(zone)
    return found


def _explains(change: Change, step: OddStep) -> bool:
    moved = change.after - change.before
    return moved == step.excess and step.start < max(change) and step.start + step.step >= min(change)


def _near(zone: str, moment: int) -> list[Change]:
    year = _year(moment)
    return [change for y in (year - 1, year, year + 1) for change in changes(zone, y)] if 1970 < year < 2199 else []


def _year(moment: int) -> int:
    return (_EPOCH + dt.timedelta(seconds=moment)).year
