"""The selector that keeps the features which separate the target's classes near each bar, found again on every fold's fitted rows."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chronos_assets.domain.learners import Features, Stop, interrupted
from chronos_assets.domain.lfs.cases import make_cases
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.domain.selectors import Selector
from chronos_assets.domain.targets import Floats
from chronos_assets.errors import ProfileError
from chronos_assets.learning.selectors.lfs import LFS_CODE_VERSION, select


class LocalFeatures(Selector, LfsParameters):
    """The `keep` features that the most cases choose, of equally frequent ones the first; one that no case chose is left out."""

    version: ClassVar[str] = LFS_CODE_VERSION
    summary: ClassVar[str] = "the features that most cases of the fitted rows choose by Local Feature Selection (docs/LFS.md)"

    select: Literal["lfs"] = "lfs"
    keep: int = Field(8, ge=1, le=500, description="Most features that a fold trains on.")

    def choose(self, features: Features, targets: Floats, *, names: Sequence[str], stop: Stop | None) -> NDArray[np.int64]:
        key = self._key(features, targets)
        if (known := _CHOSEN.get(key)) is not None:
            return known
        chosen = self._choose(features, targets, names=names, stop=stop)
        _CHOSEN.put(key, chosen)
        return chosen

    def _key(self, features: Features, targets: Floats) -> str:
        digest = hashlib.sha256(repr((self.model_dump(), features.shape)).encode())
        digest.update(np.ascontiguousarray(features).data)
        digest.update(np.ascontiguousarray(targets).data)
        return digest.hexdigest()

    def _choose(self, features: Features, targets: Floats, *, names: Sequence[str], stop: Stop | None) -> NDArray[np.int64]:
        cases = make_cases(features.astype(np.float64), targets, names, "target", bins=self.bins)
        if cases.n > self.max_cases:
            raise ProfileError(
                "a fold has more cases than max_cases",
                code="lfs_too_many_cases",
                expected=f"at most {self.max_cases:,}",
                found=f"{cases.n:,}",
            )

        def watch(done: int, total: int) -> None:
            if stop is not None and stop():
                raise interrupted()

        # One thread: folds run side by side.
        counts = select(cases.z, cases.classes, self, watch=watch).counts(len(cases.features))
        order = np.argsort(-counts, kind="stable")[: self.keep]
        return np.sort(cases.features[order[counts[order] > 0]])


class _Chosen:
    """What was chosen lately in this process, by the content of the rows: a baseline and the points of a sweep ask for the same again."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._found: OrderedDict[str, NDArray[np.int64]] = OrderedDict()

    def get(self, key: str) -> NDArray[np.int64] | None:
        with self._lock:
            found = self._found.get(key)
        return None if found is None else found.copy()

    def put(self, key: str, chosen: NDArray[np.int64]) -> None:
        with self._lock:
            self._found[key] = chosen.copy()
            while len(self._found) > self._most:
                self._found.popitem(last=False)


_CHOSEN = _Chosen(most=10_000)
