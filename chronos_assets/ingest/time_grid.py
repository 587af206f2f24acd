"""Times of day at which the bars of a file begin: a few phases of one step, or no grid at all (ticks, range bars, a handful of rows).

A grid is what the clear cells of a Time column agree on. It says which reading of a doubtful cell puts its bar among the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.times import DAY_SECONDS

_SUPPORT = 0.01
_COVERAGE = 0.95
_DENSEST = 0.1
_FEW_BARS = 20


@dataclass(frozen=True)
class Grid:
    """Bars begin at second `k * step + phase` of the day, for each of `phases`."""

    step: int
    phases: frozenset[int]

    def holds(self, second_of_day: int) -> bool:
        """Whether a bar may begin at this second of the day."""
        return second_of_day % self.step in self.phases


def grid_of(seconds: Int64s, counts: Int64s, interval: int | None) -> Grid | None:
    """The grid of bars that begin `counts` times at `seconds` of the day (ascending, each once), or None if they follow none.

    `interval`, in seconds, is the declared length of a bar; else the most frequent distance of two times of day counts.
    """
    bars = int(counts.sum())
    if not bars:
        return None
    step = interval if interval is not None and interval < DAY_SECONDS else _usual_distance(seconds[counts * 10 >= counts.max()])
    phases, where = np.unique(seconds % step, return_inverse=True)
    support = np.bincount(where, weights=counts)
    held = support >= max(_SUPPORT * bars, 2 if bars >= _FEW_BARS else 1)
    if support[held].sum() < _COVERAGE * bars or held.sum() > max(1, _DENSEST * step):
        return None
    return Grid(step, frozenset(phases[held].tolist()))


def _usual_distance(seconds: Int64s) -> int:
    """The most frequent distance from one time of day to the next, round the clock; the shorter of two as frequent."""
    distances, counts = np.unique(np.diff(np.append(seconds, seconds[0] + DAY_SECONDS)), return_counts=True)
    return int(distances[np.argmax(counts)])


def even_round_the_clock(seconds: Int64s) -> bool:
    """Whether two or more times of day (ascending) divide the day into equal parts."""
    return len(seconds) > 1 and len(np.unique(np.diff(np.append(seconds, seconds[0] + DAY_SECONDS)))) == 1
