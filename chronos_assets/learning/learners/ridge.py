"""Ridge regression by scikit-learn: the linear baseline that a boosted model has to beat.

Features are standardised by mean and standard deviation of the fitted rows, so that one penalty suits all of them; a null counts as the
mean. The model's file is JSON: means, scales, coefficients of the standardised features, intercept. A 0/1 target is fitted as a number, so
the output is a linear estimate of the probability.

LAPACK's sums depend on its number of threads, so a fit holds it to one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from chronos_assets.domain.learners import Cases, Features, Importance, Learner, Stop, Trained, interrupted
from chronos_assets.domain.targets import Floats


class Ridge(Learner):
    """Linear least squares with an L2 penalty."""

    model_config = ConfigDict(allow_inf_nan=False)
    libraries: ClassVar[tuple[str, ...]] = ("sklearn", "scipy", "numpy")

    summary: ClassVar[str] = "linear regression with an L2 penalty on standardised features; a null counts as the feature's mean"

    learner: Literal["ridge"] = "ridge"
    alpha: float = Field(1.0, gt=0, description="L2 penalty on the coefficients of the standardised features.")

    def fit(
        self, fitted: Cases, validation: Cases, *, names: Sequence[str], device: str, stop: Stop | None
    ) -> tuple[Trained, float | None]:
        """Singular value decomposition: no convergence, no seed."""
        from sklearn.linear_model import Ridge as SklearnRidge
        from sklearn.preprocessing import StandardScaler

        if stop is not None and stop():
            raise interrupted()
        with _one_blas_thread():
            scaler = StandardScaler().fit(fitted.features.astype(np.float64))
            mean, scale = np.nan_to_num(scaler.mean_), np.nan_to_num(scaler.scale_, nan=1.0)
            standardised = _standardised(fitted.features, mean, scale)
            model = SklearnRidge(alpha=self.alpha, solver="svd").fit(standardised, fitted.labels, sample_weight=fitted.weights)
        line = Line(mean, scale, np.asarray(model.coef_, dtype=np.float64), float(model.intercept_))
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

    def save(self, attributes: Mapping[str, str]) -> bytes:
        """JSON; Python's floats survive it to the last bit."""
        numbers = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self).items()}
        return json.dumps({"attributes": dict(attributes), **numbers}, allow_nan=False).encode()

    def _contributions(self, features: Features) -> Floats:
        """Row by row and without BLAS, so that a row gives the same bits alone as among others."""
        return _standardised(features, self.mean, self.scale) * self.coefficients


def _standardised(features: Features, mean: Floats, scale: Floats) -> Floats:
    """In C order, whatever order `features` has: sums along a row depend on it."""
    return np.nan_to_num((np.ascontiguousarray(features, dtype=np.float64) - mean) / scale)


_lock, _holders = threading.Lock(), 0
_released: list[Any] = []


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread while any fit of this process runs: the limit is the process's, and folds train side by side."""
    global _holders  # noqa: PLW0603 - the limit is a state of the process
    with _lock:
        _holders += 1
        if _holders == 1:
            _released.append(_blas().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders:
                _released.pop().restore_original_limits()


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
