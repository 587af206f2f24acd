"""A fold's model taken back from its file: predictions in the target's unit, from features alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from chronos_assets.domain.learners import LEARNERS, Cases, Features, Trained
from chronos_assets.domain.targets import Floats, TargetTransform, signal_predictions


@dataclass(frozen=True)
class FoldModel:
    """A trained model and the inverse of its target transform. `feature_names` are the features that the fold trained on, in order."""

    trained: Trained
    fold_key: str
    feature_names: tuple[str, ...]
    transform: TargetTransform
    binary: bool

    @property
    def best_iteration(self) -> int | None:
        """The iteration that predicts; None for a learner without iterations."""
        return self.trained.best_iteration

    def scores(self, features: Features) -> Floats:
        """Raw outputs, float64 of shape (rows,), for float32 features of shape (rows, features) in the order of `feature_names`."""
        return self.trained.outputs(features)

    def predict(self, features: Features) -> Floats:
        """Predictions as the run stored them: the same bits for the same features."""
        return signal_predictions(self.transform.invert(self.scores(features)), binary=self.binary)

    def validation_score(self, features: Features, targets: Floats) -> float | None:
        """The learner's own measure over cases, as training took it for `best_score`; None if it is no finite number.

        `features` as for `scores`, `targets` float64 of shape (rows,) as in the dataset.
        """
        return self.trained.validation_score(Cases(features, self.transform.apply(targets)))

    def columns(self, names: Sequence[str]) -> list[int]:
        """Positions of the model's features among `names`; raises `KeyError` for one that is not there."""
        at = {name: position for position, name in enumerate(names)}
        return [at[name] for name in self.feature_names]


def attributes_of(fold_key: str, feature_names: Sequence[str], transform: TargetTransform, *, binary: bool) -> dict[str, str]:
    """What a model's file holds beside the model, so that it predicts from the file alone."""
    return {
        "fold_key": fold_key,
        "feature_names": json.dumps(list(feature_names)),
        "target_transform": json.dumps([transform.kind, transform.mean, transform.std, transform.k]),
        "binary": "1" if binary else "0",
    }


def load_model(content: bytes, learner: str = LEARNERS.default) -> FoldModel:
    """A model from the bytes of its file. `learner` is the name that its run's hyperparameters give (none: an older run, `xgboost`)."""
    trained, attributes = LEARNERS.find(learner).load(content)
    kind, mean, std, k = json.loads(attributes.get("target_transform") or '["none", 0.0, 1.0, 1.0]')
    names = tuple(json.loads(attributes.get("feature_names") or "[]"))
    transform = TargetTransform(kind, float(mean), float(std), float(k))
    return FoldModel(trained, attributes.get("fold_key", ""), names, transform, attributes.get("binary") == "1")
