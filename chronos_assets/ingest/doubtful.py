"""A cell of Time that could be written in the other format, and the bars beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chronos_assets.ingest.cells import Int64s

_HALF_AN_HOUR = 1_800
_STANDS_IN = (0.6, 1.4)


class ReadBars(NamedTuple):
    """Bars whose Time has been read: days since the epoch, Time as written, moments in UTC seconds, and where each stands in the file."""

    days: Int64s
    values: Int64s
    moments: Int64s
    row_of: Callable[[int], int]

    def after(self, before: Doubtful) -> ReadBars:
        """The same bars, and the one before them."""
        return ReadBars(
            np.concatenate((self.days[:1], self.days)),
            np.concatenate(([before.value], self.values)),
            np.concatenate(([before.at], self.moments)),
            lambda i: before.row if i == 0 else self.row_of(i - 1),
        )


class Steps(NamedTuple):
    """What is known of the steps between bars: the usual one in seconds, and whether most steps are of that length."""

    usual: int
    regular: bool
    comes_again: Callable[[int, int], bool]
    """Whether a step of this length after a bar at this moment (UTC seconds) is one of many."""


@dataclass(frozen=True)
class Doubtful:
    """A cell that the other format explains, perhaps. Moments are UTC seconds, as read and as the other format has them."""

    value: int
    row: int
    at: int
    other: int
    before: tuple[int, ...]
    after: tuple[int, ...]

    def is_next_to_a_bar(self, usual: int) -> bool:
        """Whether a neighbour is one usual step away, as the cell is read."""
        return self.at - usual in self.before[:1] or self.at + usual in self.after[:1]

    def would_be_next_to_a_bar(self, usual: int) -> bool:
        """Whether, in the other format, the bar is in order and one usual step from a neighbour."""
        in_order = (not self.before or min(self.before) < self.other) and (not self.after or max(self.after) > self.other)
        return in_order and (self.other - usual in self.before or self.other + usual in self.after)

    def stands_in(self, step: int) -> bool:
        """Whether the bar takes the place of one on the grid: a first bar of the day that comes five minutes late."""
        distances = [abs(self.at - near) for near in (*self.before[:1], *self.after[:1])]
        return step >= _HALF_AN_HOUR and all(_STANDS_IN[0] * step <= distance <= _STANDS_IN[1] * step for distance in distances)
