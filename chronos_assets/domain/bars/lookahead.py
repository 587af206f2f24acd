"""Look-ahead suspects: a feature that equals a target, or nearly determines it, so that it must know the future.

Looked at in a bounded sample: at most 32 runs of 128 bars, spread evenly over the file; a file of up to 4,096 bars is looked at whole.
A feature is a suspect by its correlation with the target or with that of the next bar, or by xi (S. Chatterjee, "A new coefficient of
correlation", JASA 2021), near 1 where the target is any function of the feature, however bent. Beside a slow target (its neighbours
are nearly equal, as price levels are) a feature must follow its steps from bar to bar: the close of today knows nothing of tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars.names import Column
from chronos_assets.domain.bars.report import ReportWarning

_RUN_ROWS = 128
_MAX_RUNS = 32
_ALMOST = 0.999
_FUNCTION = 0.9
_LOOK_CLOSER = 0.3
_LOOK_CLOSER_LINE = 0.9
_SLOW = 0.9
_FOLLOWS = 0.9
_SCREEN_RUNS = 4
_SPARSE = 0.5
_MIN_PAIRS = 30
_TINY = 1e-14

Floats = npt.NDArray[np.float64]


class Sample:
    """At most 32 runs of 128 bars, spread evenly over the file as it grows."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._features = [column.name for column in columns if column.role in {"feature", "price"}]
        self._targets = [column.name for column in columns if column.role == "target"]
        self._runs: list[pl.DataFrame] = []
        self._every = 1
        self._seen = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Cut a batch into runs and keep every `_every`-th of the file, thinned where they become too many."""
        if not self._targets or not self._features or not frame.height:
            return
        count = -(-frame.height // _RUN_ROWS)
        while len(self._runs) + -(-count // self._every) > _MAX_RUNS:
            self._runs = self._runs[::2]
            self._every *= 2
        starts = [run * _RUN_ROWS for run in range(-self._seen % self._every, count, self._every)]
        if starts:
            rows = np.concatenate([np.arange(start, min(start + _RUN_ROWS, frame.height)) for start in starts])
            # Taken by row, so copied: a slice would keep its whole batch in memory.
            taken = frame.select(*self._features, *self._targets)[rows]
            self._runs += [taken.slice(i * _RUN_ROWS, _RUN_ROWS) for i in range(len(starts))]
        self._seen += count

    def suspects(self) -> list[ReportWarning]:
        """One warning per target that features give away."""
        if not self._runs:
            return []
        features = self._worth_a_look()
        if not features:
            return []
        x, y, neighbours = self._matrices(self._runs, features)
        slow = [_correlation(y[:-1, j][neighbours], y[1:, j][neighbours]) >= _SLOW for j in range(y.shape[1])]
        here, ahead = _correlations(x, y), _correlations(x[:-1][neighbours], y[1:][neighbours])
        found = []
        for j, target in enumerate(self._targets):
            reasons: dict[int, str] = {}
            for i in np.flatnonzero(np.abs(here[:, j]) >= _ALMOST):
                if not slow[j] or abs(_correlation(np.diff(x[:, i])[neighbours], np.diff(y[:, j])[neighbours])) >= _FOLLOWS:
                    reasons[int(i)] = "equal" if abs(here[i, j]) > 1 - 1e-12 else f"correlation {here[i, j]:.5f}"
            if not slow[j]:
                reasons |= {int(i): "the target of the next bar" for i in np.flatnonzero(np.abs(ahead[:, j]) >= _ALMOST)}
                reasons = {i: f"the target is a function of it, xi {xi:.3f}" for i, xi in _functions(x, y[:, j]).items()} | reasons
            if reasons:
                found.append(_suspicion(target, [f"{features[i]} ({reasons[i]})" for i in sorted(reasons)]))
        return found

    def _matrices(self, runs: list[pl.DataFrame], features: Sequence[str]) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Features and targets of some runs, and which of their rows are followed by the next bar."""
        frame = pl.concat(runs).rechunk().fill_null(float("nan"))
        neighbours = np.ones(frame.height - 1, dtype=bool)
        neighbours[np.cumsum([run.height for run in runs])[:-1] - 1] = False
        return frame.select(features).to_numpy(), frame.select(self._targets).to_numpy(), neighbours

    def _worth_a_look(self) -> list[str]:
        """Features that a few runs do not acquit: most files end here, so this is what most files pay."""
        x, y, neighbours = self._matrices(self._runs[:: -(-len(self._runs) // _SCREEN_RUNS)], self._features)
        doubtful = np.isnan(x).mean(axis=0) > _SPARSE
        if len(x) < 2 * _MIN_PAIRS or (np.isnan(y).mean(axis=0) > _SPARSE).any():
            return self._features
        for correlations in (_correlations(x, y), _correlations(x[:-1][neighbours], y[1:][neighbours])):
            doubtful |= (np.abs(correlations) >= _LOOK_CLOSER_LINE).any(axis=1)
        for target in y.T:
            there = np.isfinite(target)
            doubtful |= _xi(x[there], target[there]) >= _LOOK_CLOSER
        return [name for name, worth in zip(self._features, doubtful, strict=True) if worth]


def _suspicion(target: str, names: Sequence[str]) -> ReportWarning:
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return ReportWarning(
        code="lookahead_suspect",
        message=f"target {target} is nearly determined by {shown}: such a feature probably knows the future; exclude it",
    )


def _functions(x: Floats, target: Floats) -> dict[int, float]:
    """Columns of `x` of which the target is nearly a function, with their xi."""
    found = {}
    for i in range(x.shape[1]):
        both = np.isfinite(x[:, i]) & np.isfinite(target)
        if both.sum() >= _MIN_PAIRS and (xi := float(_xi(x[both, i : i + 1], target[both])[0])) >= _FUNCTION:
            found[i] = xi
    return found


def _xi(x: Floats, y: Floats) -> Floats:
    """Chatterjee's xi of `y` as a function of each column of `x`; 0 where `y` is constant."""
    ordered = np.sort(y)
    at_most, at_least = np.searchsorted(ordered, y, "right"), len(y) - np.searchsorted(ordered, y, "left")
    spread = float((at_least * (len(y) - at_least)).sum())
    if spread == 0:
        return np.zeros(x.shape[1])
    steps = np.abs(np.diff(at_most[np.argsort(x, axis=0)], axis=0)).sum(axis=0)
    return np.asarray(1 - len(y) * steps / (2 * spread))


def _correlation(x: Floats, y: Floats) -> float:
    return float(_correlations(x[:, None], y[:, None])[0, 0])


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
