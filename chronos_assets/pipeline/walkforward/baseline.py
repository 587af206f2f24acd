"""The baseline of a run: the same request with another learner, a run of its own whose metrics stand beside the run's.

A run and its baseline have the same dataset, folds, target and way to choose thresholds; only the learner differs, with its defaults. The
baseline is found, resumed, validated and retired as any other run. Its metrics are kept in the run's `summary_metrics.baseline`, because
whatever shows a run shows its summary.
"""

from __future__ import annotations

from typing import Any

from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.walkforward.summary import SIDES

KEPT = (*SIDES, "folds_learned_nothing")


def baseline_profile(profile: WalkforwardProfile) -> WalkforwardProfile | None:
    """The profile of the baseline that `profile` names; None if it names none, or the baseline is the run itself."""
    if profile.baseline is None:
        return None
    learner = LEARNERS.parse({LEARNERS.field: profile.baseline})
    if learner == profile.model:
        return None
    device = profile.device if profile.device in {None, "auto", *learner.devices} else learner.devices[0]
    return profile.model_copy(update={"model": learner, "baseline": None, "device": device})


def baseline_name(profile_name: str) -> str:
    """How the baseline of a profile is called among the profiles; no profile of a manifest can have a name with a slash."""
    return f"{profile_name}/baseline"


def baseline_entry(learner: str, run_id: str, summary: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a baseline: its learner, its run, its pooled metrics."""
    return {"learner": learner, "run_id": run_id, **{name: summary.get(name) for name in KEPT}}
