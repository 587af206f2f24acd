"""Parts of a manifest to copy: the profile that asks for a run again, and one that trains on what a selection found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.parts import Catalogue, Part
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.selectors import SELECTORS
from chronos_assets.domain.strict import parse_strict
from chronos_assets.domain.strict_yaml import flow
from chronos_assets.errors import ProfileError, StoreError
from chronos_assets.pipeline.walkforward.request import profile_of
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.runs import get_run
from chronos_assets.views import documents as doc


def profile_of_run(postgres: Postgres, run_id: str) -> str | None:
    """The `walkforward` section whose profile `default` asks for this run; None if no manifest can say it."""
    try:
        profile = profile_of(get_run(postgres, run_id))
        said = {name: value for name, value in profile.model_dump(mode="json", exclude_defaults=True).items() if value is not None}
        said |= {"features": _features(profile), "model": _part(profile.model, LEARNERS)}
        parse_strict(WalkforwardProfile, said, error=ProfileError, what="the profile")
    except (ProfileError, StoreError):  # made by an older program, or with parts that are not installed here
        return None
    return _section(said)


def profile_of_selection(selection: doc.LfsRun, features: Sequence[str]) -> str:
    """A `walkforward` section that trains on `features`, and says where they are from: tests on rows that the selection saw flatter."""
    start, end = (selection.config.get(name) for name in ("start_row", "end_row"))
    about = f"# features of selection {selection.lfs_id}, which saw rows {start} to {end}\n"
    return about + _section({"target": selection.target_column, "features": list(features), "features_from": selection.lfs_id})


def _features(profile: WalkforwardProfile) -> Any:
    chosen = _part(profile.features, SELECTORS)
    return chosen if profile.features.name != SELECTORS.default else chosen.get("from", "all")


def _part(part: Part, kinds: Catalogue[Any]) -> dict[str, Any]:
    """A learner or selector by its name and what differs from its defaults."""
    differs = part.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {kinds.field: getattr(part, kinds.field)} | differs


def _section(profile: dict[str, Any]) -> str:
    return f"walkforward:\n  default: {flow(profile)}\n"
