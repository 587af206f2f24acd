"""A walk-forward request, resolved against a published dataset: which columns, which folds, which device, and so which `run_id`.

Nothing is left to chance or to the machine after this: equal requests are equal runs (CONTRACTS, run identity).
"""

from __future__ import annotations

import fnmatch
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import Fold, plan_folds, require_fitted_rows, require_folds, resolve_layout
from chronos_assets.domain.interval import seconds_to_next_bar
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import ProfileError
from chronos_assets.learning.devices import Device, Table, resolve_device
from chronos_assets.learning.executor import FoldExecutor
from chronos_assets.learning.training import TRAINING_CODE_VERSION
from chronos_assets.storage.datasets import DatasetRecord

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/walkforward")


@dataclass(frozen=True)
class WalkforwardRequest:
    """What a run is: enough to plan it, to name it, and to train it again to the same bits."""

    record: DatasetRecord
    profile: WalkforwardProfile
    target: str
    features: tuple[str, ...]
    horizon: int
    horizon_assumed: bool
    layout: Layout
    folds: tuple[Fold, ...]
    device: Device

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """The model's parameters, all of them."""
        return self.profile.model.model_dump()

    @cached_property
    def walk_config(self) -> dict[str, Any]:
        """Everything else that determines a run's results."""
        names = ("val_split_ratio", "target_transform", "tanh_k", "weight_column", "weight_half_life")
        profile = self.profile.model_dump()
        return (
            self.layout.as_config()
            | {name: profile[name] for name in names}
            | {"thresholds": profile["thresholds"], "horizon": self.horizon, "horizon_assumed": self.horizon_assumed}
            | {"rows": self.record.row_count, "folds_planned": len(self.folds)}
        )

    @cached_property
    def code_version(self) -> str:
        """Training code and XGBoost, as they stand in `code_version`."""
        import xgboost as xgb

        return f"training {TRAINING_CODE_VERSION}, xgboost {xgb.__version__}"

    @cached_property
    def run_id(self) -> str:
        """UUIDv5 of dataset and content, target, features, hyperparameters, walk configuration, device and versions."""
        return name_run(
            dataset=self.record.dataset_id,
            content=self.record.content_hash,
            target=self.target,
            features=self.features,
            hyperparameters=self.hyperparameters,
            walk_config=self.walk_config,
            device=self.device,
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
        if not self.horizon_assumed:
            return []
        message = f"no target_horizon is declared for {self.target}: {self.horizon} is assumed"
        return [{"code": "target_horizon_assumed", "message": message}]

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


def name_run(
    *,
    dataset: str,
    content: str,
    target: str,
    features: Sequence[str],
    hyperparameters: dict[str, Any],
    walk_config: dict[str, Any],
    device: str,
    code_version: str,
) -> str:
    """The `run_id` of all that determines a run (CONTRACTS, run identity); whether the horizon was assumed does not."""
    parts = {
        "dataset": dataset,
        "content": content,
        "target": target,
        "features": features,
        "hyperparameters": hyperparameters,
        "walk_config": {k: v for k, v in walk_config.items() if k != "horizon_assumed"},
        "device": device,
        "code": code_version,
    }
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts, sort_keys=True)))


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

    Raises `ProfileError` for what does not fit the dataset, `DeviceError` where the device is not there.
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
        profile.device or default_device,
        gpus=executor.gpus,
        fitted_rows=split.fit_end - split.fit_start,
        features=len(features),
        table=device_table,
    )
    return WalkforwardRequest(record, profile, target, features, horizon, horizon_assumed, layout, folds, device)


def resolve_target(record: DatasetRecord, profile: WalkforwardProfile) -> str:
    """The target's name in the dataset; the first one where the profile names none."""
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
    patterns = ["*"] if profile.features == "all" else list(profile.features)
    if all(pattern.startswith("!") for pattern in patterns):
        patterns = ["*", *patterns]
    chosen: set[str] = set()
    for pattern in patterns:
        matched = _matching(pattern.removeprefix("!"), known, record)
        chosen = chosen - matched if pattern.startswith("!") else chosen | matched
    if not chosen:
        raise ProfileError("no feature is left", code="no_features", found=", ".join(patterns), slug=record.dataset_id)
    return tuple(name for name in known if name in chosen)


def monotone_constraints(profile: WalkforwardProfile, features: tuple[str, ...], record: DatasetRecord) -> tuple[int, ...]:
    """-1, 0 or 1 per feature, from the patterns in `model.monotone`; later patterns win."""
    signs = dict.fromkeys(features, 0)
    for pattern, sign in profile.model.monotone.items():
        signs |= dict.fromkeys(_matching(pattern, list(features), record), sign)
    return tuple(signs.values())


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
