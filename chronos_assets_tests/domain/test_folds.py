"""The plan of folds: known layouts, calendar edges, what is refused."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold, plan_folds, require_fitted_rows, require_folds, resolve_layout
from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import ProfileError

DAY = 86_400


def edges(plan: tuple[Fold, ...]) -> list[tuple[int, int, int, int]]:
    return [(f.train_start, f.train_end, f.test_start, f.test_end) for f in plan]


def days(first: str, count: int) -> np.ndarray:
    return int(datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()) + DAY * np.arange(count)


def calendar(timestamps: np.ndarray, **changes: Any) -> list[tuple[str, str, str, str]]:
    layout = Layout(**({"window": "rolling", "train": "2M", "test": "1M", "step": "1M", "gap": 0} | changes))
    plan = plan_folds(layout, len(timestamps), timestamps=timestamps, interval_seconds=DAY)

    def shown(row: int) -> str:
        return "end" if row == len(timestamps) else datetime.fromtimestamp(int(timestamps[row]), tz=UTC).strftime("%Y-%m-%d")

    return [(shown(f.train_start), shown(f.train_end), shown(f.test_start), shown(f.test_end)) for f in plan]


def test_worked_example() -> None:
    """Rows 11, train 5, gap 1, test 2, step 2: tests [6, 8) and [8, 10); row 10 is left."""
    plan = plan_folds(Layout("rolling", 5, 2, 2, 1), 11)
    assert edges(plan) == [(0, 5, 6, 8), (2, 7, 8, 10)]


def test_anchored_keeps_the_first_edge() -> None:
    """Anchored folds train from the offset on; test windows are those of rolling folds."""
    anchored, rolling = (plan_folds(Layout(window, 5, 2, 3, 1, initial_offset=4), 30) for window in ("anchored", "rolling"))
    assert {f.train_start for f in anchored} == {4}
    assert [f.test_start for f in anchored] == [f.test_start for f in rolling]
    assert rolling[2].train_start == 10


def test_start_and_end_fold_choose_and_never_move() -> None:
    """A choice of folds has the numbers and rows that the whole plan gives them."""
    whole = plan_folds(Layout("rolling", 5, 2, 2, 1), 40)
    assert plan_folds(Layout("rolling", 5, 2, 2, 1, start_fold=3, end_fold=6), 40) == whole[3:6]
    assert plan_folds(Layout("rolling", 5, 2, 2, 1, start_fold=3, end_fold=999), 40) == whole[3:]


@pytest.mark.parametrize(("rows", "count"), [(7, 0), (8, 1), (9, 1), (10, 2)])
def test_an_incomplete_last_window_is_no_fold(rows: int, count: int) -> None:
    """Too few rows for one more whole window make no fold."""
    assert len(plan_folds(Layout("rolling", 5, 2, 2, 1), rows)) == count


def test_gap_below_the_horizon_is_refused() -> None:
    """A gap smaller than the horizon less one is refused; if none is given it is exactly that."""
    profile = WalkforwardProfile(train_size=5, test_size=2, gap=3)
    assert resolve_layout(profile, rows=50, horizon=4).gap == 3
    with pytest.raises(ProfileError, match="gap >= 4"):
        resolve_layout(profile, rows=50, horizon=5)
    assert resolve_layout(WalkforwardProfile(train_size=5, test_size=2), rows=50, horizon=5).gap == 4


def test_step_below_the_test_size_is_refused() -> None:
    """A step that would predict a bar twice is refused, also if the test size is a default."""
    with pytest.raises(ProfileError, match="predicted twice"):
        parse_strict(WalkforwardProfile, {"train_size": 5, "test_size": 3, "step": 2}, error=ProfileError, what="the profile")
    with pytest.raises(ProfileError, match="predicted twice"):
        resolve_layout(WalkforwardProfile(step=2), rows=2000, horizon=1)
    with pytest.raises(ProfileError, match="predicted twice"):
        calendar(days("2020-01-01", 200), test="31d", step="1M")


def test_default_sizes_suit_the_dataset() -> None:
    """Sizes that nobody names follow from the number of bars, in few steps."""
    assert [resolve_layout(WalkforwardProfile(), rows=rows, horizon=1).train for rows in (100, 200, 500, 1300, 9000)] == [
        40,
        100,
        250,
        650,
        650,
    ]


def test_empty_plans_and_empty_parts_say_what_they_need() -> None:
    """A plan without folds names the bars that one fold needs; a train window that the embargo eats up is refused."""
    layout = Layout("rolling", 50, 10, 10, 2)
    with pytest.raises(ProfileError, match="at least 62 bars"):
        require_folds(plan_folds(layout, 61), layout, 61)
    plan = plan_folds(Layout("rolling", 5, 2, 2, 4), 30)
    with pytest.raises(ProfileError, match="no rows left to fit on"):
        require_fitted_rows(plan, 0.8)


def test_validation_part_keeps_the_embargo() -> None:
    """val_start is the rounded share of the train window; the gap is left out before it, and no row is used twice."""
    split = Fold(0, 100, 750, 754, 769).split(0.8)
    assert (split.fit_start, split.fit_end, split.val_start, split.val_end) == (100, 616, 620, 750)


def test_calendar_edges_are_months_in_utc() -> None:
    """Windows of months begin and end at the first bar of a month."""
    assert calendar(days("2020-01-01", 152)) == [
        ("2020-01-01", "2020-03-01", "2020-03-01", "2020-04-01"),
        ("2020-02-01", "2020-04-01", "2020-04-01", "2020-05-01"),
        ("2020-03-01", "2020-05-01", "2020-05-01", "end"),
    ]


def test_calendar_windows_that_are_not_covered_make_no_fold() -> None:
    """The last month must be whole, and a first month that begins late is left out; New Year and a weekend are no late beginning."""
    assert calendar(days("2020-01-01", 151))[-1][3] == "2020-05-01"
    assert calendar(days("2020-01-15", 160))[0][0] == "2020-02-01"
    assert calendar(days("2021-01-04", 160))[0][0] == "2021-01-04"


def test_calendar_gap_comes_from_the_front_of_the_test_window() -> None:
    """The gap is counted in bars after the train window; the test window still ends at its boundary."""
    assert calendar(days("2020-01-01", 130), gap=3)[0] == ("2020-01-01", "2020-03-01", "2020-03-04", "2020-04-01")


def test_calendar_weeks_years_and_anchors() -> None:
    """Weeks begin on Monday, years on 1 January; anchored windows keep their first edge."""
    assert calendar(days("2024-01-01", 60), train="2w", test="1w", step="1w")[1] == ("2024-01-08", "2024-01-22", "2024-01-22", "2024-01-29")
    years = calendar(days("2000-01-01", 366 + 365 * 3), train="2y", test="1y", step="1y", window="anchored")
    assert years == [("2000-01-01", "2002-01-01", "2002-01-01", "2003-01-01"), ("2000-01-01", "2003-01-01", "2003-01-01", "end")]


def test_calendar_growth_never_changes_a_fold() -> None:
    """More bars add folds at the end and leave the earlier ones as they were."""
    times = days("2019-03-20", 700)
    layout = Layout("rolling", "3M", "2w", "2w", 2)
    before = plan_folds(layout, 400, timestamps=times[:400], interval_seconds=DAY)
    after = plan_folds(layout, 700, timestamps=times, interval_seconds=DAY)
    assert len(before) > 5
    assert after[: len(before)] == before


def test_monthly_bars_cover_their_month() -> None:
    """A fold of months ends with the bar of its last month, whatever the days of that month, and growth changes none."""
    months = np.arange("2010-01", "2014-01", dtype="datetime64[M]").astype("datetime64[s]").astype(np.int64)
    layout = Layout("rolling", "1y", "3M", "3M", 0)
    plans = []
    for rows in range(20, 49):
        interval = seconds_to_next_bar("1mo", int(months[rows - 1]))
        plans.append(plan_folds(layout, rows, timestamps=months[:rows], interval_seconds=interval))
    assert [len(plan) for plan in plans] == [(rows - 12) // 3 for rows in range(20, 49)]
    assert all(later[: len(plan)] == plan for plan, later in itertools.pairwise(plans))


def test_the_bar_after_a_month_is_that_of_the_next() -> None:
    """The last day of a month is followed by the last; a day that the next month lacks becomes its last; other intervals are seconds."""
    for granularity, start, due in (
        ("1mo", "2024-01-01", "2024-02-01"),
        ("1mo", "2024-01-31", "2024-02-29"),
        ("1mo", "2024-02-29", "2024-03-31"),
        ("1mo", "2024-01-30", "2024-02-29"),
        ("3mo", "2023-11-15", "2024-02-15"),
        ("12mo", "2023-12-29", "2024-12-29"),
        ("1w", "2024-01-31", "2024-02-07"),
    ):
        first, last = (int(np.datetime64(day, "s").astype(np.int64)) for day in (start, due))
        assert seconds_to_next_bar(granularity, first) == last - first, (granularity, start)


def test_profile_names_the_nearest_key_and_refuses_half_a_calendar() -> None:
    """A typo in a profile names the key that was meant; windows of two kinds are refused."""
    for data, match in [
        ({"model": {"etta": 0.1}}, "eta"),
        ({"train": "2y"}, "both"),
        ({"train": "2y", "test": "1M", "train_size": 5}, "not both"),
        ({"train": "2 years", "test": "1M"}, "calendar window"),
        ({"train_size": 50, "step": "1M"}, "step"),
        ({"model": {"eta": 2.0}}, "eta"),
        ({"model": {"reg_lambda": float("inf")}}, "lambda"),
        ({"start_fold": 4, "end_fold": 4}, "end_fold"),
    ]:
        with pytest.raises(ProfileError, match=match):
            parse_strict(WalkforwardProfile, data, error=ProfileError, what="the profile")
