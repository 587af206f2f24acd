"""What a learner is: parameters, and the way from cases to a trained model and back from its file.

One class in one file below `learning/learners/`, and one line in `LEARNERS`. Arrays: features float32 of shape (rows, features), NaN for
null, in the order of the fold's feature names; labels and outputs float64 of shape (rows,), labels after the target transform.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.parts import Catalogue, Part
from chronos_assets.domain.targets import Floats, TransformKind
from chronos_assets.errors import ChronosError

Features = NDArray[np.float32]
# Pattern -> the feature names that it matches; raises `ProfileError` if there are none.
Match = Callable[[str], set[str]]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class Cases:
    """Rows to fit or to validate on; `weights` float64 (rows,) or None for equal ones."""

    features: Features
    labels: Floats
    weights: Floats | None = None


@dataclass(frozen=True)
class Importance:
    """Sums that can be pooled over folds: gain and splits per feature, |SHAP| per feature over `rows` test rows."""

    total_gain: list[float]
    splits: list[int]
    shap_sum: list[float]
    rows: int


class Trained(Protocol):
    """A trained model, fresh or taken back from its file."""

    @property
    def best_iteration(self) -> int | None:
        """The iteration that predicts, from 0; None for a learner without iterations."""

    def outputs(self, features: Features) -> Floats:
        """Raw outputs, one per row: the same bits for the same row, whatever rows stand beside it."""

    def validation_score(self, cases: Cases) -> float | None:
        """The learner's own measure of `cases`, as `best_score` keeps it; None if it is no finite number."""

    def importance(self, features: Features) -> Importance:
        """Importance of every feature over these rows."""

    def save(self, attributes: Mapping[str, str], *, names: Sequence[str] | None = None) -> bytes:
        """The model as a file that `Learner.load` reads, with `attributes` inside. No pickle.

        `names`: the features in order, for a format that has a place for them, so that other programs' calls are checked too.
        """


def interrupted() -> ChronosError:
    """What a learner raises if it was told to stop."""
    return ChronosError("training was interrupted", code="interrupted")


class Learner(Part):
    """Base of the learners; its fields are the parameters that a profile may set below `model:`.

    `bundle_file` is the file of a bundle whose format is that of `Trained.save`, so that the reader `chronos_bundle` predicts with it:
    `model.ubj` (a booster of XGBoost), `linear.json` (means, scales, coefficients and intercept). None: its models cannot be exported.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    bundle_file: ClassVar[str | None] = None

    @property
    def name(self) -> str:
        """The learner's name in a profile."""
        return str(getattr(self, LEARNERS.field))

    @classmethod
    def class_for(cls, value: object) -> type[Learner] | None:
        """The class that a mapping of a profile asks for."""
        return LEARNERS.class_of(value)

    def on_features(self, names: Sequence[str], match: Match) -> Self:
        """These parameters with patterns of feature names resolved to names; raises `ProfileError` for one that matches nothing."""
        return self

    def on_target(self, *, binary: bool, transform: TransformKind) -> Self:
        """These parameters for a target that is 0/1 or not; raises `ProfileError` if they cannot learn it."""
        return self

    @abstractmethod
    def fit(
        self, fitted: Cases, validation: Cases, *, names: Sequence[str], device: str, stop: Stop | None
    ) -> tuple[Trained, float | None]:
        """Train on `fitted`, with one CPU thread and to the same bits for the same inputs; the model and its score on `validation`.

        `validation` may decide when to stop, nothing else. `stop` is asked while training; if it says so, raise `interrupted()`.
        """

    @classmethod
    @abstractmethod
    def load(cls, content: bytes) -> tuple[Trained, dict[str, str]]:
        """A model and the attributes that `Trained.save` kept with it."""


LEARNERS: Catalogue[Learner] = Catalogue(
    "learner",
    "learner",
    "xgboost",
    {
        "xgboost": "chronos_assets.learning.learners.xgboost:XGBoost",
        "ridge": "chronos_assets.learning.learners.ridge:Ridge",
    },
)
