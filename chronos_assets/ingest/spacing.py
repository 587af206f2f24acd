"""Order of the bars, their usual distance, and what is missing between them.

A gap is a step longer than the granularity. It is expected where it spans a weekend, or where the same step after the same time of
day comes again and again (the end of a session); all others are counted as unexpected. A granularity is contradicted where fewer than
one step in twenty has its length, or where shorter steps are more than half as many as those of its length.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections import Counter
from collections.abc import Callable

import numpy as np

from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import BarsError
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.report import Gap

_UNITS = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_DAY = 86_400
_MAX_KINDS = 200_000
_LONGEST = 5


def iso(timestamp: int) -> str:
    """`2024-05-01T14:00:00Z` of UTC seconds."""
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def granularity_of(seconds: int) -> str:
    """Seconds as an interval in the largest unit that divides them: 14400 -> 4h."""
    unit, letter = next((u, letter) for u, letter in _UNITS if seconds % u == 0)
    return f"{seconds // unit}{letter}"


class Spacing:
    """Fed with UTC timestamps in batches; raises at the first bar that is not later than the one before it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.duplicate_hint = "Remove one of the two."
        self._last: tuple[int, int] | None = None
        self.first: int | None = None
        self.steps: Counter[int] = Counter()
        # Of the steps longer than the usual one: those over a weekend, and the others by (step, second of the day after which it comes).
        self._weekends: Counter[int] = Counter()
        self._places: Counter[tuple[int, int]] = Counter()
        self._longest: list[tuple[int, int]] = []

    @property
    def last(self) -> int | None:
        """The latest timestamp."""
        return None if self._last is None else self._last[0]

    def add(self, timestamps: Int64s, row_of: Callable[[int], int]) -> None:
        """Check and count the next bars, whose rows are `row_of(0)`, `row_of(1)`, ..."""
        if not len(timestamps):
            return
        if self.first is None:
            self.first = int(timestamps[0])
        before = timestamps if self._last is None else np.concatenate(([self._last[0]], timestamps))
        steps = np.diff(before)
        offset = 1 if self._last is None else 0
        if len(steps) and steps.min() <= 0:
            index = int(np.argmax(steps <= 0)) + offset
            earlier = row_of(index - 1) if index else (self._last or (0, 0))[1]
            self._refuse(int(steps[index - offset]), int(timestamps[index]), earlier, row_of(index))
        self._count(steps, before[:-1])
        self._last = (int(timestamps[-1]), row_of(len(timestamps) - 1))

    def _refuse(self, step: int, timestamp: int, earlier: int, row: int) -> None:
        raise BarsError(
            f"rows {earlier} and {row} are the same bar" if step == 0 else f"row {row} is earlier than row {earlier}",
            code="duplicate_timestamp" if step == 0 else "not_increasing",
            found=f"{iso(timestamp)} after {iso(timestamp - step)}",
            hint=self.duplicate_hint if step == 0 else "Sort the rows by Date and Time, the oldest first.",
            file=self._name,
            row=row,
            earlier_row=earlier,
        )

    def _count(self, steps: Int64s, starts: Int64s) -> None:
        values, counts = np.unique(steps, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if len(self.steps) < _MAX_KINDS or value in self.steps:
                self.steps[value] += count
        if not len(steps):
            return
        for i in np.flatnonzero(steps > self.usual())[:_MAX_KINDS]:
            step, start = int(steps[i]), int(starts[i])
            if _over_weekend(start, step):
                self._weekends[step] += 1
            elif len(self._places) < _MAX_KINDS:
                self._places[step, start % _DAY] += 1
            heapq.heappush(self._longest, (step, start))
            if len(self._longest) > _LONGEST:
                heapq.heappop(self._longest)

    def usual(self) -> int:
        """The most frequent step (the shorter of two as frequent); 0 where there is none."""
        return min(self.steps, key=lambda step: (-self.steps[step], step), default=0)

    def refuse_contradiction(self, granularity: str, hint: str) -> None:
        """Raise `BarsError` where the steps are not those of `granularity`."""
        seconds, total = granularity_seconds(granularity), self.steps.total()
        if not total:
            return
        fitting = self.steps[seconds]
        shorter = sum(count for step, count in self.steps.items() if step < seconds)
        if fitting < total * 0.05 or shorter > fitting / 2:
            usual = self.usual()
            raise BarsError(
                f"the bars are not {granularity} bars",
                code="granularity_contradicted",
                expected=f"steps of {granularity}",
                found=f"mostly steps of {granularity_of(usual)} ({self.steps[usual]} of {total})",
                hint=hint,
                file=self._name,
            )

    def gaps(self, seconds: int) -> tuple[int, int, int, list[Gap]]:
        """Gaps against bars of `seconds`: how many, bars missing, how many unexpected, and the longest."""
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
