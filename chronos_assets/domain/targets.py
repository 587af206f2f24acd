"""What a model is fitted on: the target, maybe transformed, and what a case returns when it is taken as a signal.

A transform is learnt on the fitted rows only and has an exact inverse (tanh: within its clamp). Arrays are float64, shape (rows,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.errors import ProfileError

Floats = NDArray[np.float64]
TransformKind = Literal["none", "standardize", "tanh"]

# The inverse of tanh is taken within (-CLAMP, CLAMP): float32 outputs of a booster may reach 1 or pass it.
CLAMP = 1.0 - 1e-6


@dataclass(frozen=True)
class TargetTransform:
    """A fitted transform: `z = (y - mean) / std`, or `tanh(k * z)`, or nothing."""

    kind: TransformKind = "none"
    mean: float = 0.0
    std: float = 1.0
    k: float = 1.0

    @classmethod
    def fit(cls, kind: TransformKind, values: Floats, *, k: float = 1.0) -> TargetTransform:
        """Learn mean and population standard deviation of `values` (the fitted rows' targets, no nulls). A constant target has std 1."""
        if kind == "none":
            return cls()
        if not len(values):
            raise ProfileError("a target transform has no rows to learn from", code="no_fitted_rows")
        std = float(np.std(values))
        return cls(kind, float(np.mean(values)), std if std > 0 else 1.0, k)

    def apply(self, values: Floats) -> Floats:
        """Targets as the booster sees them."""
        if self.kind == "none":
            return values
        z = (values - self.mean) / self.std
        return np.tanh(self.k * z) if self.kind == "tanh" else z

    def invert(self, outputs: Floats) -> Floats:
        """Raw outputs of the booster as predictions in the target's own unit."""
        if self.kind == "none":
            return outputs
        z = np.arctanh(np.clip(outputs, -CLAMP, CLAMP)) / self.k if self.kind == "tanh" else outputs
        return np.asarray(z * self.std + self.mean, dtype=np.float64)


def is_binary(targets: Floats) -> bool:
    """Whether the known values of a target are 0 and 1 and nothing else (both present)."""
    known = targets[~np.isnan(targets)]
    return bool(len(known)) and bool(np.all((known == 0) | (known == 1))) and bool(known.min() != known.max())


def case_returns(targets: Floats, *, binary: bool) -> Floats:
    """What each case returns as a long signal: the target value; `2y - 1` for a 0/1 target."""
    return 2.0 * targets - 1.0 if binary else targets


def signal_predictions(outputs: Floats, *, binary: bool) -> Floats:
    """Predictions that thresholds are set against: `p - 0.5` for a 0/1 target."""
    return outputs - 0.5 if binary else outputs
