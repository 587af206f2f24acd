"""Content keys of folds: two folds with the same key train to the same bits, whatever dataset, run or row number they come from.

Each row of features is hashed once (BLAKE2b, 16 bytes); a fold then hashes the digests of its rows, so that a thousand overlapping folds
do not read the matrix a thousand times. Features enter as float32, as learners see them; targets and weights as float64, every NaN
the same. The recipe enters whole (`domain.identity`), and with it the versions of what trains.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold, ValidationSplit
from chronos_assets.domain.identity import Ignored, canonical, identity_of
from chronos_assets.learning.training import FoldData, Recipe
from chronos_assets.learning.versions import name_versions, versions_here

DIGEST_BYTES = 16
# Fields of a recipe that cannot change a fold; a test holds every other field to changing the key.
IGNORED: Ignored = {"selector.candidates": "resolved to `feature_names`, which the key has"}


class FoldKeys:
    """Keys of the folds of one run over one matrix."""

    def __init__(self, data: FoldData, recipe: Recipe) -> None:
        self._rows = _row_digests(data.features)
        self._targets = _canonical(data.targets)
        self._weights = None if data.weights is None else _canonical(data.weights)
        versions = name_versions(recipe.learner, recipe.selector, versions_here(recipe.learner, recipe.selector))
        self._recipe = canonical({"recipe": identity_of(recipe, ignored=IGNORED), "versions": versions}).encode()

    def key(self, fold: Fold, split: ValidationSplit) -> str:
        """`<32 hex>` over fitted and validation rows (features, targets, weights), test features, recipe, device and versions."""
        digest = hashlib.blake2b(self._recipe, digest_size=DIGEST_BYTES)
        for name, start, end in (("fit", split.fit_start, split.fit_end), ("val", split.val_start, split.val_end)):
            digest.update(f"{name} {end - start}\n".encode())
            digest.update(self._rows[start:end].data)
            digest.update(self._targets[start:end].data)
            if self._weights is not None and name == "fit":
                digest.update(self._weights[start:end].data)
        digest.update(f"test {fold.test_end - fold.test_start}\n".encode())
        digest.update(self._rows[fold.test_start : fold.test_end].data)
        return digest.hexdigest()


def _row_digests(features: NDArray[np.float32]) -> NDArray[np.uint8]:
    """BLAKE2b of every row, shape (rows, 16)."""
    matrix = np.ascontiguousarray(features, dtype="<f4")
    width = matrix.shape[1] * 4
    view = matrix.data.cast("B")
    blake = hashlib.blake2b
    joined = b"".join(blake(view[at : at + width], digest_size=DIGEST_BYTES).digest() for at in range(0, len(view), width))
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def _canonical(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(values), np.nan, values).astype("<f8")
