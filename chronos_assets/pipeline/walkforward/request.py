"""A walk-forward request, resolved against a published dataset: which columns, which folds, which device, and so which `run_id`.

Nothing is left to chance or to the machine after this: equal requests are equal runs (CONTRACTS, run identity).
"""

from __future__ import annotations

import fnmatch
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold, plan_folds, require_fitted_rows, require_folds, resolve_layout
from chronos_assets.domain.identity import Ignored, canonical, identity_of
from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.lfs.honesty import FeatureOrigin
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict import nearest, parse_strict
from chronos_assets.errors import DeviceError, ProfileError, StoreError
from chronos_assets.learning.devices import Device, Table, resolve_device
from chronos_assets.learning.executors.base import FoldExecutor
from chronos_assets.learning.versions import Versions, name_versions, versions_here
from chronos_assets.storage.datasets import DatasetRecord
from chronos_assets.storage.runs import RunRecord

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/walkforward")
# How ids are made; kept with a run. A run without it was named by other rules, and its id is not computed again.
IDENTITY_RULES = 2
# Keys of a profile that cannot change a result; a test holds every other key to changing the run_id.
IGNORED: Ignored = {
    "baseline": "names a run of its own, whose metrics are shown beside this one's",
    "features.candidates": "resolved to names, which the id has",
}
# Keys that stand in columns of their own, or in the layout.
_IN_COLUMNS = {"target", "features", "model", "device"}
_IN_LAYOUT = {"train_size", "test_size", "train", "test"}


@dataclass(frozen=True)
class WalkforwardRequest:
    """What a run is: enough to plan it, to name it, and to train it again to the same bits.

    `profile` is resolved: target and features by name, windows, gap, step and device settled. So everything in it that can change a result
    is part of the id, whoever adds it.
    """

    record: DatasetRecord
    profile: WalkforwardProfile
    target: str
    features: tuple[str, ...]
    horizon: int
    horizon_assumed: bool
    layout: Layout
    folds: tuple[Fold, ...]
    device: Device
    origin: FeatureOrigin | None = None

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """The learner and all of its parameters."""
        return self.profile.model.model_dump()

    @cached_property
    def walk_config(self) -> dict[str, Any]:
        """Everything else that determines a run's results, as `profile_of` reads it again."""
        kept = self.profile.model_dump(mode="json", exclude=_IN_COLUMNS | _IN_LAYOUT | IGNORED.keys())
        return (
            kept
            | self.layout.as_config()
            | {"selector": self.profile.features.model_dump(mode="json", exclude={"candidates"})}
            | {"horizon": self.horizon, "horizon_assumed": self.horizon_assumed}
            | {"rows": self.record.row_count, "folds_planned": len(self.folds), "identity": IDENTITY_RULES}
            | ({} if self.origin is None else {"selection": self.origin.as_config()})
        )

    @cached_property
    def versions(self) -> Versions:
        """What this process trains with; every fold's worker must say the same."""
        return versions_here(self.profile.model, self.profile.features)

    @cached_property
    def code_version(self) -> str:
        """The versions that determine a result, as the run's column keeps them."""
        return name_versions(self.profile.model, self.profile.features, self.versions)

    @cached_property
    def run_id(self) -> str:
        """UUIDv5 of dataset and content, the resolved profile, horizon and versions."""
        return name_run(
            dataset=self.record.dataset_id,
            content=self.record.content_hash or "",
            profile=self.profile,
            features=self.features,
            horizon=self.horizon,
            code_version=self.code_version,
        )

    @property
    def columns(self) -> list[str]:
        """Dataset columns that training reads."""
        weight = [self.profile.weight_column] if self.profile.weight_column else []
        return list(dict.fromkeys([*self.features, self.target, *weight]))

    @property
    def warnings(self) -> list[dict[str, str]]:
        """What a reader of the results should know."""
        found = [] if self.origin is None else self.origin.warnings
        if self.horizon_assumed:
            found.append({"code": "target_horizon_assumed", "message": assumed_horizon(self.target, self.horizon)})
        return found

    def row(self, requested_by: str) -> dict[str, Any]:
        """The request as a row of `walkforward_runs`."""
        return {
            "run_id": self.run_id,
            "dataset_id": self.record.dataset_id,
            "target_column": self.target,
            "feature_columns": list(self.features),
            "hyperparameters": self.hyperparameters,
            "walk_config": self.walk_config,
            "requested_by": requested_by,
            "dataset_checksum": self.record.checksum,
            "questdb_tag": self.record.questdb_tag,
            "content_hash": self.record.content_hash,
            "code_version": self.code_version,
            "device": self.device,
        }


