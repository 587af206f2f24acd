"""A figure beside its bound, and a model to take figures of."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

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


@dataclass(frozen=True)
class Figure:
    """What was found and what has to hold, in words, and whether it does."""

    what: str
    found: str
    bound: str
    holds: bool

    def __str__(self) -> str:
        return f"{'ok   ' if self.holds else 'FAILS'} {self.what}: {self.found} ({self.bound})"


def none_of(what: str, wrong: int, count: int, words: str) -> Figure:
    """A count that has to be 0."""
    return Figure(what, f"{wrong:,} of {count:,} {words}", "0", wrong == 0 and count > 0)


def at_most(what: str, value: float, bound: float, unit: str) -> Figure:
    """A measure with an upper bound."""
    return Figure(what, f"{value:.3g} {unit}", f"at most {bound:g} {unit}", value <= bound)


def report(figures: Iterable[Figure]) -> NoReturn:
    """Print a line per figure as it comes; ends the process with 1 if one does not hold."""
    failed = 0
    for figure in figures:
        print(figure, flush=True)
        failed += not figure.holds
    print(f"{failed} figures do not hold")
    sys.exit(bool(failed))


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
