"""Ridge regression: the linear baseline that a boosted model has to beat.

Features are standardised by mean and standard deviation of the fitted rows, so that one penalty suits all of them; a null counts as the
mean. The model's file is JSON: means, scales, coefficients of the standardised features, intercept. A 0/1 target is fitted as a number, so
the output is a linear estimate of the probability.

The normal equations are solved here and not by scikit-learn: its sums come from BLAS and LAPACK, whose bits depend on their number of
threads, and that number cannot be set reliably from a thread of the executor (OpenBLAS ignores it once another thread has set it). A fold
must give the same bits whatever trains beside it. The suite compares every number with scikit-learn's `Ridge`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from chronos_assets.domain.learners import Cases, Features, Importance, Learner, Stop, Trained, interrupted
from chronos_assets.domain.targets import Floats

# A standard deviation below this share of the mean is rounding: the feature is constant. Features come as float32, of 1e-7.
CONSTANT = 1e-9


class Ridge(Learner):
    """Linear least squares with an L2 penalty: minimises `sum(w * (y - a - z b)^2) + alpha * |b|^2` over standardised features z."""

    model_config = ConfigDict(allow_inf_nan=False)
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    bundle_file: ClassVar[str | None] = "linear.json"
    summary: ClassVar[str] = "linear regression with an L2 penalty on standardised features; a null counts as the feature's mean"

    learner: Literal["ridge"] = "ridge"
    alpha: float = Field(1.0, gt=0, description="L2 penalty on the coefficients of the standardised features.")

    def fit(
        self, fitted: Cases, validation: Cases, *, names: Sequence[str], device: str, stop: Stop | None
    ) -> tuple[Trained, float | None]:
        """By the normal equations and a Cholesky factor, so there is no seed and nothing to converge."""
        if stop is not None and stop():
            raise interrupted()
        mean, scale = _moments(fitted.features)
        rows = _standardised(fitted.features, mean, scale)
        weights = np.ones(len(rows)) if fitted.weights is None else fitted.weights
        share = weights / weights.sum() if weights.sum() > 0 else np.full(len(rows), 1 / len(rows))
        centre, level = (rows * share[:, None]).sum(axis=0), float((fitted.labels * share).sum())
        columns = np.ascontiguousarray((rows - centre).T)
        weighted = columns * weights
        penalised = np.einsum("in,jn->ij", weighted, columns) + self.alpha * np.eye(len(columns))
        coefficients = _solve(penalised, np.einsum("in,n->i", weighted, fitted.labels - level), least=self.alpha)
        line = Line(mean, scale, coefficients, level - float((centre * coefficients).sum()))
        return line, line.validation_score(validation)

    @classmethod
    def load(cls, content: bytes) -> tuple[Trained, dict[str, str]]:
        """From JSON."""
        document: dict[str, Any] = json.loads(content)
        attributes = document.pop("attributes")
        intercept = float(document.pop("intercept"))
        return Line(**{name: np.asarray(values, dtype=np.float64) for name, values in document.items()}, intercept=intercept), attributes


@dataclass(frozen=True)
class Line:
    """Means, scales and coefficients, float64 of shape (features,), and the intercept."""

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercept: float

    @property
    def best_iteration(self) -> int | None:
        return None

    def outputs(self, features: Features) -> Floats:
        return np.asarray(self._contributions(features).sum(axis=1) + self.intercept, dtype=np.float64)

    def validation_score(self, cases: Cases) -> float | None:
        """Root of the mean squared error."""
        score = float(np.sqrt(np.mean((self.outputs(cases.features) - cases.labels) ** 2)))
        return score if np.isfinite(score) else None

    def importance(self, features: Features) -> Importance:
        """Gain: |coefficient| of the standardised feature, one per fold. |SHAP| of a line is |coefficient * (value - mean)|, exactly."""
        shap = np.abs(self._contributions(features)).sum(axis=0)
        return Importance(np.abs(self.coefficients).tolist(), [1] * len(self.coefficients), shap.tolist(), len(features))

    def save(self, attributes: Mapping[str, str], *, names: Sequence[str] | None = None) -> bytes:
        """JSON; Python's floats survive it to the last bit."""
        numbers = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self).items()}
        return json.dumps({"attributes": dict(attributes), **numbers}, allow_nan=False).encode()

    def _contributions(self, features: Features) -> Floats:
        """Row by row and without BLAS, so that a row gives the same bits alone as among others."""
        return _standardised(features, self.mean, self.scale) * self.coefficients


def _moments(features: Features) -> tuple[Floats, Floats]:
    """Mean and population standard deviation of the known values of each feature; 0 and 1 without any, 1 for a constant."""
    values = np.ascontiguousarray(features, dtype=np.float64)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    scale = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(scale > CONSTANT * np.abs(mean), scale, 1.0)


def _standardised(features: Features, mean: Floats, scale: Floats) -> Floats:
    """In C order, whatever order `features` has: sums along a row depend on it."""
    return np.nan_to_num((np.ascontiguousarray(features, dtype=np.float64) - mean) / scale)


def _solve(matrix: Floats, right: Floats, *, least: float) -> Floats:
    """`matrix x = right` by Cholesky, for a matrix whose pivots are at least `least`; sums by einsum, which is no BLAS."""
    count = len(right)
    lower, half, found = np.zeros_like(matrix), np.zeros(count), np.zeros(count)
    for j in range(count):
        row = lower[j, :j]
        lower[j, j] = np.sqrt(max(matrix[j, j] - np.einsum("i,i->", row, row), least))
        lower[j + 1 :, j] = (matrix[j + 1 :, j] - np.einsum("ij,j->i", lower[j + 1 :, :j], row)) / lower[j, j]
        half[j] = (right[j] - np.einsum("i,i->", row, half[:j])) / lower[j, j]
    upper = np.ascontiguousarray(lower.T)
    for j in reversed(range(count)):
        found[j] = (half[j] - np.einsum("i,i->", upper[j, j + 1 :], found[j + 1 :])) / upper[j, j]
    return found
