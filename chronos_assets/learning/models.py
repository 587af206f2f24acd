"""A fold's model taken back from its file: predictions in the target's unit, from features alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.targets import Floats, TargetTransform, signal_predictions

if TYPE_CHECKING:
    import xgboost as xgb


@dataclass(frozen=True)
class FoldModel:
    """A booster that holds exactly the trees that predict, and the inverse of its target transform."""

    booster: xgb.Booster
    fold_key: str
    feature_names: tuple[str, ...]
    transform: TargetTransform
    binary: bool

    @property
    def rounds(self) -> int:
        """Boosted rounds that predict."""
        return int(self.booster.num_boosted_rounds())

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Raw outputs, float64 of shape (rows,), for float32 features of shape (rows, features) in the order of `feature_names`."""
        import xgboost as xgb

        return np.asarray(self.booster.predict(xgb.DMatrix(np.ascontiguousarray(features, dtype=np.float32), nthread=1)), dtype=np.float64)

    def predict(self, features: NDArray[np.float32]) -> Floats:
        """Predictions as the run stored them: the same bits for the same features."""
        return signal_predictions(self.transform.invert(self.scores(features)), binary=self.binary)

    def validation_score(self, features: NDArray[np.float32], targets: Floats) -> float | None:
        """The objective's own measure over cases, as training took it for `best_score`; None where it is no finite number.

        `features` as for `scores`, `targets` float64 of shape (rows,) as in the dataset.
        """
        import xgboost as xgb

        matrix = xgb.DMatrix(np.ascontiguousarray(features, dtype=np.float32), label=self.transform.apply(targets), nthread=1)
        score = float(self.booster.eval(matrix).rpartition(":")[2])
        return score if np.isfinite(score) else None


def load_model(content: bytes) -> FoldModel:
    """A model from the bytes of its UBJSON file."""
    import xgboost as xgb

    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    kind, mean, std, k = json.loads(booster.attr("target_transform") or '["none", 0.0, 1.0, 1.0]')
    names = tuple(json.loads(booster.attr("feature_names") or "[]"))
    return FoldModel(booster, str(booster.attr("fold_key")), names, TargetTransform(kind, mean, std, k), booster.attr("binary") == "1")
