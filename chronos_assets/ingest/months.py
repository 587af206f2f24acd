"""Bars of months: their steps are 28 to 31 days, and the calendar says that they are one step all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.report import Gap

_DAY = 86_400
_SHORTEST = 26 * _DAY
"""From the last weekday of a month to that of the next: at least 28 days; two less for a holiday on either side."""
_MOST = 0.9


class MonthSteps:
    """Counts steps of about a month and longer by the months from one bar to the next."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._same_day = 0

    def add(self, steps: Int64s, starts: Int64s) -> None:
        """The next steps, in seconds, from bars at `starts` (UTC seconds)."""
        if steps.max() < _SHORTEST:
            return
        long = steps >= _SHORTEST
        (first, day), (last, other) = (_months_and_days(moments) for moments in (starts[long], starts[long] + steps[long]))
        values, counts = np.unique(last - first, return_counts=True)
        self.counts.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self._same_day += int((day == other).sum())

    def at_least(self, months: int) -> int:
        """Steps of so many months or more."""
        return sum(count for value, count in self.counts.items() if value >= months)

    def interval(self, steps: Counter[int]) -> int | None:
        """Months from bar to bar if the bars go by the calendar; None for other bars. `steps`: all steps in seconds."""
        total = steps.total()
        months = max(self.counts, key=lambda value: (self.counts[value], -value), default=0)
        if months < 1 or self.counts[months] < _MOST * total:
            return None
        # Bars every 28 days keep their distance, not their day of the month.
        constant = max(steps.values()) >= _MOST * total
        return months if not constant or self._same_day >= _MOST * total else None

    def gaps(self, months: int, longest: Sequence[tuple[int, int]]) -> tuple[int, int, int, list[Gap]]:
        """Gaps against bars of so many months: how many, bars missing, how many unexpected (all), and of `longest` those that are gaps."""
        wide = {value: count for value, count in self.counts.items() if value > months}
        shown = []
        for step, start in sorted(longest, reverse=True):
            (first, _), (last, _) = (_months_and_days(np.array([moment])) for moment in (start, start + step))
            missing = -(-int(last[0] - first[0]) // months) - 1
            if missing > 0:
                shown.append(Gap(after=iso(start), before=iso(start + step), missing_bars=missing))
        missing_bars = sum((-(-value // months) - 1) * count for value, count in wide.items())
        return sum(wide.values()), missing_bars, sum(wide.values()), shown


def _months_and_days(moments: Int64s) -> tuple[Int64s, npt.NDArray[np.int64]]:
    """Months since 1970-01, and days of the month."""
    dates = moments.astype("datetime64[s]")
    months = dates.astype("datetime64[M]")
    return months.astype(np.int64), (dates.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
