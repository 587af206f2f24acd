"""A Local Feature Selection, resolved against a published dataset: which target, features and rows, and so which `lfs_id`."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chronos_assets.domain.folds import plan_folds, resolve_layout
from chronos_assets.domain.identity import canonical, identity_of
from chronos_assets.domain.lfs.honesty import end_before, seen_tests, sees_tests
from chronos_assets.domain.profiles.lfs import MOST_FEATURES, LfsProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import ProfileError
from chronos_assets.learning.selectors.lfs import LFS_CODE_VERSION
from chronos_assets.pipeline.walkforward.horizon import refuse_undeclared
from chronos_assets.pipeline.walkforward.request import assumed_horizon, resolve_features, resolve_target
from chronos_assets.pipeline.walkforward.run import HorizonOf
from chronos_assets.storage.datasets import DatasetRecord, get_dataset, read_bars
from chronos_assets.storage.stores import Stores

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/lfs")
DEVICE = "cpu"
# Keys that enter an lfs_id as what they were resolved to, and keys that change no result.
RESOLVED_KEYS = dict.fromkeys(("target", "features", "start_row", "end_row"), "enters as what it was resolved to")
KEYS_WITHOUT_EFFECT = {"threads": "gives the same bits", "max_cases": "refuses, and changes nothing else"}

Warnings = list[dict[str, str]]


@dataclass(frozen=True)
class LfsRequest:
    """What a selection is. Rows are half-open; `first_test_row` is where walk-forward profile `default` begins to test, if it does."""

    record: DatasetRecord
    profile: LfsProfile
    target: str
    features: tuple[str, ...]
    horizon: int
    horizon_assumed: bool
    start_row: int
    end_row: int
    first_test_row: int | None

    @cached_property
    def lfs_id(self) -> str:
        """UUIDv5 of content, rows, target, features, parameters (but for those without effect), horizon and code version."""
        parts = {
            "dataset": self.record.dataset_id,
            "content": self.record.content_hash,
            "tag": self.record.questdb_tag,
            "rows": [self.start_row, self.end_row],
            "target": self.target,
            "features": sorted(self.features),
            "parameters": identity_of(self.profile, ignored=RESOLVED_KEYS | KEYS_WITHOUT_EFFECT),
            "horizon": self.horizon,
            "code": self.code_version,
        }
        return str(uuid.uuid5(NAMESPACE, canonical(parts)))

    @property
    def code_version(self) -> str:
        """Version of the code that selects, as `lfs_runs` keeps it."""
        return f"lfs {LFS_CODE_VERSION}"

    @property
    def threads(self) -> int:
        """Threads to work with."""
        return self.profile.threads or os.cpu_count() or 1

    @property
    def sees_test_rows(self) -> bool:
        """Whether a target of the rows taken holds prices after the first test bar."""
        return self.first_test_row is not None and sees_tests(self.end_row, horizon=self.horizon, first_test_row=self.first_test_row)

    @property
    def warnings(self) -> Warnings:
        """What is known before any case is looked at."""
        found: Warnings = []
        if self.sees_test_rows:
            assert self.first_test_row is not None
            found.append(
                seen_tests(self.start_row, self.end_row, horizon=self.horizon, first_test_row=self.first_test_row, tests_of="this dataset")
            )
        if self.horizon_assumed:
            found.append({"code": "target_horizon_assumed", "message": assumed_horizon(self.target, self.horizon)})
        if 0 < self.profile.permutations < 99:
            m = self.profile.permutations
            message = f"{m} permutations: no p-value can be below {1 / (m + 1):.3g}; 99 give 0.01"
            found.append({"code": "few_permutations", "message": message})
        return found

    def row(self, requested_by: str) -> dict[str, Any]:
        """The request as a row of `lfs_runs`."""
        config = self.profile.model_dump(exclude=set(RESOLVED_KEYS | KEYS_WITHOUT_EFFECT))
        rows = {"start_row": self.start_row, "end_row": self.end_row, "first_test_row": self.first_test_row}
        return {
            "lfs_id": self.lfs_id,
            "dataset_id": self.record.dataset_id,
            "target_column": self.target,
            "feature_columns": list(self.features),
            "config": config | rows | {"horizon": self.horizon, "horizon_assumed": self.horizon_assumed},
            "requested_by": requested_by,
            "dataset_checksum": self.record.checksum,
            "questdb_tag": self.record.questdb_tag,
            "content_hash": self.record.content_hash,
            "code_version": self.code_version,
            "device": DEVICE,
        }


def plan_lfs(
    slug: str, profile: LfsProfile, stores: Stores, *, horizon_of: HorizonOf, walkforward: WalkforwardProfile, horizon: int | None = None
) -> LfsRequest:
    """Resolve a request against the published dataset. `walkforward` is profile `default`: its target and tests decide what is left open.
    `horizon` is that of the selection's target, if `horizon_of` shall not say it.

    Raises `ProfileError` for what does not fit the dataset, also (`target_horizon_undeclared`) for an assumed horizon that the published
    bars contradict: rotations would be too short, and the last rows would look into the tests.
    """
    record = get_dataset(stores.postgres, slug)
    if not record.content_hash:
        raise ProfileError(
            "the dataset was published by an older program and has no content hash",
            code="content_unknown",
            hint=f"Run `chronosflow_export {slug}` once more.",
        )
    target = _target(record, profile, walkforward)
    features = resolve_features(record, WalkforwardProfile.model_validate({"features": profile.features}), target)
    if len(features) > MOST_FEATURES:
        raise ProfileError("too many features", code="lfs_too_many_features", expected=f"at most {MOST_FEATURES}", found=len(features))
    looks_ahead, assumed = horizon_of(target) if horizon is None else (horizon, False)
    if assumed:
        refuse_undeclared(stores, record, target)
    first_test_row = _first_test_row(stores, record, walkforward, horizon_of)
    before_tests = record.row_count if first_test_row is None else end_before(first_test_row, looks_ahead)
    end = record.row_count if profile.end_row == "all" else before_tests if profile.end_row is None else profile.end_row
    if end > record.row_count or profile.start_row >= end:
        raise ProfileError(
            "the rows asked for are not in the dataset",
            code="lfs_rows",
            expected=f"0 <= start_row < end_row <= {record.row_count}",
            found=f"rows {profile.start_row}..{end}",
            slug=slug,
        )
    return LfsRequest(record, profile, target, features, looks_ahead, assumed, profile.start_row, end, first_test_row)


def _target(record: DatasetRecord, profile: LfsProfile, walkforward: WalkforwardProfile) -> str:
    targets = record.names("target")
    name = profile.target or (walkforward.target if len(targets) > 1 else None)
    if name is None and len(targets) > 1:
        raise ProfileError(
            "the dataset has several targets",
            code="lfs_target_open",
            expected=f"one of {', '.join(targets[:20])}",
            hint="Name one with --target, or as `target` of the profile.",
            slug=record.dataset_id,
        )
    return resolve_target(record, WalkforwardProfile(target=name))


def _first_test_row(stores: Stores, record: DatasetRecord, walkforward: WalkforwardProfile, horizon_of: HorizonOf) -> int | None:
    """Where walk-forward profile `default` begins to test its own target; None if no fold fits."""
    try:
        horizon, _ = horizon_of(resolve_target(record, walkforward))
        layout = resolve_layout(walkforward, rows=record.row_count, horizon=horizon)
    except ProfileError:
        return None  # the walk-forward itself is refused then: nothing is tested
    times = read_bars(stores, record, [])["timestamp_unix"].to_numpy() if layout.is_calendar else None
    folds = plan_folds(layout, record.row_count, timestamps=times, interval_seconds=granularity_seconds(record.granularity))
    return min((fold.test_start for fold in folds), default=None)
