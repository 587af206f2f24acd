"""From rows to cases: which rows can be taken, their classes, and their features on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chronos_assets.errors import ProfileError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_CASES, LEAST_PER_CLASS = 50, 20
MOST_LEFT_OUT = 0.5


@dataclass(frozen=True)
class ClassBounds:
    """One class of the target: the least and the greatest value in it, and how many cases it has."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Cases:
    """What a selection works on.

    `z` (N, V) float64: standardized features, constant ones left out; `classes` (N,) int64 from 0; `rows` (N,) int64: positions in the
    input; `features` (V,) int64: columns of the input that `z` holds; `constant`: the columns left out; `left_out`: rows that lack a
    value, in all and by column.
    """

    z: Floats
    classes: Ints
    rows: Ints
    features: Ints
    constant: tuple[int, ...]
    bounds: tuple[ClassBounds, ...]
    left_out: int
    left_out_by_column: dict[str, int]

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.rows)


def make_cases(features: Floats, target: Floats, names: Sequence[str], target_name: str, *, bins: int) -> Cases:
    """Cases of `features` (R, V) and `target` (R,), NaN for a missing value; `names` are those of the columns.

    Raises `ProfileError` for fewer than 50 cases, fewer than 20 in a class, fewer than two classes, more than half of the rows left out,
    and if every feature is constant.
    """
    missing = ~np.isfinite(np.column_stack([target, features]))
    kept = np.asarray(~missing.any(axis=1), dtype=np.bool_)
    by_column = {name: int(n) for name, n in zip([target_name, *names], missing.sum(axis=0), strict=True) if n}
    _require_rows(kept, by_column)
    classes, bounds = classes_of(target[kept], bins)
    _require_classes(bounds, target_name)
    z, varying = standardized(features[kept])
    if not varying.any():
        raise ProfileError("every feature is constant", code="lfs_all_constant", expected="a feature that varies over the rows")
    return Cases(
        z=np.ascontiguousarray(z[:, varying]),
        classes=classes,
        rows=np.flatnonzero(kept),
        features=np.flatnonzero(varying),
        constant=tuple(int(v) for v in np.flatnonzero(~varying)),
        bounds=bounds,
        left_out=int((~kept).sum()),
        left_out_by_column=by_column,
    )


def classes_of(target: Floats, bins: int) -> tuple[Ints, tuple[ClassBounds, ...]]:
    """Class of each value and the classes' bounds: at most `bins` of about equal size, equal values never in two.

    Cut c is the value at sorted position `floor(c N / bins) - 1` and belongs below. Equal cuts merge; a cut at the maximum is dropped.
    """
    ordered = np.sort(target)
    n = len(ordered)
    places = [c * n // bins - 1 for c in range(1, bins)]
    cuts = np.unique([ordered[place] for place in places if place >= 0])
    cuts = cuts[cuts < ordered[-1]] if n else cuts
    classes = np.searchsorted(cuts, target, side="left").astype(np.int64)
    members = [target[classes == c] for c in range(len(cuts) + 1)]
    return classes, tuple(ClassBounds(float(m.min()), float(m.max()), len(m)) for m in members if len(m))


def standardized(features: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """`(x - mean) / std` by column (population std) and which columns vary; a constant column is left at 0.

    A column is first scaled by a power of two, which is exact, so that huge values do not overflow. Mean and variance are rounded once
    from exact sums: they do not depend on the order of the cases.
    """
    z = np.zeros_like(features)
    varying = np.zeros(features.shape[1], dtype=np.bool_)
    for v in range(features.shape[1]):
        column = features[:, v]
        low, high = float(column.min()), float(column.max())
        if low == high:
            continue
        scaled = np.ldexp(column, -math.frexp(max(abs(low), abs(high)))[1])
        centred = scaled - math.fsum(scaled) / len(scaled)
        std = math.sqrt(math.fsum(centred * centred) / len(centred))
        if std > 0:
            z[:, v], varying[v] = centred / std, True
    return z, varying


def _require_rows(kept: npt.NDArray[np.bool_], by_column: dict[str, int]) -> None:
    rows, cases = len(kept), int(kept.sum())
    costliest = max(by_column, key=by_column.__getitem__, default=None)
    hint = "" if costliest is None else f"Column {costliest} lacks {by_column[costliest]:,} values, the most of all; leave it out."
    if rows and rows - cases > MOST_LEFT_OUT * rows:
        raise ProfileError(
            "more than half of the rows lack a value of the target or of a feature",
            code="lfs_rows_missing",
            expected=f"at least {rows - int(MOST_LEFT_OUT * rows):,} whole rows",
            found=f"{cases:,} of {rows:,}",
            hint=hint,
        )
    if cases < LEAST_CASES:
        raise ProfileError(
            "too few cases for a selection", code="lfs_too_few_cases", expected=f"at least {LEAST_CASES}", found=f"{cases}", hint=hint
        )


def _require_classes(bounds: tuple[ClassBounds, ...], target: str) -> None:
    sizes = ", ".join(str(b.n) for b in bounds)
    if len(bounds) < 2:
        raise ProfileError("the target has one class only", code="lfs_one_class", expected="two classes", found=sizes, column=target)
    if min(b.n for b in bounds) < LEAST_PER_CLASS:
        raise ProfileError(
            "a class of the target has too few cases",
            code="lfs_class_too_small",
            expected=f"at least {LEAST_PER_CLASS} in each",
            found=sizes,
            hint="Take fewer `bins` or more rows.",
            column=target,
        )
