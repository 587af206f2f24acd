"""The retention policy: what stays of years of nights, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.domain.retention import Keep, KeptRun, models_to_let_go, reasons_to_keep

START = datetime(2026, 1, 1, 2, tzinfo=UTC)


def _nights(count: int, *, profile: str = "default", completed: bool = True) -> list[KeptRun]:
    """A run per night; the last one is on the registered content."""
    return [
        KeptRun(
            f"{profile}-{n:04}",
            completed=completed,
            on_registered_content=n == count - 1,
            profiles={profile: START + timedelta(days=n)},
        )
        for n in range(count)
    ]


def test_a_year_of_nights_leaves_the_newest_and_the_last_of_each_month() -> None:
    """400 nights with 7 and 12: seven nights of January and February, and the last ones of ten earlier months."""
    kept = reasons_to_keep(_nights(400), Keep())
    newest = [f"default-{n:04}" for n in range(393, 400)]
    months = [run for run, reason in kept.items() if reason == "last of its month"]
    assert {run for run, reason in kept.items() if reason in {"current", "one of the newest"}} == set(newest)
    days = sorted((START + timedelta(days=int(run[-4:]))).date().isoformat() for run in months)
    assert days == [
        "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-30",
        "2026-12-31",
    ]  # fmt: skip


def test_nothing_goes_before_something_newer_is_complete() -> None:
    """Without a completed run on the registered content, all stay; a failed one of tonight stays beside the current one."""
    runs = _nights(30)
    stale = [KeptRun(one.run_id, one.completed, on_registered_content=False, profiles=one.profiles) for one in runs]
    assert len(reasons_to_keep(stale, Keep(nights=1, months=0))) == 30
    failed = KeptRun("failed", completed=False, on_registered_content=True, profiles={"default": START + timedelta(days=99)})
    assert set(reasons_to_keep([*runs, failed], Keep(nights=1, months=0))) == {"default-0029", "failed"}


def test_what_something_depends_on_stays() -> None:
    """Pinned runs, runs of a sweep, runs made by hand, the baseline of a kept run, and a run that another profile still has as current."""
    runs = _nights(10)
    by_hand = KeptRun("hand", completed=True, on_registered_content=False)
    pinned = KeptRun("pinned", completed=True, on_registered_content=False, profiles={"default": START}, pinned=True, baseline="base")
    swept = KeptRun("swept", completed=True, on_registered_content=False, profiles={"default": START}, swept=True)
    base = KeptRun("base", completed=True, on_registered_content=False, profiles={"default/baseline": START})
    newer_base = KeptRun("newer-base", completed=True, on_registered_content=True, profiles={"default/baseline": START + timedelta(1)})
    shared = KeptRun("shared", completed=True, on_registered_content=True, profiles={"default": START, "twin": START})
    kept = reasons_to_keep([*runs, by_hand, pinned, swept, base, newer_base, shared], Keep(nights=1, months=0))
    assert kept == {
        "default-0009": "current",
        "hand": "made by hand",
        "pinned": "pinned",
        "swept": "of a sweep",
        "base": "baseline of a kept run",
        "newer-base": "current",
        "shared": "current",
    }


@given(st.integers(1, 60), st.integers(1, 10), st.integers(0, 5))
def test_pruning_every_night_ends_where_pruning_once_does(count: int, nights: int, months: int) -> None:
    """What one prune at the end keeps was kept by every prune before, so that nothing is missed by going night by night."""
    keep = Keep(nights=nights, months=months)
    left: list[KeptRun] = []
    for n in range(1, count + 1):
        tonight = _nights(n)
        left = [*(KeptRun(one.run_id, one.completed, on_registered_content=False, profiles=one.profiles) for one in left), tonight[-1]]
        left = [one for one in left if one.run_id in reasons_to_keep(left, keep)]
    assert {one.run_id for one in left} == set(reasons_to_keep(_nights(count), keep))


@pytest.mark.parametrize("values", [{"nights": 0}, {"months": -1}, {"pinned": "some"}, {"weeks": 3}])
def test_a_policy_that_cannot_be_meant_is_refused(values: dict[str, object]) -> None:
    """The newest run always stays, and unknown keys are an error."""
    with pytest.raises(ValueError, match=next(iter(values))):
        Keep.model_validate(values)


def test_models_stay_for_the_months_of_the_policy() -> None:
    """Calendar months, that of the newest model included; with no months, every model goes with its run."""
    newest = datetime(2026, 3, 5, tzinfo=UTC)
    trained = {
        "a": datetime(2026, 3, 1, tzinfo=UTC),
        "b": datetime(2026, 2, 1, tzinfo=UTC),
        "c": datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
        "d": datetime(2025, 3, 5, tzinfo=UTC),
    }
    assert models_to_let_go(trained, newest, Keep(months=2)) == ["c", "d"]
    assert models_to_let_go(trained, newest, Keep(months=12)) == ["d"]
    assert models_to_let_go(trained, newest, Keep(months=13)) == []
    assert models_to_let_go(trained, newest, Keep(months=0)) == ["a", "b", "c", "d"]
