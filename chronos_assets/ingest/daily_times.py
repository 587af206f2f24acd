"""Daily bars that carry a Time: the close of the session, another one on half days, or one per season.

A file has daily bars if no date comes twice and nearly all bars carry one of two times. Their Time is dropped, and that is said.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from chronos_assets.ingest.cells import Int64s

_MOST_OF_TWO = 0.8
_MAX_TIMES = 12
_FEW_BARS = 4


class DailyTimes:
    """The times of daily bars."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, times: Int64s) -> None:
        """The times of the next bars, as written."""
        values, counts = np.unique(times, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if len(self.counts) <= _MAX_TIMES or value in self.counts:
                self.counts[value] += count

    def are_few(self) -> bool:
        """Whether nearly all bars carry one of two times."""
        if len(self.counts) < 2:
            return True
        total = self.counts.total()
        most = sum(count for _, count in self.counts.most_common(2))
        return total >= _FEW_BARS and len(self.counts) <= _MAX_TIMES and most >= _MOST_OF_TWO * total

    def dropped(self) -> str:
        """The times that were dropped, the most frequent first; empty if all are 0."""
        shown = [str(value) for value, _ in self.counts.most_common(3)]
        return "" if set(self.counts) <= {0} else ", ".join(shown) + (", ..." if len(self.counts) > len(shown) else "")


def are_daily(days: Int64s, times: Int64s) -> bool:
    """Whether bars on `days` (since the epoch) with these times look daily."""
    if (times == times[0]).all():
        return True
    if not (np.diff(days) > 0).all():
        return False
    found = DailyTimes()
    found.add(times)
    return found.are_few()
