"""Whether the chosen reading of Time explains every bar, or some cells were written in the other format.

`400` is 04:00 as HHMM and 00:04:00 as HHMMSS. Once a column is read as HHMMSS, its cells below 2360 are doubtful: each could be
an HHMM value among the others. Once it is read as HHMM, full hours are: `500` could be 00:05:00. A doubtful cell counts as written in the
other format if its bar

- is off the grid of the clear cells as it is read, and on it as it would be read, or
- is next to no other bar as it is read, and exactly one interval from a neighbour as it would be read.

Only doubtful cells with an odd distance to both neighbours are remembered, and those in bounded number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.bars_spec import TimeFormat
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.doubtful import Doubtful, ReadBars, Steps
from chronos_assets.ingest.time_grid import Grid, even_round_the_clock, grid_of
from chronos_assets.ingest.times import seconds_of_day

_END_OF_DAY = 240_000
_FIRST_CLEAR = 2_360
_MAX_REMEMBERED = 4_096
_FEW = 64
_HOUR = 3_600


class TwoReadings:
    """Fed with the bars of a file in its order, under one reading of their Time."""

    def __init__(self, chosen: TimeFormat, interval: int | None) -> None:
        self.chosen: TimeFormat = chosen
        self.other: TimeFormat = "hhmm" if chosen == "hhmmss" else "hhmmss"
        self._interval = interval
        self._counts = np.zeros(_END_OF_DAY, dtype=np.int64)
        self.first: tuple[int, int] | None = None
        """Value and row of the first doubtful cell."""
        self._days = 0
        self._last_day: int | None = None
        self._seen = np.zeros(_END_OF_DAY, dtype=np.bool_)
        self._firsts: list[Doubtful] = []
        self._odd: list[Doubtful] = []
        self._too_many = False
        # The first bars, as read and as if every doubtful cell were in the other format.
        self._head: tuple[list[int], list[int]] = ([], [])
        self.last: Doubtful | None = None
        """The last bar so far; what comes after it is not known yet."""

    def add(self, bars: ReadBars, steps: Steps) -> None:
        """The next bars."""
        if not len(bars.values):
            return
        self.count(bars)
        self._days += int(np.count_nonzero(np.diff(bars.days))) + (self._last_day != int(bars.days[0]))
        self._last_day = int(bars.days[-1])
        if (more := _FEW + 1 - len(self._head[0])) > 0:
            self._head[0].extend(bars.moments[:more].tolist())
            self._head[1].extend((bars.moments[:more] + self._shift(bars.values[:more])).tolist())
        if self.last is not None:
            first, moved = int(bars.moments[0]), int(bars.moments[0] + self._shift(bars.values[:1])[0])
            self._remember([replace(self.last, after=(first, moved))], steps)
        doubtful = np.flatnonzero(self._is_doubtful(bars.values))
        if len(doubtful):
            if self.first is None:
                self.first = int(bars.values[doubtful[0]]), bars.row_of(int(doubtful[0]))
            self._remember(self._cells(bars, self._telling(bars, doubtful, steps)), steps)
        self.last = self._cells(bars, [len(bars.values) - 1])[0]

    def count(self, bars: ReadBars) -> None:
        """Take in how often each Time comes, and nothing else."""
        found = np.bincount(bars.values)
        self._counts[: len(found)] += found

    def both(self, values: Int64s, grid: Grid | None) -> tuple[Int64s, Int64s]:
        """Seconds of the day of each cell as it is read, and in the other format: the same if `grid` does not hold that."""
        here = seconds_of_day(values, self.chosen)[0]
        there = here + self._shift(values)
        if grid is not None:
            there = np.where(np.isin(there % grid.step, list(grid.phases)), there, here)
        return here, there

    def _is_doubtful(self, values: Int64s) -> npt.NDArray[np.bool_]:
        if self.chosen == "hhmmss":
            return np.asarray((values > 0) & (values < _FIRST_CLEAR))
        return np.asarray((values > 0) & (values // 100 * 100 == values))  # NumPy divides faster than it takes remainders

    def _telling(self, bars: ReadBars, doubtful: npt.NDArray[np.intp], steps: Steps) -> list[int]:
        """Of the doubtful cells but the last bar: those at an odd distance from both neighbours, and the first one of each value."""
        inner = doubtful[: -1 if doubtful[-1] == len(bars.values) - 1 else None]
        new = inner[~self._seen[bars.values[inner]]]
        found = set(new[np.unique(bars.values[new], return_index=True)[1]].tolist())
        if self._too_many:
            return sorted(found)
        if steps.regular:
            into = bars.moments[inner] - bars.moments[np.maximum(inner - 1, 0)]
            out = bars.moments[inner + 1] - bars.moments[inner]
            inner = inner[(into != steps.usual) & (out != steps.usual)]
        return sorted(found.union(inner.tolist()))

    def _remember(self, cells: list[Doubtful], steps: Steps) -> None:
        for cell in cells:
            if cell.at == cell.other:
                continue
            if not self._seen[cell.value]:
                self._seen[cell.value] = True
                self._firsts.append(cell)
            elif not self._too_many and not (steps.regular and cell.is_next_to_a_bar(steps.usual)):
                self._odd.append(cell)
        if len(self._odd) > _MAX_REMEMBERED:
            self._odd = [cell for cell in self._odd if not (steps.regular and cell.is_next_to_a_bar(steps.usual))]
            self._too_many = len(self._odd) > _MAX_REMEMBERED // 2

    def _cells(self, bars: ReadBars, places: list[int]) -> list[Doubtful]:
        """The bars at `places`, each with its neighbours, as they are read and as if a doubtful cell were in the other format."""
        last = len(bars.values) - 1
        around = np.clip(np.add.outer([-1, 0, 1], np.array(places, dtype=np.intp)), 0, last)
        read = bars.moments[around]
        before, at, after = np.stack([read, read + self._shift(bars.values[around])], axis=-1).tolist()
        start = () if self.last is None else (self.last.at, self.last.other)
        found = []
        for k, i in enumerate(places):
            here, other = at[k]
            nearby = tuple(before[k]) if i else start, tuple(after[k]) if i < last else ()
            found.append(Doubtful(int(bars.values[i]), bars.row_of(i), here, other, *nearby))
        return found

    def _shift(self, values: Int64s) -> Int64s:
        """Seconds by which the other format moves each bar; 0 for clear cells."""
        shift = seconds_of_day(values, self.other)[0] - seconds_of_day(values, self.chosen)[0]
        return np.where(self._is_doubtful(values), shift, 0)

    def written_otherwise(self, steps: Steps) -> Doubtful | None:
        """The first bar that only the other format explains; None if the chosen one explains all bars so far."""
        last = [self.last] if self.last is not None and self.last.at != self.last.other else []
        remembered = sorted([*self._firsts, *self._odd, *last], key=lambda cell: cell.row)
        if remembered and len(self._head[0]) <= _FEW and _even(self._head[1]) and not _even(self._head[0]):
            return remembered[0]
        grid = self.grid()
        # Where most cells are misread, their steps are the usual ones: the clear cells know better.
        is_regular = steps.regular and (grid is None or steps.usual % grid.step == 0)
        doubtful = [cell for cell in remembered if not (is_regular and cell.is_next_to_a_bar(steps.usual))]
        if not doubtful:
            return None
        if grid is not None and (found := next((cell for cell in doubtful if self._is_off(cell, grid)), None)) is not None:
            return found
        if grid is None and self._clear_cells() <= 1:
            return self._without_grid(doubtful)
        if not is_regular:
            return None
        alone = [cell for cell in doubtful if not (cell.before and steps.comes_again(cell.before[0], cell.at - cell.before[0]))]
        lost = [cell for cell in alone if cell.would_be_next_to_a_bar(steps.usual)]
        # Where bars are sparse, some are alone and by chance in step; where they are dense, a bar that is alone is in step for a reason.
        return lost[0] if lost and 2 * len(lost) >= len(alone) else None

    def _is_off(self, cell: Doubtful, grid: Grid) -> bool:
        here, there = (int(seconds_of_day(np.array([cell.value]), form)[0][0]) for form in (self.chosen, self.other))
        return not grid.holds(here) and grid.holds(there) and not cell.stands_in(grid.step)

    def grid(self) -> Grid | None:
        """The grid of the cells that can be read in one way only; of all cells, if HHMM is chosen."""
        values = np.flatnonzero(self._counts)
        if self.chosen == "hhmmss":
            values = values[~self._is_doubtful(values)]
        seconds, _ = seconds_of_day(values, self.chosen)
        return grid_of(seconds, self._counts[values], self._interval)

    def _clear_cells(self) -> int:
        """Bars whose Time can be read in one format only."""
        return int(self._counts[_FIRST_CLEAR:].sum()) if self.chosen == "hhmmss" else 0

    def _without_grid(self, doubtful: list[Doubtful]) -> Doubtful | None:
        """Two or three bars, some clear: a doubtful one with no bar within the hour is explained by nothing."""
        far = [c for c in doubtful if all(abs(c.at - near) > _HOUR for near in (*c.before[:1], *c.after[:1]))]
        return far[0] if far and self._clear_cells() else None

    def is_all_doubtful(self) -> bool:
        """Whether every cell, midnight apart, can be read in both formats."""
        values = np.flatnonzero(self._counts)
        return bool(self._is_doubtful(values[values > 0]).all())

    def declared_wrongly(self) -> bool:
        """Whether a column read as HHMMSS is plainly HHMM: evenly round the clock, or else days within their first 24 minutes."""
        values = np.flatnonzero(self._counts)
        if self.chosen != "hhmmss" or not values.any() or not self.is_all_doubtful():
            return False
        here, there = (seconds_of_day(values, form)[0] for form in (self.chosen, self.other))
        bars = int(self._counts.sum())
        return (even_round_the_clock(there) and not even_round_the_clock(here)) or (self._days >= 3 and bars >= 2 * self._days)

    @property
    def values(self) -> Int64s:
        """All values of Time so far, ascending, each once."""
        return np.flatnonzero(self._counts)

    @property
    def days(self) -> int:
        """Runs of one date."""
        return self._days

    def disorder(self, bars: ReadBars, index: int, usual: int) -> int | None:
        """The bar, of these, that the other format would put in order; the one at `index` is not later than the one before it."""
        others = bars.moments + self._shift(bars.values)
        doubtful = self._is_doubtful(bars.values) | (bars.values == 0)
        if self.chosen == "hhmmss":
            return _moved_on(bars.moments, others, doubtful, index, usual)
        return _moved_back(bars.moments, others, doubtful, index, usual)


def misread_among_hhmmss(bars: ReadBars) -> int | None:
    """The first HHMM cell among bars that were read as HHMM for the time being, and would follow each other evenly as HHMMSS but for it."""
    (as_read, _), (seconds, bad) = (seconds_of_day(bars.values, form) for form in ("hhmm", "hhmmss"))
    if bad is not None:
        return None
    moments = bars.moments - as_read + seconds
    steps = np.diff(moments)
    lengths, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(lengths) or steps.min() > 0:
        return None
    index, usual = int(np.argmax(steps <= 0)) + 1, int(lengths[np.argmax(counts)])
    other = bars.moments[index]
    return index if other - moments[index - 1] == usual else None


def _even(moments: list[int]) -> bool:
    """Whether three or more moments follow each other at one distance."""
    return len(moments) > 2 and len(set(np.diff(moments).tolist())) == 1 and moments[1] > moments[0]


def _moved_on(at: Int64s, other: Int64s, doubtful: npt.NDArray[np.bool_], index: int, usual: int) -> int | None:
    """Cells from `index` on, read as HHMM, begin later: as many as it takes until the next one is in order."""
    for i in range(index, len(at)):
        if not doubtful[i] or (other[i] <= (at[i - 1] if i == index else other[i - 1])):
            return None
        if i + 1 < len(at):
            if at[i + 1] > other[i]:
                return index
        elif usual and usual in {int(other[index] - at[index - 1]), int(other[i] - other[i - 1])}:
            return index
    return None


def _moved_back(at: Int64s, other: Int64s, doubtful: npt.NDArray[np.bool_], index: int, usual: int) -> int | None:
    """Cells before `index`, read as HHMMSS, begin earlier: as many as it takes until the first one is in order."""
    for i in range(index - 1, -1, -1):
        if not doubtful[i] or other[i] >= (at[index] if i == index - 1 else other[i + 1]):
            return None
        steps = {int(at[index] - other[index - 1]), int(other[i + 1] - other[i]) if i + 1 < index else 0}
        if (i == 0 or other[i] > at[i - 1]) and usual and usual in steps:
            return i
    return None
