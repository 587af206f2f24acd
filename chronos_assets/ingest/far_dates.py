"""Bars whose dates are far from those of all others: a year mistyped at the head or the tail of a file, an epoch in place of a date.

Dates must increase, so such bars form a small island beyond a wide gap: less than one bar in a hundred, a year or more away, and 20
times as far as bars usually are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
RowOf = Callable[[int], int]

_YEAR_SECONDS = 365 * 86_400
_USUAL_STEPS = 20
_SMALL = 0.01
_MOST_ISLANDS = 64


@dataclass(frozen=True)
class FarBars:
    """An island of bars: how many, the row and time (unix seconds) of the first, and how far the nearest other bar is, in seconds."""

    bars: int
    first_row: int
    first_time: int
    distance_seconds: int


class Islands:
    """Splits bars that come in order where a year or more lies between two of them."""

    def __init__(self) -> None:
        self._islands: list[list[int]] = []  # bars, first row, first time, last time
        self._last: int | None = None

    def add(self, times: Int64s, row_of: RowOf) -> None:
        """Take the next bars, ascending unix seconds; bar `i` of them comes from row `row_of(i)`."""
        if not len(times):
            return
        starts = [i + 1 for i in np.flatnonzero(np.diff(times) >= _YEAR_SECONDS).tolist()]
        if self._last is None or int(times[0]) - self._last >= _YEAR_SECONDS:
            starts.insert(0, 0)
        edges = [*starts, len(times)]
        if edges[0]:
            self._islands[-1][0] += edges[0]
            self._islands[-1][3] = int(times[edges[0] - 1])
        for start, stop in itertools.pairwise(edges):
            if len(self._islands) < _MOST_ISLANDS:
                self._islands.append([stop - start, row_of(start), int(times[start]), int(times[stop - 1])])
        self._last = int(times[-1])

    def far(self, usual_step_seconds: int | None) -> list[FarBars]:
        """Islands that are small and far, in order; none if bars usually are that far apart."""
        total = sum(bars for bars, *_ in self._islands)
        if len(self._islands) >= _MOST_ISLANDS:
            return []
        found = []
        for i, (bars, row, first, last) in enumerate(self._islands):
            gaps = [first - self._islands[i - 1][3]] if i else []
            gaps += [self._islands[i + 1][2] - last] if i + 1 < len(self._islands) else []
            if gaps and bars <= max(1, _SMALL * total) and min(gaps) >= _USUAL_STEPS * (usual_step_seconds or 0):
                found.append(FarBars(bars, row, first, min(gaps)))
        return found if sum(one.bars for one in found) < total / 2 else []
