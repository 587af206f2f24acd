"""The live fold: the next fold of a plan, whose test window is still open. Its model predicts the bars that no complete fold predicts.

The folds of a plan are complete: their last test bar is there. The live fold has the same recipe and sizes and comes after the last of
them. Its test window begins at `train_end + gap` and holds every bar after that, now and later, until it is full; then the plan has one
fold more, and the next live fold takes over. Once the window is full, the plan's fold covers the same rows, and trains to the same bits
if every training row had its target by then (`unknown_targets` is 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain import calendar_folds
from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold
from chronos_assets.domain.targets import Floats
from chronos_assets.domain.thresholds import Thresholds
from chronos_assets.errors import ProfileError

SignalName = Literal["long", "short", "none"]
# Of the stretches of history as long as the rest of the window, this share is no longer than the one that `valid_until` allows for.
STRETCH_QUANTILE = 0.95


@dataclass(frozen=True)
class LiveFold:
    """The open fold of a plan, as row positions.

    `test_end` is the first row behind the full window, for windows in bars; `ends_at` is the UTC second at which a window of the calendar
    ends. Exactly one of them is None.
    """

    number: int
    train_start: int
    train_end: int
    test_start: int
    test_end: int | None
    ends_at: int | None

    def fold(self, rows: int) -> Fold:
        """The fold as far as `rows` bars go; its test part is empty as long as the window's first bar is not there."""
        return Fold(self.number, self.train_start, self.train_end, self.test_start, max(rows, self.test_start))

    @property
    def training(self) -> Fold:
        """The fold without test rows: what determines the model."""
        return Fold(self.number, self.train_start, self.train_end, self.test_start, self.test_start)


def live_fold(layout: Layout, rows: int, folds: int, *, timestamps: NDArray[np.int64], interval_seconds: int) -> LiveFold:
    """The fold that follows the last of the complete ones of a plan.

    `rows` bars, of which `layout` makes complete folds up to number `folds - 1`; `timestamps` int64 UTC seconds of shape (rows,),
    `interval_seconds` the length of a bar. Raises `ProfileError` if the plan ends before its next fold (`end_fold`), and if
    the next window begins behind the bars (a step greater than the test window leaves bars without a signal).
    """
    if layout.is_calendar:
        number, (train_start, train_end, test_start, _), ends_at = calendar_folds.open_window(layout, timestamps, interval_seconds)
        live = LiveFold(number, train_start, train_end, test_start, None, ends_at)
    else:
        assert isinstance(layout.train, int)
        assert isinstance(layout.test, int)
        assert isinstance(layout.step, int)
        moved = layout.initial_offset + folds * layout.step
        start = moved if layout.window == "rolling" else layout.initial_offset
        train_end = moved + layout.train
        test_start = train_end + layout.gap
        live = LiveFold(folds, start, train_end, test_start, test_start + layout.test, None)
    if layout.end_fold is not None and live.number >= layout.end_fold:
        raise ProfileError(
            "the profile ends its plan, so no fold follows the last one",
            code="plan_closed",
            expected="a profile without end_fold",
            found=f"end_fold {layout.end_fold}",
            hint="Leave out `end_fold`, or name another profile.",
        )
    if live.test_start > rows or live.train_start >= live.train_end:
        raise ProfileError(
            "the next test window has not begun: with this step, the bars between two test windows have no signal",
            code="window_not_begun",
            expected=f"at least {live.test_start} bars",
            found=f"{rows} bars",
            hint="Set `step` to the test size (or leave it out) for a signal on every bar, or wait for the window.",
        )
    return live


def unknown_targets(targets: Floats, live: LiveFold) -> int:
    """Training rows at the end of the live fold whose target is not known yet; 0 if the plan's fold will have the same rows."""
    known = np.flatnonzero(~np.isnan(targets[live.train_start : live.train_end]))
    return live.train_end - live.train_start - (int(known[-1]) + 1 if len(known) else 0)


def valid_until(live: LiveFold, timestamps: NDArray[np.int64], interval_seconds: int) -> int:
    """UTC second from which the model is expired: exact for windows of the calendar, an estimate for windows in bars.

    Bars to come have no times yet, and markets close at nights and weekends. So the rest of the window is taken to last as long as
    stretches of as many bars did: the `STRETCH_QUANTILE` of those in the training rows and after.
    """
    if live.ends_at is not None:
        return live.ends_at
    assert live.test_end is not None
    ahead = live.test_end - (len(timestamps) - 1)
    past = timestamps[live.train_start :]
    if len(past) <= ahead:
        return int(timestamps[-1]) + ahead * interval_seconds
    stretches = past[ahead:] - past[:-ahead]
    return int(timestamps[-1]) + int(np.quantile(stretches, STRETCH_QUANTILE, method="higher"))


def signal_names(thresholds: Thresholds, predictions: Floats) -> list[SignalName]:
    """`long`, `short` or `none` for each prediction; one beyond both thresholds is none (DEFINITIONS, thresholds)."""
    long, short = thresholds.signals(predictions)
    names: list[SignalName] = []
    for is_long, is_short in zip(long, short, strict=True):
        names.append("long" if is_long else "short" if is_short else "none")
    return names
