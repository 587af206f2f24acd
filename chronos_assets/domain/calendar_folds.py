"""Walk-forward windows in calendar units: edges at the calendar's boundaries in UTC, turned into rows.

The edge E between training and test lies on a boundary of the step's unit (midnight, Monday, first of the month, first of January).
Fold windows are `[E - train, E)` and `[E, E + test)`; E moves on by `step`. Each edge becomes the row of the first bar at or after it,
and the gap (in bars) is then taken from the front of the test window: `test_start = train_end + gap`.

The first E is the first boundary whose train window the bars cover. A window of months or years counts as covered when its first bar
comes within four days of its edge: a year that opens on 4 January, after New Year and a weekend, is a whole year. A fold exists when
the bars reach its last edge, so growth never changes a fold. Windows without bars make no fold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.profiles.walkforward import CALENDAR_WINDOW
from chronos_assets.errors import ProfileError

START_SLACK = timedelta(days=4)
Edges = tuple[int, int, int, int]


def edges(layout: Layout, timestamps: np.ndarray, interval_seconds: int) -> list[tuple[int, Edges]]:
    """`(number, (train_start, train_end, test_start, test_end))` of every fold chosen by `layout`.

    `timestamps`: int64 UTC seconds of every bar, ascending.
    """
    if len(timestamps) <= layout.initial_offset:
        return []
    covered_until = _at(int(timestamps[-1]) + interval_seconds)
    found: list[tuple[int, Edges]] = []
    number = 0
    for window in _windows(layout, timestamps):
        if window.end > covered_until:
            return found
        if window.next_edge < window.end:
            raise ProfileError(
                "the step is shorter than the test window: bars would be predicted twice",
                code="step_too_small",
                expected=f"step >= {layout.test}",
                found=f"step {layout.step}",
            )
        if window.has_bars:
            if layout.start_fold <= number and (layout.end_fold is None or number < layout.end_fold):
                found.append((number, window.rows))
            number += 1
    raise AssertionError("windows of the calendar have no end")


def open_window(layout: Layout, timestamps: np.ndarray, interval_seconds: int) -> tuple[int, Edges, int]:
    """The first window that the bars do not cover to its end: its number, its edges as far as there are bars, its end in UTC seconds.

    `test_start` may lie behind the last bar. `timestamps` as for `edges`, and at least one window is covered.
    """
    covered_until = _at(int(timestamps[-1]) + interval_seconds)
    number = 0
    for window in _windows(layout, timestamps):
        if window.end > covered_until:
            return number, window.rows, int(window.end.timestamp())
        number += window.has_bars
    raise AssertionError("windows of the calendar have no end")


@dataclass(frozen=True)
class _Window:
    """One window between calendar boundaries: its edges as rows, the moment it ends, and where the next one's training ends."""

    rows: Edges
    end: datetime
    next_edge: datetime

    @property
    def has_bars(self) -> bool:
        train_start, train_end, test_start, test_end = self.rows
        return train_start < train_end and test_start < test_end


def _windows(layout: Layout, timestamps: np.ndarray) -> Iterator[_Window]:
    """All windows in order, without end."""
    train, test, step = (parse_window(str(text)) for text in (layout.train, layout.test, layout.step))
    first_edge = _first_edge(_at(timestamps[layout.initial_offset]), train, step[1])
    anchor = _row(timestamps, shift(first_edge, train, -1), layout.initial_offset)
    for k in itertools.count():
        edge = shift(first_edge, step, k)
        end = shift(edge, test, 1)
        train_end = _row(timestamps, edge, layout.initial_offset)
        train_start = anchor if layout.window == "anchored" else _row(timestamps, shift(edge, train, -1), layout.initial_offset)
        rows = (train_start, train_end, train_end + layout.gap, _row(timestamps, end, layout.initial_offset))
        yield _Window(rows, end, shift(edge, step, 1))


def parse_window(text: str) -> tuple[int, str]:
    """`2y` -> (2, "y"). Units: d days, w weeks from Monday, M months, y years."""
    match = CALENDAR_WINDOW.fullmatch(text)
    if match is None:
        raise ProfileError(
            f"{text!r} is not a calendar window", code="calendar_window", expected="a count and one of d, w, M, y, such as 1M"
        )
    return int(match[1]), match[2]


def shift(moment: datetime, window: tuple[int, str], times: int) -> datetime:
    """`moment` moved by `times` windows; a day that the target month lacks becomes its last day."""
    count, unit = window
    if unit in "dw":
        return moment + timedelta(days=count * times * (7 if unit == "w" else 1))
    months = moment.year * 12 + moment.month - 1 + count * times * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    for day in range(moment.day, moment.day - 4, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue  # the month is shorter
    raise ProfileError("a calendar window leaves the years that dates can hold", code="calendar_range", found=f"year {year}")


def _first_edge(first: datetime, train: tuple[int, str], step_unit: str) -> datetime:
    earliest = first - (START_SLACK if train[1] in "My" else timedelta(0))
    edge = _boundary(shift(earliest, train, 1) - timedelta(days=32), step_unit)
    while shift(edge, train, -1) < earliest:
        edge = shift(edge, (1, step_unit), 1)
    return edge


def _boundary(moment: datetime, unit: str) -> datetime:
    """The boundary of `unit` at or before `moment`."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "w":
        return day - timedelta(days=day.weekday())
    if unit == "M":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "y" else day


def _row(timestamps: np.ndarray, moment: datetime, lowest: int) -> int:
    return max(lowest, int(np.searchsorted(timestamps, int(moment.timestamp()), side="left")))


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), tz=UTC)
