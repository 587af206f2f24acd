"""What a model's file says of itself: everything that is needed to predict with the bare file, and to trace where it came from.

The description is JSON in the file's attribute `chronos_model`, the `description` of the model's row, and most of a bundle's `model.json`.
It holds nothing that changes when the same model is made again.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from chronos_assets.domain.identity import canonical, identity_of
from chronos_assets.domain.live_fold import LiveFold, unknown_targets, valid_until
from chronos_assets.learning.models import load_model
from chronos_assets.learning.training import FoldResult
from chronos_assets.pipeline.walkforward.data import FLOAT32_MOST, RunData
from chronos_assets.pipeline.walkforward.request import IGNORED, WalkforwardRequest

SCHEMA_VERSION = 1
ATTRIBUTE = "chronos_model"
NULL_POLICY = "a null or NaN is a missing value; it is never replaced by 0"
NUMBER_RULE = f"features are float32; what float32 cannot hold becomes its greatest value of that sign, {FLOAT32_MOST}"
TIME_RULE = "a bar is named by its label in UTC; a daily bar by 00:00 UTC of its date"


def describe(model_id: str, request: WalkforwardRequest, live: LiveFold, data: RunData, result: FoldResult) -> dict[str, Any]:
    """The description of a model that was just trained; JSON-ready, times in UTC."""
    model = load_model(result.model, request.profile.model.name)
    record, transform = request.record, model.transform
    times, interval = data.timestamps, data.interval_seconds
    return {
        "schema_version": SCHEMA_VERSION,
        "model_id": model_id,
        "run_id": request.run_id,
        "request": request_digest(request),
        "dataset": record.dataset_id,
        "granularity": record.granularity,
        "time_rule": TIME_RULE,
        "checksum": record.checksum,
        "content_hash": record.content_hash,
        "questdb_tag": record.questdb_tag,
        "features": [{"name": name, "questdb_column": record.column(name).questdb_column} for name in model.feature_names],
        "null_policy": NULL_POLICY,
        "number_rule": NUMBER_RULE,
        "target": {
            "name": request.target,
            "horizon": request.horizon,
            "horizon_assumed": request.horizon_assumed,
            "binary": model.binary,
            "transform": {"kind": transform.kind, "mean": transform.mean, "std": transform.std, "k": transform.k},
        },
        "thresholds": result.thresholds.as_json() | {"cases": result.threshold_cases},
        "learner": request.profile.model.name,
        "best_iteration": model.best_iteration,
        "fold_key": model.fold_key,
        "train": {
            "first_row": live.train_start,
            "end_row": live.train_end,
            "start": iso(data.time_of(live.train_start)),
            "end": iso(data.time_of(live.train_end)),
            "samples_fitted": result.samples_train,
            "samples_validation": len(result.val_rows),
            "unknown_targets": unknown_targets(data.arrays.targets, live),
            "last_bar": iso(data.time_of(len(times) - 1)),
        },
        "window": {"fold": live.number, "first_row": live.test_start, "end_row": live.test_end},
        "valid_from": iso(data.time_of(live.test_start)),
        "valid_until": iso(datetime.fromtimestamp(valid_until(live, times, interval), tz=UTC)),
        "valid_until_is": "exact" if live.test_end is None else "estimated",
        "versions": {"chronos_assets": version("chronos-assets")}
        | {name: found for name, found in sorted(result.versions.items()) if name != "sources"},
    }


def request_digest(request: WalkforwardRequest) -> str:
    """32 hex digits that name a request without its bars: models of two nights have the same ones."""
    parts = {
        "profile": identity_of(request.profile, ignored=IGNORED),
        "features": list(request.features),
        "horizon": request.horizon,
        "code": request.code_version,
    }
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:32]


def as_attribute(description: dict[str, Any]) -> dict[str, str]:
    """The description as the attribute of a model's file."""
    return {ATTRIBUTE: json.dumps(description, sort_keys=True, allow_nan=False)}


def iso(moment: datetime) -> str:
    """A time in UTC as `2026-11-27T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
