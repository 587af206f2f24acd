"""A model to take figures of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.models.bundle import export_model
from chronos_assets.pipeline.models.train import TrainedModel, train_live_model
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

HORIZON = 3
# Three folds end at row 92, so five bars lie in the live window.
ROWS = 97
FEATURES = tuple(f"feat_{n}" for n in range(4))
LEARNERS = ("xgboost", "ridge")
XGBOOST = {"learner": "xgboost", "rounds": 30, "early_stopping": 5, "eta": 0.1, "min_child_weight": 1.0}


def profile_of(learner: str = "xgboost", **changes: Any) -> WalkforwardProfile:
    """The small profile of the tests with one of the learners."""
    return small_profile(model=XGBOOST if learner == "xgboost" else {"learner": learner}, **changes)


def walked(stores: Stores, slug: str, profile: WalkforwardProfile, *, rows: int = ROWS) -> str:
    """Publish bars under a slug and complete their run; gives its id."""
    publish(stores, slug, make_bars(rows))
    return run_walkforward(slug, profile, stores, horizon=HORIZON, horizon_assumed=False).run_id


def trained(stores: Stores, slug: str, profile: WalkforwardProfile) -> TrainedModel:
    """The live model of a run that is complete."""
    return train_live_model(slug, profile, stores, horizon=HORIZON, horizon_assumed=False)


@contextmanager
def bundles(stores: Stores, folder: Path, prefix: str) -> Iterator[dict[str, Path]]:
    """A bundle of each learner."""
    found = {}
    for learner in LEARNERS:
        slug, profile = f"{prefix}{learner}_1d_v1", profile_of(learner, target_transform="tanh")
        walked(stores, slug, profile)
        model = trained(stores, slug, profile).model
        found[learner] = export_model(stores, model.model_id, folder / learner).path
    yield found