def assumed_horizon(target: str, horizon: int) -> str:
    """The warning of a horizon that nobody declared."""
    return f"no target_horizon is declared for {target}: {horizon} is assumed, and the published bars show no more"


def name_run(*, dataset: str, content: str, profile: WalkforwardProfile, features: Sequence[str], horizon: int, code_version: str) -> str:
    """The `run_id` of all that determines a run. `profile` is a resolved one; whether the horizon was assumed does not count."""
    parts = {
        "dataset": dataset,
        "content": content,
        "profile": identity_of(profile, ignored=IGNORED),
        "features": list(features),
        "horizon": horizon,
        "code": code_version,
    }
    return str(uuid.uuid5(NAMESPACE, canonical(parts)))


def resolved_profile(
    profile: WalkforwardProfile, layout: Layout, *, target: str, features: Sequence[str], device: str, **changes: Any
) -> WalkforwardProfile:
    """`profile` with nothing left to be decided."""
    windows = dict.fromkeys(_IN_LAYOUT) | dict(
        zip(("train", "test") if layout.is_calendar else ("train_size", "test_size"), (layout.train, layout.test), strict=True)
    )
    plan = {name: getattr(layout, name) for name in ("window", "step", "gap", "initial_offset", "start_fold", "end_fold")}
    selector = profile.features.model_copy(update={"candidates": list(features)})
    return profile.model_copy(update=windows | plan | changes | {"target": target, "features": selector, "device": device})


def profile_of(run: RunRecord) -> WalkforwardProfile:
    """The resolved profile of a stored run, from its row; keys that the run's program did not know have their defaults.

    Raises `StoreError` for a row that holds no profile.
    """
    config, layout = run.walk_config, layout_of(run.walk_config)
    kept = {name: config[name] for name in WalkforwardProfile.model_fields.keys() - _IN_COLUMNS - _IN_LAYOUT if name in config}
    given = {"features": config.get("selector", {}) | {"from": run.feature_columns}, "model": run.hyperparameters}
    # What the layout settles is put in afterwards: a resolved profile has values that no manifest may combine.
    free = kept.keys() - {"window", "step", "gap", "initial_offset", "start_fold", "end_fold"}
    stored = {name: kept[name] for name in free} | given
    profile = parse_strict(WalkforwardProfile, stored, error=StoreError, what="the stored request", run_id=run.run_id)
    return resolved_profile(profile, layout, target=run.target_column, features=run.feature_columns, device=run.device or "cpu")


def learner_of(run: RunRecord) -> str:
    """Name of the learner of a stored run; raises `StoreError` for one that nobody registered."""
    name = run.hyperparameters.get(LEARNERS.field, LEARNERS.default)
    if name not in LEARNERS.names:
        raise StoreError("a run names a learner that is not registered", code="learner_unknown", found=name, run_id=run.run_id)
    return str(name)


def layout_of(walk_config: Mapping[str, Any]) -> Layout:
    """The layout that a run was planned with; raises `StoreError` for a row that does not say it."""
    missing = [name for name in Layout.__dataclass_fields__ if name not in walk_config]
    if missing:
        raise StoreError("the stored request does not say how its folds lie", code="layout_missing", found=f"no {', '.join(missing)}")
    return Layout(**{name: walk_config[name] for name in Layout.__dataclass_fields__})


