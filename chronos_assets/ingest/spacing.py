"""Order of the bars, their usual distance, and what is missing between them.

A gap is a step longer than the granularity. It is expected if it spans a weekend, or if the same step after the same time of
day comes again and again (the end of a session); all others are counted as unexpected. A granularity is contradicted if fewer than
one step in twenty has its length, or if shorter steps are more than half as many as those of its length. Months are counted by the
calendar: whatever their days, bars of one month follow each other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chronos_assets.domain.interval import months_of
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.clock_changes import OddStep
from chronos_assets.ingest.doubtful import Steps
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.months import MonthSteps
from chronos_assets.ingest.report import Gap

_UNITS = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_DAY = 86_400
_HOUR = 3_600
_MAX_KINDS = 200_000
_MAX_ODD = 200
_LONGEST = 5


def granularity_of(seconds: int) -> str:
    """Seconds as an interval in the largest unit that divides them: 14400 -> 4h."""
    unit, letter = next((u, letter) for u, letter in _UNITS if seconds % u == 0)
    return f"{seconds // unit}{letter}"


class Disorder(NamedTuple):
    """A bar that is not later than the one before it: its place in the batch, the rows of both, its moment, and the step (0 or less)."""

    place: int
    earlier_row: int
    row: int
    moment: int
    step: int


class Spacing:
    """Fed with UTC timestamps in batches, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: tuple[int, int] | None = None
        self.first: int | None = None
        self.steps: Counter[int] = Counter()
        self.months = MonthSteps()
        # Of the steps longer than the usual one: those over a weekend, and the others by (step, second of the day after which it comes).
        self._weekends: Counter[int] = Counter()
        self._places: Counter[tuple[int, int]] = Counter()
        self._longest: list[tuple[int, int]] = []
        self._odd: list[OddStep] = []

    @property
    def last(self) -> int | None:
        """The latest timestamp."""
        return None if self._last is None else self._last[0]

    def add(self, timestamps: Int64s, row_of: Callable[[int], int]) -> Disorder | None:
        """Count the next bars, whose rows are `row_of(0)`, `row_of(1)`, ...; or the first that is not later than the one before it."""
        if not len(timestamps):
            return None
        before = timestamps if self._last is None else np.concatenate(([self._last[0]], timestamps))
        steps = np.diff(before)
        if len(steps) and steps.min() <= 0:
            return self._disorder(steps, timestamps, row_of)
        if self.first is None:
            self.first = int(timestamps[0])
        self._count(steps, before[:-1])
        self._last = (int(timestamps[-1]), row_of(len(timestamps) - 1))
        return None

    def _disorder(self, steps: Int64s, timestamps: Int64s, row_of: Callable[[int], int]) -> Disorder:
        index = int(np.argmax(steps <= 0))
        place = index + (1 if self._last is None else 0)
        earlier = row_of(place - 1) if place else (self._last or (0, 0))[1]
        return Disorder(place, earlier, row_of(place), int(timestamps[place]), int(steps[index]))

    def count_forward(self, timestamps: Int64s) -> None:
        """Count the steps forward of bars that are out of order, to know what is usual among them."""
        steps = np.diff(timestamps)
        values, counts = np.unique(steps[steps > 0], return_counts=True)
        self.steps.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def _count(self, steps: Int64s, starts: Int64s) -> None:
        values, counts = np.unique(steps, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if len(self.steps) < _MAX_KINDS or value in self.steps:
                self.steps[value] += count
        if not len(steps):
            return
        self.months.add(steps, starts)
        usual = self.usual()
        uneven = np.flatnonzero(steps != usual)
        for i in uneven[np.abs(steps[uneven] - usual) == _HOUR][: _MAX_ODD - len(self._odd) if usual < _DAY else 0]:
            self._odd.append(OddStep(int(starts[i]), int(steps[i]), int(steps[i]) - usual))
        for i in uneven[steps[uneven] > usual][:_MAX_KINDS]:
            step, start = int(steps[i]), int(starts[i])
            if _over_weekend(start, step):
                self._weekends[step] += 1
            elif len(self._places) < _MAX_KINDS:
                self._places[step, start % _DAY] += 1
            heapq.heappush(self._longest, (step, start))
            if len(self._longest) > _LONGEST:
                heapq.heappop(self._longest)

    def usual(self) -> int:
        """The most frequent step (the shorter of two as frequent); 0 if there is none."""
        return min(self.steps, key=lambda step: (-self.steps[step], step), default=0)

    def summary(self) -> Steps:
        """What the check of Time needs to know."""
        usual, total = self.usual(), self.steps.total()
        return Steps(usual, bool(total) and self.steps[usual] * 2 > total, lambda start, step: self._places[step, start % _DAY] > 1)

    def odd_steps(self) -> list[OddStep]:
        """Steps that are an hour longer or shorter than the usual one."""
        usual = self.usual()
        return [odd for odd in self._odd if odd.step - odd.excess == usual]

    def granularity(self) -> str | None:
        """The interval of the bars as their steps show it; None for fewer than two bars."""
        if not self.steps:
            return None
        months = self.months.interval(self.steps)
        return granularity_of(self.usual()) if months is None else f"{months}mo"

    def refuse_contradiction(self, granularity: str, hint: str) -> None:
        """Raise `BarsError` if the steps are not those of `granularity`."""
        total = self.steps.total()
        if not total:
            return
        months = months_of(granularity)
        if months is None:
            seconds = granularity_seconds(granularity)
            fitting = self.steps[seconds]
            shorter = sum(count for step, count in self.steps.items() if step < seconds)
        else:
            fitting, shorter = self.months.counts[months], total - self.months.at_least(months)
        if fitting < total * 0.05 or shorter > fitting / 2:
            found = self.granularity() or ""
            same = self.steps[self.usual()] if months_of(found) is None else self.months.counts[months_of(found) or 0]
            raise BarsError(
                f"the bars are not {granularity} bars",
                code="granularity_contradicted",
                expected=f"steps of {granularity}",
                found=f"mostly steps of {found} ({same} of {total})",
                hint=hint,
                file=self._name,
            )

    def gaps(self, granularity: str) -> tuple[int, int, int, list[Gap]]:
        """Gaps against bars of `granularity`: how many, bars missing, how many unexpected, and the longest."""
        months = months_of(granularity)
        if months is not None:
            return self.months.gaps(months, self._longest)
        seconds = granularity_seconds(granularity)
        wide = {step: count for step, count in self.steps.items() if step > seconds}
        missing = sum((-(-step // seconds) - 1) * count for step, count in wide.items())
        expected = sum(count for step, count in self._weekends.items() if step > seconds)
        if seconds < _DAY:
            # The end of a session: the same step after the same time of day, on one day in twenty at least.
            often = max(3, ((self.last or 0) - (self.first or 0)) // _DAY // 20)
            expected += sum(count for (step, _), count in self._places.items() if step > seconds and count >= often)
        longest = [
            Gap(after=iso(start), before=iso(start + step), missing_bars=-(-step // seconds) - 1)
            for step, start in sorted(self._longest, reverse=True)
            if step > seconds
        ]
        return sum(wide.values()), missing, max(0, sum(wide.values()) - expected), longest


def _over_weekend(start: int, step: int) -> bool:
    """Whether a step of at most five days covers the noons of a Saturday and of the Sunday after it."""
    # 1970-01-01 was a Thursday: the first Saturday noon came two and a half days later.
    first = 2 * _DAY + _DAY // 2
    noon = first - (first - start) // (7 * _DAY) * 7 * _DAY
    return step <= 5 * _DAY and start + step >= noon + _DAY
