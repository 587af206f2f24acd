"""The selector that keeps every candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.learners import Features, Stop
from chronos_assets.domain.selectors import Selector
from chronos_assets.domain.targets import Floats


class AllFeatures(Selector):
    """No selection: every fold trains on all candidates."""

    summary: ClassVar[str] = "every feature that `from` names, in every fold"

    select: Literal["all"] = "all"

    def choose(self, features: Features, targets: Floats, *, names: Sequence[str], stop: Stop | None) -> NDArray[np.int64]:
        return np.arange(features.shape[1], dtype=np.int64)