def resolve_request(
    record: DatasetRecord,
    profile: WalkforwardProfile,
    *,
    horizon: int,
    horizon_assumed: bool,
    executor: FoldExecutor,
    default_device: str,
    timestamps: Callable[[], np.ndarray],
    device_table: Table = (),
) -> WalkforwardRequest:
    """Resolve `profile` on the dataset `record`. `timestamps` (unix seconds of every bar) is called for calendar windows only.

    Raises `ProfileError` for what does not fit the dataset, `DeviceError` if the device is not there.
    """
    if not record.content_hash:
        raise ProfileError(
            "the dataset was published by an older program and has no content hash",
            code="content_unknown",
            hint=f"Run `chronosflow_export {record.dataset_id}` once more.",
        )
    target = resolve_target(record, profile)
    features = resolve_features(record, profile, target)
    layout = resolve_layout(profile, rows=record.row_count, horizon=horizon)
    times = timestamps() if layout.is_calendar else None
    interval = seconds_to_next_bar(record.granularity, int(record.last_bar_ts.timestamp()))
    folds = plan_folds(layout, record.row_count, timestamps=times, interval_seconds=interval)
    require_folds(folds, layout, record.row_count)
    require_fitted_rows(folds, profile.val_split_ratio)
    split = folds[-1].split(profile.val_split_ratio)
    device = resolve_device(
        _wanted_device(profile, default_device),
        gpus=executor.gpus,
        fitted_rows=split.fit_end - split.fit_start,
        features=len(features),
        table=device_table,
    )

    def match(pattern: str) -> set[str]:
        return _matching(pattern, list(features), record)

    changes: dict[str, Any] = {"model": profile.model.on_features(features, match)}
    if profile.weight_column is not None:
        changes["weight_column"] = _exact(
            profile.weight_column, [c.name for c in record.columns if c.role != "target"], "weight column", record
        )
    resolved = resolved_profile(profile, layout, target=target, features=features, device=device, **changes)
    return WalkforwardRequest(record, resolved, target, features, horizon, horizon_assumed, layout, folds, device)


def resolve_target(record: DatasetRecord, profile: WalkforwardProfile) -> str:
    """The target's name in the dataset; the first one if the profile names none."""
    targets = record.names("target")
    if not targets:
        raise ProfileError("the dataset has no target column", code="no_target", slug=record.dataset_id)
    if profile.target is None:
        return targets[0]
    return _exact(profile.target, targets, "target", record)


def resolve_features(record: DatasetRecord, profile: WalkforwardProfile, target: str) -> tuple[str, ...]:
    """Feature columns in the dataset's order; patterns match in any case, and one that matches nothing is refused."""
    known = record.names("feature")
    if profile.weight_column is not None:
        weight = _exact(profile.weight_column, [c.name for c in record.columns if c.role != "target"], "weight column", record)
        known = [name for name in known if name != weight]
    patterns = ["*"] if profile.features.candidates == "all" else list(profile.features.candidates)
    if all(pattern.startswith("!") for pattern in patterns):
        patterns = ["*", *patterns]
    chosen: set[str] = set()
    for pattern in patterns:
        matched = _matching(pattern.removeprefix("!"), known, record)
        chosen = chosen - matched if pattern.startswith("!") else chosen | matched
    if not chosen:
        raise ProfileError("no feature is left", code="no_features", found=", ".join(patterns), slug=record.dataset_id)
    return tuple(name for name in known if name in chosen)


def _wanted_device(profile: WalkforwardProfile, default: str) -> str:
    """The device that the profile names, else the default as far as the learner can use it; raises `DeviceError` if it cannot."""
    learner = profile.model
    if profile.device in {None, "auto"}:
        return profile.device or default if "cuda" in learner.devices else "cpu"
    if profile.device not in learner.devices:
        raise DeviceError(
            f"the learner {learner.name} cannot train on {profile.device}",
            code="device_of_learner",
            expected=f"device {' or '.join(learner.devices)}",
            found=f"device {profile.device}",
            hint="Set `device: cpu` in the profile.",
        )
    return str(profile.device)


def _matching(pattern: str, known: list[str], record: DatasetRecord) -> set[str]:
    matched = {name for name in known if name == pattern} or {
        name for name in known if fnmatch.fnmatchcase(name.casefold(), pattern.casefold())
    }
    if matched or pattern == "*":
        return matched
    others = {c.name.casefold(): c.role for c in record.columns}
    role = others.get(pattern.casefold())
    close = nearest(pattern, known)
    raise ProfileError(
        f"no feature matches {pattern!r}",
        code="feature_unknown",
        found=f"{pattern} is a {role} column" if role in {"target", "price"} else None,
        hint=f"Did you mean {close!r}?" if close else "",
        slug=record.dataset_id,
    )


def _exact(name: str, known: list[str], what: str, record: DatasetRecord) -> str:
    found = [k for k in known if k == name] or [k for k in known if k.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    close = nearest(name, known)
    raise ProfileError(
        f"the dataset has no {what} {name!r}",
        code=f"{what.replace(' ', '_')}_unknown",
        expected=f"one of {', '.join(known[:20])}",
        hint=f"Did you mean {close!r}?" if close else "",
        slug=record.dataset_id,
    )
