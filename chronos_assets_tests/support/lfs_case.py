"""Small problems for Local Feature Selection, with and without ties, and the markets whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from chronos_assets.domain.lfs.cases import classes_of, standardized
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import Selection, select


def random_problem(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Standardized features, classes and parameters; three of four problems hold ties: whole numbers, rounded ones, a duplicate."""
    rng = np.random.default_rng(seed)
    n, v, kind = int(rng.integers(20, 90)), int(rng.integers(1, 9)), seed % 4
    x = rng.normal(size=(n, v))
    if kind == 1:
        x = rng.integers(0, 4, size=(n, v)).astype(float)
    elif kind == 2:
        x = np.round(x, 1)
        x[:, -1] = x[:, 0]
    elif kind == 3:
        x = np.where(rng.random((n, v)) < 0.5, rng.integers(0, 2, size=(n, v)), x)
    y = x[:, 0] + rng.normal(size=n)
    z, varying = standardized(x)
    classes, _ = classes_of(np.round(y) if kind == 1 else y, int(rng.integers(2, 5)))
    parameters = {
        name: int(rng.integers(low, high)) for name, low, high in (("max_kept", 1, 6), ("iterations", 1, 4), ("beta_trials", 1, 25))
    }
    return np.ascontiguousarray(z[:, varying]), classes, parameters


def linear_programs(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """`a`, `b` and `K` of a random linear program; two of three hold ties."""
    rng = np.random.default_rng(seed)
    v = int(rng.integers(2, 9))
    k = int(rng.integers(1, v + 1))
    if seed % 3 == 0:
        return rng.integers(0, 5, v).astype(float), rng.integers(0, 5, v).astype(float), k
    if seed % 3 == 1:
        return rng.random(v), rng.random(v), k
    return rng.integers(1, 4, v) / 2, np.round(3 * rng.random(v), 1), k


def interaction(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and a target that is the product of the first two, and noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    return x, x[:, 0] * x[:, 1] + 0.5 * rng.normal(size=rows)


def regimes(seed: int, rows: int = 240, features: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A target that follows feature 0 in the first half of time and feature 1 in the second."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    first = np.arange(rows) < rows // 2
    return x, np.where(first, x[:, 0], x[:, 1]) + 0.3 * rng.normal(size=rows)


def ar(shape: tuple[int, ...], rng: np.random.Generator, phi: float = 0.97) -> np.ndarray:
    """Stationary first-order autoregressions along the first axis."""
    series = rng.normal(size=shape)
    series[0] /= np.sqrt(1 - phi**2)
    for t in range(1, shape[0]):
        series[t] += phi * series[t - 1]
    return series


def run(x: np.ndarray, y: np.ndarray, *, bins: int = 3, **parameters: Any) -> tuple[Selection, np.ndarray]:
    """The selection on raw features and target, and the share of the cases (in percent) that chose each feature."""
    z, _ = standardized(x)
    classes, _ = classes_of(y, bins)
    found = select(z, classes, LfsParameters(bins=bins, **parameters))
    return found, 100 * found.counts(x.shape[1]) / len(x)


def sets_of(found: Selection) -> list[frozenset[int]]:
    """The cases' sets."""
    return [frozenset(int(v) for v in row if v >= 0) for row in found.chosen]
