"""Two views of the sets that cases chose: how often each feature was chosen over time, and which features go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SLICES = 60


@dataclass(frozen=True)
class Pair:
    """Two features (u < v): cases that chose both, and how often that is against independent choices (`lift`, 1 = as often)."""

    u: int
    v: int
    together: int
    lift: float


def membership(chosen: Ints, features: int) -> Flags:
    """`chosen` (N, K), feature numbers padded with -1, as flags (N, features)."""
    flags = np.zeros((len(chosen), features), dtype=np.bool_)
    rows, places = np.nonzero(chosen >= 0)
    flags[rows, chosen[rows, places]] = True
    return flags


def slice_edges(cases: int, slices: int = SLICES) -> Ints:
    """Edges of at most `slices` slices of about equal size: slice s holds the cases `[edges[s], edges[s + 1])`."""
    count = min(slices, cases)
    return np.arange(count + 1, dtype=np.int64) * cases // max(count, 1)


def share_over_time(flags: Flags, slices: int = SLICES) -> Floats:
    """Share (0..1) of the cases of each slice that chose each feature, shape (slices, V)."""
    edges = slice_edges(len(flags), slices)
    sums = np.add.reduceat(flags.astype(np.int64), edges[:-1], axis=0)
    return sums / np.diff(edges)[:, np.newaxis]


def pairs(flags: Flags) -> list[Pair]:
    """Pairs that at least one case chose, those chosen together most often first; of equal ones lower numbers first."""
    counts = flags.sum(axis=0)
    both = flags.T.astype(np.int64) @ flags.astype(np.int64)
    us, vs = np.nonzero(np.triu(both, k=1))
    n = len(flags)
    found = [
        Pair(int(u), int(v), int(both[u, v]), float(both[u, v]) * n / (float(counts[u]) * float(counts[v])))
        for u, v in zip(us, vs, strict=True)
    ]
    return sorted(found, key=lambda pair: (-pair.together, pair.u, pair.v))
