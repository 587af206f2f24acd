"""Where each fold trains and tests: row ranges in, row ranges out. Nothing here has seen a value of the data.

All windows are half-open `[start, end)` row positions. With k counted from 0 and windows in bars (DEFINITIONS, walk-forward layout):

    train_start = initial_offset + k * step     (anchored: initial_offset)
    train_end   = initial_offset + k * step + train_size
    test_start  = train_end + gap
    test_end    = test_start + test_size

Windows of the calendar are laid out in `domain.calendar_folds`; both give the same `Fold`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chronos_assets.domain import calendar_folds
from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ProfileError

MOST_FOLDS = 1_000_000
# (train, test) taken when a profile names no sizes: the first that the dataset holds twice over. Few steps, so that growth seldom moves it.
DEFAULT_SIZES = ((650, 24), (250, 12), (100, 6), (40, 4))


@dataclass(frozen=True)
class Fold:
    """One fold: its number and its four edges as row positions."""

    number: int
    train_start: int
    train_end: int
    test_start: int
    test_end: int

    def split(self, val_split_ratio: float) -> ValidationSplit:
        """Fitted rows and validation rows, an embargo as wide as the gap between them.

        `val_start = train_start + round(ratio * (train_end - train_start))` (halves to even, as Python rounds).
        """
        gap = self.test_start - self.train_end
        val_start = self.train_start + round(val_split_ratio * (self.train_end - self.train_start))
        return ValidationSplit(self.train_start, max(self.train_start, val_start - gap), val_start, self.train_end)

    def as_row(self) -> dict[str, int]:
        """The row of the plan as the command line prints it."""
        edges = (self.train_start, self.train_end, self.test_start, self.test_end)
        return dict(zip(("fold", "train_start", "train_end", "test_start", "test_end"), (self.number, *edges), strict=True))


@dataclass(frozen=True)
class ValidationSplit:
    """`[fit_start, fit_end)` is fitted on, `[val_start, val_end)` validates; the rows between them are seen by neither."""

    fit_start: int
    fit_end: int
    val_start: int
    val_end: int


def resolve_layout(profile: WalkforwardProfile, *, rows: int, horizon: int) -> Layout:
    """The layout of `profile` on a dataset of `rows` bars whose target looks `horizon` bars ahead.

    Raises `ProfileError` for a gap below `horizon - 1` (a training target would not be known yet at the first test bar) and for a
    step below the test size (a bar would be predicted twice).
    """
    gap = max(horizon - 1, 0) if profile.gap is None else profile.gap
    if gap < horizon - 1:
        raise ProfileError(
            "the gap is smaller than the target's horizon less one: training targets would hold prices of the test window",
            code="gap_too_small",
            expected=f"gap >= {horizon - 1} (horizon {horizon})",
            found=f"gap {gap}",
            hint="Raise `gap`, or correct `target_horizon` in the manifest.",
        )
    train, test = _sizes(profile, rows)
    step = test if profile.step is None else profile.step
    if isinstance(step, int) and isinstance(test, int) and step < test:
        raise ProfileError(
            "the step is smaller than the test window: bars would be predicted twice",
            code="step_too_small",
            expected=f"step >= {test}",
            found=f"step {step}",
        )
    return Layout(profile.window, train, test, step, gap, profile.initial_offset, profile.start_fold, profile.end_fold)


def _sizes(profile: WalkforwardProfile, rows: int) -> tuple[int | str, int | str]:
    if profile.train is not None and profile.test is not None:
        return profile.train, profile.test
    fallback = next((pair for pair in DEFAULT_SIZES if rows >= 2 * pair[0]), DEFAULT_SIZES[-1])
    train = profile.train_size or fallback[0]
    test = profile.test_size or next((t for size, t in DEFAULT_SIZES if train >= size), DEFAULT_SIZES[-1][1])
    return train, test


def fold_count(rows: int, *, train_size: int, test_size: int, gap: int, step: int, initial_offset: int = 0) -> int:
    """How many complete folds `rows` bars hold: `floor((rows - offset - train - gap - test) / step) + 1`, or 0."""
    spare = rows - initial_offset - train_size - gap - test_size
    return spare // step + 1 if spare >= 0 else 0


def plan_folds(layout: Layout, rows: int, *, timestamps: np.ndarray | None = None, interval_seconds: int | None = None) -> tuple[Fold, ...]:
    """All folds of `layout` on `rows` bars, in order; `start_fold` and `end_fold` choose among them and never move them.

    `timestamps` (int64 UTC seconds of every bar, ascending) and `interval_seconds` (length of a bar) are needed for calendar windows only.
    """
    if layout.is_calendar:
        if timestamps is None or interval_seconds is None:
            raise ProfileError(
                "calendar windows need the bars' times", code="calendar_needs_bars", hint="Name a dataset, or give sizes in bars."
            )
        edges = calendar_folds.edges(layout, timestamps, interval_seconds)
    else:
        edges = _bar_edges(layout, rows)
    return tuple(Fold(number, *four) for number, four in edges)


def _bar_edges(layout: Layout, rows: int) -> list[tuple[int, tuple[int, int, int, int]]]:
    assert isinstance(layout.train, int)
    assert isinstance(layout.test, int)
    assert isinstance(layout.step, int)
    count = fold_count(
        rows, train_size=layout.train, test_size=layout.test, gap=layout.gap, step=layout.step, initial_offset=layout.initial_offset
    )
    last = count if layout.end_fold is None else min(count, layout.end_fold)
    if last - layout.start_fold > MOST_FOLDS:
        raise ProfileError("the plan has too many folds", code="too_many_folds", expected=f"at most {MOST_FOLDS}", found=last)
    found = []
    for k in range(layout.start_fold, last):
        moved = layout.initial_offset + k * layout.step
        train_start = moved if layout.window == "rolling" else layout.initial_offset
        train_end = moved + layout.train
        test_start = train_end + layout.gap
        found.append((k, (train_start, train_end, test_start, test_start + layout.test)))
    return found


def require_folds(folds: Sequence[Fold], layout: Layout, rows: int) -> None:
    """Raise `ProfileError` if the plan is empty, saying how many bars one fold needs."""
    if folds:
        return
    if isinstance(layout.train, int) and isinstance(layout.test, int):
        needed = f"at least {layout.initial_offset + layout.train + layout.gap + layout.test} bars for the first fold"
    else:
        needed = f"bars over at least {layout.train} and {layout.test}"
    raise ProfileError(
        "the plan holds no fold",
        code="no_folds",
        expected=needed,
        found=f"{rows} bars, folds {layout.start_fold} to {'the last' if layout.end_fold is None else layout.end_fold}",
        hint="Make the windows smaller, or choose other folds.",
    )


def require_fitted_rows(folds: Sequence[Fold], val_split_ratio: float) -> None:
    """Raise `ProfileError` if the embargo before the validation part leaves a fold without rows to fit or to validate."""
    for fold in folds:
        split = fold.split(val_split_ratio)
        if split.fit_end <= split.fit_start or split.val_end <= split.val_start:
            raise ProfileError(
                "a fold has no rows left to fit on, or none to validate with",
                code="train_too_small",
                expected="train_size * val_split_ratio > gap, and a validation part of at least one row",
                found=f"train {fold.train_end - fold.train_start}, gap {fold.test_start - fold.train_end}, ratio {val_split_ratio}",
                fold=fold.number,
            )
