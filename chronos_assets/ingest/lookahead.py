"""Look-ahead suspects: a feature that equals a target, or nearly determines it, so that it must know the future.

Looked at in a bounded sample: at most 32 runs of 128 bars, spread evenly over the file; a file of up to 4,096 bars is looked at whole.
A feature is a suspect by its correlation with the target, with that of a later bar, or with that of an earlier bar which was not over
yet (the target of bar t - k looks ahead to bar t - k + h: beyond t if k is less than its horizon h, the past from k = h on), or by
xi (S. Chatterjee, "A new coefficient of correlation", JASA 2021), near 1 if the target is any function of the feature, however
bent. Beside a slow target (its neighbours are nearly equal, as price levels are) a feature must follow its steps from bar to bar: the
close of today knows nothing of tomorrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.ingest.names import Column

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
_MAX_SHIFT = 64

Floats = npt.NDArray[np.float64]


class Sample:
    """At most 32 runs of 128 bars, spread evenly over the file as it grows."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._features = [column.name for column in columns if column.role in {"feature", "price"}]
        self._targets = [column.name for column in columns if column.role == "target"]
        self._runs: list[Floats] = []
        self._every = 1
        self._seen = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Cut a batch into runs and keep every `_every`-th of the file, thinned if they become too many."""
        if not self._targets or not self._features or not frame.height:
            return
        count = -(-frame.height // _RUN_ROWS)
        while len(self._runs) + -(-count // self._every) > _MAX_RUNS:
            self._runs = self._runs[::2]
            self._every *= 2
        starts = [run * _RUN_ROWS for run in range(-self._seen % self._every, count, self._every)]
        if starts:
            rows = np.concatenate([np.arange(start, min(start + _RUN_ROWS, frame.height)) for start in starts])
            # Taken by row, so copied: a slice would keep its whole batch in memory. Nulls become NaN.
            taken = np.empty((len(rows), len(self._features) + len(self._targets)), order="F")
            for i, name in enumerate((*self._features, *self._targets)):
                taken[:, i] = frame[name].to_numpy()[rows]
            self._runs += [taken[i * _RUN_ROWS : (i + 1) * _RUN_ROWS] for i in range(len(starts))]
        self._seen += count

    def suspects(self, horizons: Mapping[str, int]) -> dict[str, dict[str, str]]:
        """Features that give a target away, each with how it shows, by target. `horizons`: bars that each target looks ahead."""
        if not self._runs:
            return {}
        shifts = {target: _shifts(horizons.get(target, 1)) for target in self._targets}
        features = self._worth_a_look(sorted(set().union(*shifts.values())))
        if not features:
            return {}
        x, y, run = self._matrices(self._runs, features)
        found = {}
        for j, target in enumerate(self._targets):
            reasons: dict[int, str] = {}
            slow = _correlation(*_shifted(y[:, j], y[:, j], run, 1)) >= _SLOW
            for shift in (0, *shifts[target]):
                at, then = _shifted(x, y[:, j : j + 1], run, shift)
                correlations = _correlations(at, then)[:, 0]
                for i in np.flatnonzero(np.abs(correlations) >= _ALMOST):
                    if not slow or abs(_steps_correlation(x[:, i], y[:, j], run, shift)) >= _FOLLOWS:
                        reasons.setdefault(int(i), _reason(shift, correlations[i]))
            if not slow:
                reasons = {i: f"the target is a function of it, xi {xi:.3f}" for i, xi in _functions(x, y[:, j]).items()} | reasons
            if reasons:
                found[target] = {features[i]: reasons[i] for i in sorted(reasons)}
        return found

    def _matrices(self, runs: list[Floats], features: Sequence[str]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Features and targets of some runs, and to which run each row belongs."""
        values = np.concatenate(runs)
        place = {name: i for i, name in enumerate(self._features)}
        run = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        return values[:, [place[name] for name in features]], values[:, len(place) :], run

    def _worth_a_look(self, shifts: Sequence[int]) -> list[str]:
        """Features that a few runs do not acquit: most files end here, so this is what most files pay."""
        x, y, run = self._matrices(self._runs[:: -(-len(self._runs) // _SCREEN_RUNS)], self._features)
        known = np.isfinite(y).all(axis=1)
        if known.sum() < max(2 * _MIN_PAIRS, _SPARSE * len(y)):
            return self._features
        doubtful = np.isnan(x).mean(axis=0) > _SPARSE
        (features, in_x), (targets, in_y) = _standardized(x), _standardized(y)
        for shift in (0, *shifts):
            (x_at, y_then), (in_x_at, in_y_then) = (_shifted(*pair, run, shift) for pair in ((features, targets), (in_x, in_y)))
            doubtful |= (np.abs(_over_pairs(x_at, in_x_at, y_then, in_y_then)) >= _LOOK_CLOSER_LINE).any(axis=1)
        order = np.argsort(x[known], axis=0)
        for target in y[known].T:
            doubtful |= _xi(order, target) >= _LOOK_CLOSER
        return [name for name, worth in zip(self._features, doubtful, strict=True) if worth]


def _shifts(horizon: int) -> list[int]:
    """How many bars later (negative: earlier) a target may come that bar t cannot know: up to the horizon either way, the nearest first."""
    far = min(horizon, _MAX_SHIFT)
    return sorted([*range(1 - far, 0), *range(1, far + 1)], key=abs)


def _shifted(x: Floats, y: Floats, run: npt.NDArray[np.int64], shift: int) -> tuple[Floats, Floats]:
    """Rows of `x` and the rows of `y` that come `shift` bars later (negative: earlier) in the same run."""
    if shift < 0:
        return _shifted(y, x, run, -shift)[::-1]
    if shift == 0:
        return x, y
    count = len(x) - shift
    same = run[:count] == run[shift:]
    return x[:count][same], y[shift:][same]


def _steps_correlation(x: Floats, y: Floats, run: npt.NDArray[np.int64], shift: int) -> float:
    """Correlation of the steps from bar to bar of `x` with those of `y` that come `shift` bars later."""
    within = np.where(run[1:] == run[:-1], 0.0, np.nan)
    return _correlation(*_shifted(np.diff(x) + within, np.diff(y) + within, run[1:], shift))


def _reason(shift: int, correlation: float) -> str:
    if shift == 0:
        return "equal" if abs(correlation) > 1 - 1e-12 else f"correlation {correlation:.5f}"
    if shift == 1:
        return "the target of the next bar"
    return f"the target of {shift} bars later" if shift > 0 else f"the target of {-shift} bars earlier, which is not over yet"


def _functions(x: Floats, target: Floats) -> dict[int, float]:
    """Columns of `x` of which the target is nearly a function, with their xi."""
    found = {}
    for i in range(x.shape[1]):
        both = np.isfinite(x[:, i]) & np.isfinite(target)
        if both.sum() >= _MIN_PAIRS and (xi := float(_xi(np.argsort(x[both, i : i + 1], axis=0), target[both])[0])) >= _FUNCTION:
            found[i] = xi
    return found


def _xi(order: npt.NDArray[np.int64], y: Floats) -> Floats:
    """Chatterjee's xi of `y` as a function of each column of x, whose rows come in this order; 0 if `y` is constant."""
    ordered = np.sort(y)
    at_most, at_least = np.searchsorted(ordered, y, "right"), len(y) - np.searchsorted(ordered, y, "left")
    spread = float((at_least * (len(y) - at_least)).sum())
    if spread == 0:
        return np.zeros(order.shape[1])
    steps = np.abs(np.diff(at_most[order], axis=0)).sum(axis=0)
    return np.asarray(1 - len(y) * steps / (2 * spread))


def _correlation(x: Floats, y: Floats) -> float:
    return float(_correlations(x[:, None], y[:, None])[0, 0])


def _correlations(features: Floats, targets: Floats) -> Floats:
    """Correlations of the columns of two matrices, over rows where both are numbers; 0 where undefined."""
    return _over_pairs(*_standardized(features), *_standardized(targets))


def _over_pairs(x: Floats, in_x: Floats, y: Floats, in_y: Floats) -> Floats:
    """The same, of matrices that are standardized: their numbers, and where those are."""
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
