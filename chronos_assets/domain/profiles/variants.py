"""Profiles made from another one: with some keys changed, or one for every combination of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from chronos_assets.domain.parts import NAME_FIELDS
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict import StrictModel, parse_strict
from chronos_assets.errors import ProfileError

MOST_COMBINATIONS = 10_000
Profile = TypeVar("Profile", bound=StrictModel)


def change_profile(profile: Profile, changes: Mapping[str, Any], *, what: str = "the profile") -> Profile:
    """`profile` with `changes` put over it: nested (`{"model": {"eta": 0.1}}`) or by dotted key (`{"model.eta": 0.1}`).

    Raises `ProfileError` that begins with `what` for anything that a manifest could not say either; a typo names the nearest key.
    """
    document = profile.model_dump(exclude_unset=True)
    for key, value in changes.items():
        (nested,) = grid({key: [value]})
        document = merged(document, nested)
    return parse_strict(type(profile), document, error=ProfileError, what=what)


def expand(profile: WalkforwardProfile, axes: Mapping[str, Sequence[Any]]) -> list[tuple[dict[str, Any], WalkforwardProfile]]:
    """Every point of the grid as changes and a whole profile, all validated before any is run; raises `ProfileError`."""
    count = 1
    for values in axes.values():
        count *= len(values)
    if not axes or not 0 < count <= MOST_COMBINATIONS:
        raise ProfileError(
            "the grid cannot be run", code="grid_size", expected=f"1 to {MOST_COMBINATIONS} combinations", found=count if axes else 0
        )
    base = profile.model_dump(exclude_unset=True)
    return [
        (changes, parse_strict(WalkforwardProfile, merged(base, changes), error=ProfileError, what="the grid")) for changes in grid(axes)
    ]


def grid(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of `axes` (dotted key -> values) as nested changes: `{"model.eta": [0.1]}` gives `{"model": {"eta": 0.1}}`."""
    for values in itertools.product(*axes.values()):
        changes: dict[str, Any] = {}
        for key, value in zip(axes, values, strict=True):
            place = changes
            *parents, last = key.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        yield changes


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with nested `changes` put in. A part that changes its kind (`learner`, `select`) loses the parameters of the one before."""
    result = {} if any(field in base and field in changes and base[field] != changes[field] for field in NAME_FIELDS) else dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return result
