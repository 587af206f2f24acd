"""Which runs of a dataset are kept, and why: the retention policy as a pure function. Nothing here deletes anything.

A run is superseded once its profile has a newer current run. Of superseded runs the policy keeps the newest ones, the last one of each
month, and whatever something else depends on. A run that no profile of a manifest asked for was made by hand, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import Field

from chronos_assets.domain.strict import StrictModel


class Keep(StrictModel):
    """How many runs of each profile stay: the newest `nights`, the last one of each of the last `months`, and all that are pinned."""

    nights: int = Field(default=7, ge=1, le=100_000)
    months: int = Field(default=12, ge=0, le=100_000)
    pinned: Literal["all"] = "all"


@dataclass(frozen=True)
class KeptRun:
    """What the policy needs to know of a run. `profiles`: name -> when the profile asked for it last."""

    run_id: str
    completed: bool
    on_registered_content: bool
    profiles: Mapping[str, datetime] = field(default_factory=dict)
    pinned: bool = False
    swept: bool = False
    promoted: bool = False
    baseline: str | None = None


def reasons_to_keep(runs: Sequence[KeptRun], keep: Keep) -> dict[str, str]:
    """Why each run of a dataset stays, by run_id; a run that is left out goes."""
    by_profile: dict[str, list[KeptRun]] = {}
    for run in runs:
        for profile in run.profiles:
            by_profile.setdefault(profile, []).append(run)
    reasons: dict[str, str] = {}
    for run in runs:
        if run.pinned:
            reasons[run.run_id] = "pinned"
        elif run.promoted:
            reasons[run.run_id] = "backtest of a promoted model"
        elif run.swept:
            reasons[run.run_id] = "of a sweep"
        elif not run.profiles:
            reasons[run.run_id] = "made by hand"
    for profile, of_profile in by_profile.items():
        for run_id, reason in _of_profile(profile, of_profile, keep).items():
            reasons.setdefault(run_id, reason)
    for run in runs:
        if run.run_id in reasons and run.baseline is not None:
            reasons.setdefault(run.baseline, "baseline of a kept run")
    known = {run.run_id for run in runs}
    return {run_id: reason for run_id, reason in reasons.items() if run_id in known}


def current_runs(runs: Sequence[KeptRun]) -> dict[str, str]:
    """The current run of each profile that has one, by profile: completed, on the registered content, requested last."""
    found: dict[str, KeptRun] = {}
    for run in runs:
        for profile in run.profiles if run.completed and run.on_registered_content else ():
            found[profile] = max(run, found.get(profile, run), key=lambda one: _age_key(one, profile))
    return {profile: run.run_id for profile, run in found.items()}


def _age_key(run: KeptRun, profile: str) -> tuple[datetime, str]:
    return run.profiles[profile], run.run_id


def models_to_let_go(trained: Mapping[str, datetime], newest: datetime, keep: Keep) -> list[str]:
    """Models that go with their signals, in order of their ids.

    `trained`: when each model was trained, of those whose run is retired and for which no name ever stood; `newest`: when the newest of
    the dataset's models was. They stay for `keep.months` calendar months (UTC), that of the newest model included.
    """
    first = _month(newest) - keep.months
    return sorted(model_id for model_id, moment in trained.items() if _month(moment) <= first)


def _of_profile(profile: str, runs: Sequence[KeptRun], keep: Keep) -> dict[str, str]:
    """Why runs of one profile stay."""
    newest_first = sorted(runs, key=lambda run: _age_key(run, profile), reverse=True)
    completed = [run for run in newest_first if run.completed]
    current_id = current_runs(runs).get(profile)
    current = next((run for run in completed if run.run_id == current_id), None)
    if current is None:
        return {run.run_id: "nothing newer is complete" for run in newest_first}
    reasons = {current.run_id: "current"}
    since = current.profiles[profile]
    reasons |= {run.run_id: "newer than the current one" for run in newest_first if run.profiles[profile] > since}
    for run in completed[: keep.nights]:
        reasons.setdefault(run.run_id, "one of the newest")
    for run in _last_of_months(profile, completed, keep.months):
        reasons.setdefault(run.run_id, "last of its month")
    return reasons


def _last_of_months(profile: str, newest_first: Sequence[KeptRun], months: int) -> list[KeptRun]:
    """The newest run of each of the last calendar months (UTC), that of the newest run included."""
    if not newest_first:
        return []
    first = _month(newest_first[0].profiles[profile]) - months
    found: dict[int, KeptRun] = {}
    for run in newest_first:
        month = _month(run.profiles[profile])
        if month > first:
            found.setdefault(month, run)
    return list(found.values())


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month
