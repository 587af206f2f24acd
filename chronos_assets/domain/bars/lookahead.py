"""Look-ahead suspects: a feature that equals a target, or follows it so closely that it must know it.

Looked at in a bounded sample of whole runs of bars, so that a target moved by a bar or two is seen too. A feature at bar t that equals the target of
bar t is a leak; one that equals the target of bar t-h or earlier may know only the past and is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars.names import Column
from chronos_assets.domain.bars.report import ReportWarning

_RUN_ROWS = 1_024
_MAX_RUNS = 32
_ALMOST = 0.999
_MIN_PAIRS = 30


class Sample:
    """At most 32 runs of 1,024 bars, spread over the file as it grows."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._features = [column.name for column in columns if column.role in {"feature", "price"}]
        self._targets = [column.name for column in columns if column.role == "target"]
        self._runs: list[pl.DataFrame] = []
        self._every = 1
        self._seen = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take the first rows of a batch, of every batch at first and of fewer later."""
        if not self._targets or not frame.height:
            return
        if self._seen % self._every == 0:
            self._runs.append(frame.head(_RUN_ROWS).clone())
        self._seen += 1
        if len(self._runs) > _MAX_RUNS:
            self._runs = self._runs[::2]
            self._every *= 2

    def suspects(self) -> list[ReportWarning]:
        """One warning per target that features give away."""
        if not self._runs or not self._targets or not self._features:
            return []
        frame = pl.concat(self._runs)
        features = frame.select(self._features).fill_null(float("nan")).to_numpy()
        found = []
        for target in self._targets:
            values = frame[target].fill_null(float("nan")).to_numpy()
            correlation = _correlations(features, values)
            names = [
                f"{name} ({'equal' if abs(r) > 1 - 1e-12 else f'correlation {r:.5f}'})"
                for name, r in zip(self._features, correlation, strict=True)
                if abs(r) >= _ALMOST
            ]
            if names:
                shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
                found.append(
                    ReportWarning(
                        code="lookahead_suspect",
                        message=f"target {target} is nearly determined by {shown}: such a feature probably knows the future; exclude it",
                    )
                )
        return found


def _correlations(features: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Correlation of each column of `features` (n, m) with `target` (n), over the rows where both are numbers; 0 where undefined."""
    both = np.isfinite(features) & np.isfinite(target)[:, None]
    count = both.sum(axis=0)
    safe = np.maximum(count, 1)
    x = np.where(both, features, 0.0)
    y = np.where(both, target[:, None], 0.0)
    x = np.where(both, x - x.sum(axis=0) / safe, 0.0)
    y = np.where(both, y - y.sum(axis=0) / safe, 0.0)
    scale_x, scale_y = np.abs(x).max(axis=0, initial=0.0), np.abs(y).max(axis=0, initial=0.0)
    x, y = x / np.where(scale_x > 0, scale_x, 1.0), y / np.where(scale_y > 0, scale_y, 1.0)
    spread = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    usable = (count >= _MIN_PAIRS) & (spread > 0)
    return np.where(usable, (x * y).sum(axis=0) / np.where(spread > 0, spread, 1.0), 0.0)
