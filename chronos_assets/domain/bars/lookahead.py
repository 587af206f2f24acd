"""Look-ahead suspects: a feature that equals a target, or follows it so closely that it must know it.

Looked at in a bounded sample of runs of bars spread over the file: at most 16 runs of 512 bars.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars.names import Column
from chronos_assets.domain.bars.report import ReportWarning

_RUN_ROWS = 512
_MAX_RUNS = 16
_ALMOST = 0.999
_MIN_PAIRS = 30
_TINY = 1e-14

Floats = npt.NDArray[np.float64]


class Sample:
    """At most 16 runs of 512 bars, spread over the file as it grows."""

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
        frame = pl.concat(self._runs).fill_null(float("nan"))
        correlations = _correlations(frame.select(self._features).to_numpy(), frame.select(self._targets).to_numpy())
        found = []
        for target, correlation in zip(self._targets, correlations.T, strict=True):
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


def _correlations(features: Floats, targets: Floats) -> Floats:
    """Correlations of the columns of two matrices, over rows where both are numbers; 0 where undefined."""
    x, in_x = _standardized(features)
    y, in_y = _standardized(targets)
    count = in_x.T @ in_y
    safe = np.maximum(count, 1.0)
    sum_x, sum_y = x.T @ in_y, in_x.T @ y
    spread_x = (x * x).T @ in_y - sum_x * sum_x / safe
    spread_y = in_x.T @ (y * y) - sum_y * sum_y / safe
    spread = np.sqrt(np.maximum(spread_x, 0.0) * np.maximum(spread_y, 0.0))
    usable = (count >= _MIN_PAIRS) & (spread > _TINY * safe)
    return np.where(usable, (x.T @ y - sum_x * sum_y / safe) / np.where(usable, spread, 1.0), 0.0)


def _standardized(values: Floats) -> tuple[Floats, Floats]:
    """Columns moved to mean 0 and scaled to at most 1, missing cells 0; and where there are numbers (1.0) and where not (0.0)."""
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    scale = np.abs(filled).max(axis=0, initial=0.0)
    filled /= np.where(scale > 0, scale, 1.0)
    mean = filled.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    filled = np.where(there, filled - mean, 0.0)
    scale = np.abs(filled).max(axis=0, initial=0.0)
    return filled / np.where(scale > 0, scale, 1.0), there.astype(np.float64)
