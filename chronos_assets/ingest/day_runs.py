"""Whether rows that are out of order are in order once some cells of Time are read in the other format.

If they are, nobody may be told to sort them: once sorted, a bar of 00:10:00 that was read as 10:00 stands among the others and is found by
nothing. Both readings of a cell lie on its date, so each run of rows of one date is looked at by itself, and it needs all rows of the file:
which way dates go, and the grid on which a cell has to be in the other format.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.doubtful import ReadBars
from chronos_assets.ingest.two_readings import TwoReadings

_MOST_CELLS = 5_000_000


class OtherOrder(NamedTuple):
    """A cell that may be in the other format, and the first two rows of its date that are out of order as they are read."""

    value: int
    row: int
    earlier_row: int
    later_row: int


class _Run(NamedTuple):
    """Rows of one date, one after the other in the file."""

    values: Int64s
    rows: Int64s


class DayRuns:
    """Fed with all bars of a file in its order; `readings` says how their Time is read."""

    def __init__(self, readings: TwoReadings) -> None:
        self._readings = readings
        self._day: int | None = None
        self._open: list[_Run] = []
        self._kept: list[_Run] = []
        self._cells = 0
        self._later = self._earlier = 0

    def add(self, bars: ReadBars) -> None:
        """The next bars."""
        if not len(bars.values):
            return
        self._readings.count(bars)
        edges = [0, *(np.flatnonzero(np.diff(bars.days)) + 1).tolist(), len(bars.values)]
        for start, end in itertools.pairwise(edges):
            day = int(bars.days[start])
            if self._day is not None and day != self._day:
                self._close()
                self._later, self._earlier = self._later + (day > self._day), self._earlier + (day < self._day)
            self._day = day
            self._open.append(_Run(bars.values[start:end], _rows(bars.row_of, start, end)))

    def find(self) -> OtherOrder | None:
        """The first cell of the first date that the other format puts in order; None if it does so for no date."""
        self._close()
        backwards, grid = self._earlier > self._later, self._readings.grid()
        for run in self._kept:
            values, rows = (part[::-1] if backwards else part for part in run)
            here, there = self._readings.both(values, grid)
            broken = np.flatnonzero(np.diff(here) <= 0)
            if len(broken) and (moved := least_moved(here, there)) is not None:
                at = min(moved, key=lambda i: int(rows[i]))
                pair = sorted((int(rows[broken[0]]), int(rows[broken[0] + 1])))
                return OtherOrder(int(values[at]), int(rows[at]), *pair)
        return None

    def _close(self) -> None:
        """The rows of a date are over; they are kept unless they are in order, one way or the other."""
        if not self._open:
            return
        run = _Run(*(np.concatenate(parts) for parts in zip(*self._open, strict=True)))
        self._open = []
        steps = np.diff(self._readings.both(run.values, None)[0])
        if len(steps) and not (steps > 0).all() and self._cells + len(run.values) <= _MOST_CELLS:
            self._cells += len(run.values)
            self._kept.append(run)


def least_moved(here: Int64s, there: Int64s) -> list[int] | None:
    """Positions of the fewest cells that have to be at `there` instead of `here`, so that each cell is later than the one before it.

    None if no choice does. A cell whose `there` equals its `here` can only be where it is.
    """
    ways: list[tuple[int, int, int]] = [(0, -1, -1)]  # moves so far, moment, place among the ways of the cell before
    history: list[list[tuple[int, int, int]]] = []
    for places in zip(here.tolist(), there.tolist(), strict=True):
        found = []
        for moved, moment in enumerate(places if places[0] != places[1] else places[:1]):
            before = [(cost + moved, way) for way, (cost, at, _) in enumerate(ways) if at < moment]
            if before:
                cost, way = min(before)
                found.append((cost, moment, way))
        if not found:
            return None
        history.append(found)
        ways = found
    moved_cells, way = [], min(range(len(ways)), key=lambda i: ways[i][0])
    for i in range(len(history) - 1, -1, -1):
        _, moment, back = history[i][way]
        if moment != here[i]:
            moved_cells.append(i)
        way = back
    return moved_cells[::-1]


def _rows(row_of: Callable[[int], int], start: int, end: int) -> Int64s:
    first, last = row_of(start), row_of(end - 1)
    if abs(last - first) == end - 1 - start:
        return np.linspace(first, last, end - start).astype(np.int64)
    return np.array([row_of(i) for i in range(start, end)], dtype=np.int64)
