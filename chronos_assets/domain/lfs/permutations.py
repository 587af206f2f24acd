"""What a target that knows nothing would give: permuted classes, p-values, marks. Source of the p-values: [PS] Phipson & Smyth 2010."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from chronos_assets.errors import ProfileError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Kind = Literal["cyclic", "complete"]
Mark = Literal["strong", "good", "weak", "noise"]

# By the unbiased p-value: of many features, one has a small solo p-value by chance.
MARKS: tuple[tuple[float, Mark], ...] = ((0.01, "strong"), (0.05, "good"), (0.20, "weak"))
CAUTION_PCT, CAUTION_P = 20.0, 0.30


@dataclass(frozen=True)
class PermutedClasses:
    """The permutations of one selection: number r (from 1) is the same whoever asks for it, and in whatever order."""

    classes: Ints
    kind: Kind
    seed: int
    horizon: int

    def __call__(self, r: int) -> Ints:
        """Classes of permutation `r`."""
        if self.kind == "cyclic":
            return np.roll(self.classes, int(self._offsets()[r - 1]))
        return np.random.default_rng(np.random.SeedSequence([self.seed, r])).permutation(self.classes)

    def _offsets(self) -> Ints:
        return np.random.default_rng(np.random.SeedSequence([self.seed])).permutation(offsets(len(self.classes), self.horizon))


def offsets(cases: int, horizon: int) -> Ints:
    """Rotations whose distance to none, either way round, is at least `max(1, horizon)` bars."""
    least = max(1, horizon)
    return np.arange(least, cases - least + 1, dtype=np.int64)


def require_permutations(count: int, kind: Kind, *, cases: int, horizon: int) -> None:
    """Raise `ProfileError` if there are fewer different rotations than `count`."""
    there = len(offsets(cases, horizon))
    if kind == "cyclic" and count > there:
        raise ProfileError(
            "there are not so many different rotations of the target",
            code="lfs_too_many_permutations",
            expected=f"permutations <= {there} ({cases} cases, horizon {horizon})",
            found=count,
        )


def p_values(counts: Ints, null: Ints) -> tuple[Floats, Floats] | None:
    """`(p_solo, p_unbiased)` of `counts` (V,) against `null` (m, V), the counts under m permutations; None without any [PS].

    p_solo = (1 + permutations in which this feature was chosen at least as often) / (m + 1); p_unbiased compares with the feature
    chosen most often in each permutation, so p_unbiased >= p_solo >= 1 / (m + 1).
    """
    if len(null) == 0:
        return None
    return p_of(counts, null), p_of(counts, null.max(axis=1)[:, np.newaxis])


def p_of(counts: Ints, null: Ints) -> Floats:
    """`(1 + #{null >= count}) / (m + 1)` by column [PS]."""
    return np.asarray((1 + (null >= counts).sum(axis=0)) / (len(null) + 1), dtype=np.float64)


def mark_of(p_unbiased: float | None) -> Mark | None:
    """strong (<= 0.01), good (<= 0.05), weak (<= 0.20), else noise; None without permutations."""
    if p_unbiased is None:
        return None
    return next((mark for most, mark in MARKS if p_unbiased <= most), "noise")


def needs_caution(pct: float, p_solo: float | None) -> bool:
    """Whether a feature is chosen often (above 20 % of the cases) and yet about as often under a target that knows nothing."""
    return p_solo is not None and pct > CAUTION_PCT and p_solo > CAUTION_P


def lag_one_autocorrelation(classes: Ints) -> float:
    """Autocorrelation of the class numbers at lag 1; 0 if they do not vary."""
    centred = classes - classes.mean()
    total = float((centred * centred).sum())
    return float((centred[1:] * centred[:-1]).sum()) / total if total > 0 else 0.0
