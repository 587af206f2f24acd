"""The live fold: it begins where the complete folds end, holds every bar after them, and is the plan's next fold once it is full."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import plan_folds
from chronos_assets.domain.live_fold import LiveFold, live_fold, signal_names, unknown_targets, valid_until
from chronos_assets.domain.thresholds import Thresholds
from chronos_assets.errors import ProfileError

DAY = 86_400
START = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp())


def layout(**changes: Any) -> Layout:
    """A rolling layout of 60, 10 and 2 bars."""
    return Layout(**({"window": "rolling", "train": 60, "test": 10, "step": 10, "gap": 2} | changes))


def days(rows: int) -> Any:
    """Times of daily bars without a weekend."""
    return START + DAY * np.arange(rows)


def live_of(made: Layout, rows: int) -> LiveFold:
    """The live fold of a plan on so many daily bars."""
    plan = plan_folds(made, rows, timestamps=days(rows), interval_seconds=DAY)
    return live_fold(made, rows, plan[-1].number + 1, timestamps=days(rows), interval_seconds=DAY)


def test_it_follows_the_last_complete_fold() -> None:
    """100 bars hold folds that test [62, 72), [72, 82) and [82, 92); the live fold tests from 92 on."""
    assert live_of(layout(), 100) == LiveFold(3, 30, 90, 92, 102, None)
    assert live_of(layout(window="anchored"), 100) == LiveFold(3, 0, 90, 92, 102, None)
    assert live_of(layout(), 100).fold(100).test_end == 100
    assert live_of(layout(), 92).fold(92).test_start == live_of(layout(), 92).fold(92).test_end == 92


@given(
    sizes=st.fixed_dictionaries({"train": st.integers(5, 40), "test": st.integers(1, 21), "gap": st.integers(0, 5)}),
    offset=st.integers(0, 5),
    window=st.sampled_from(["rolling", "anchored"]),
    more=st.integers(0, 60),
)
def test_every_bar_behind_the_last_window_is_in_the_live_one(sizes: dict[str, int], offset: int, window: str, more: int) -> None:
    """0 bars without a signal, whatever the sizes; and with enough bars the plan itself has the same fold."""
    made = layout(window=window, **sizes, step=sizes["test"], initial_offset=offset)
    rows = offset + sum(sizes.values()) + more
    plan, live = plan_folds(made, rows), live_of(made, rows)
    assert live.test_end is not None
    assert plan[-1].test_end == live.test_start <= rows < live.test_end
    grown = plan_folds(made, live.test_end)[-1]
    assert (grown.number, grown.train_start, grown.train_end, grown.test_start) == (
        live.number,
        live.train_start,
        live.train_end,
        live.test_start,
    )


@pytest.mark.parametrize("rows", [450, 455, 460, 473, 485])
def test_windows_of_the_calendar_stay_open_until_their_month_ends(rows: int) -> None:
    """The live fold of monthly tests begins on the first of the month and ends exactly with it; the grown plan has the same fold."""
    made = layout(train="1y", test="1M", step="1M", gap=0)
    live = live_of(made, rows)
    plan = plan_folds(made, rows, timestamps=days(rows), interval_seconds=DAY)
    assert live.test_end is None
    assert live.ends_at is not None
    assert live.test_start == plan[-1].test_end
    full = (live.ends_at - START) // DAY
    grown = plan_folds(made, full, timestamps=days(full), interval_seconds=DAY)[-1]
    assert (grown.number, grown.train_start, grown.train_end, grown.test_start, grown.test_end) == (
        live.number,
        live.train_start,
        live.train_end,
        live.test_start,
        full,
    )
    assert valid_until(live, days(rows), DAY) == live.ends_at


def test_a_plan_that_ends_has_no_live_fold() -> None:
    """`end_fold` says that no fold follows; one that lies ahead does no harm."""
    with pytest.raises(ProfileError, match="the profile ends its plan") as refused:
        live_of(layout(end_fold=3), 100)
    assert refused.value.code == "plan_closed"
    assert live_of(layout(end_fold=4), 100).number == 3


def test_a_window_that_has_not_begun_is_refused() -> None:
    """With a step greater than the test window, the bars between two windows have no signal."""
    with pytest.raises(ProfileError, match="has not begun") as refused:
        live_of(layout(step=30), 80)
    assert refused.value.code == "window_not_begun"
    assert live_of(layout(step=30), 92).test_start == 92


def test_targets_that_are_not_known_yet_are_counted_at_the_end_only() -> None:
    """A hole in the middle of the training rows never fills, so it makes no difference to the plan's fold."""
    targets = np.arange(100.0)
    targets[[40, 88, 89]] = np.nan
    assert unknown_targets(targets, live_of(layout(), 100)) == 2
    assert unknown_targets(np.full(100, np.nan), live_of(layout(), 100)) == 60


def test_an_estimated_end_allows_for_closed_days() -> None:
    """Ten bars of a market that is closed at weekends last two weeks; the bar behind them is expired, the last one is not."""
    calendar = [day for day in range(160) if (START // DAY + day + 3) % 7 < 5]
    times = START + DAY * np.asarray(calendar[:92], dtype=np.int64)
    live = live_fold(layout(), 92, 3, timestamps=times, interval_seconds=DAY)
    until = valid_until(live, times, DAY)
    following = START + DAY * np.asarray(calendar, dtype=np.int64)
    assert following[101] < until <= following[102] + 2 * DAY


def test_a_prediction_beyond_both_thresholds_is_no_signal() -> None:
    """Long at or above, short at or below, none in between or beyond both."""
    apart = Thresholds(0.2, -0.1, "optimal", "validation", 10)
    assert signal_names(apart, np.array([0.2, 0.19, -0.1, -0.09])) == ["long", "none", "short", "none"]
    crossed = Thresholds(-0.1, 0.2, "optimal", "validation", 10)
    assert signal_names(crossed, np.array([0.0, 0.3, -0.3])) == ["none", "long", "short"]
