"""Local Feature Selection in plain NumPy and Python, one N x N matrix per set: what the compiled engine must agree with, case by case.

Written from docs/LFS.md alone. It shares no code with the engine, uses NumPy's exp, and sums in the order of cases.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

TIE = 1e-12


def path(a: list[Any], b: list[Any], k: int) -> list[frozenset[int]]:
    """Integral vertices of min (a - lambda b).f, 0 <= f <= 1, 1 <= sum f <= k, in the order in which a growing lambda meets them."""
    k, everything = min(k, len(a)), range(len(a))
    inside = frozenset([min(everything, key=lambda v: (a[v], -b[v], v))])
    found = [inside]
    while True:
        events = []
        for v in set(everything) - inside:
            if len(inside) < k and b[v] > 0:
                events.append((a[v] / b[v], 1, -b[v], v, -1))
            if len(inside) in {1, k}:
                for u in inside:
                    if b[v] > b[u]:
                        at = (a[v] - a[u]) / (b[v] - b[u])
                        if len(inside) == k or b[u] == 0 or at <= a[u] / b[u]:
                            events.append((at, 0, -(b[v] - b[u]), v, u))
        if not events:
            return found
        _, _, _, enters, leaves = min(events)
        inside = (inside - {leaves}) | {enters}
        found.append(inside)


def candidates(a: list[float], b: list[float], k: int, trials: int) -> list[frozenset[int]]:
    """The first vertex that meets each demand on b; repeats dropped."""
    walked = path(a, b, k)
    total = [sum(b[v] for v in sorted(s)) for s in walked]
    chosen = [
        next(s for s, t in zip(walked, total, strict=True) if t >= q / (trials + 1) * total[-1] * (1 - TIE)) for q in range(1, trials + 1)
    ]
    return list(dict.fromkeys(chosen))


def quality(squares: np.ndarray, i: int, same: np.ndarray, weights: np.ndarray) -> float:
    """Weighted average ranks of the other classes less those of case i's own."""
    others = np.delete(np.arange(len(squares)), i)
    order = others[np.argsort(squares[others], kind="stable")]
    ordered, ranks, t = squares[order], np.empty(len(order)), 0
    while t < len(order):
        end = int(np.searchsorted(ordered, ordered[t] * (1 + TIE), side="right"))
        ranks[t:end] = (t + 1 + end) / 2
        t = end
    shares = weights[order] * ranks
    mine = same[order]
    return float(np.cumsum(np.append(0.0, shares[~mine]))[-1] - np.cumsum(np.append(0.0, shares[mine]))[-1])


def squared(z: np.ndarray, s: frozenset[int]) -> np.ndarray:
    """Squared distances (N, N) over the features of `s`."""
    total = np.zeros((len(z), len(z)))
    for v in sorted(s):
        total += (z[:, v, np.newaxis] - z[np.newaxis, :, v]) ** 2
    return total


def weights_of(z: np.ndarray, same: np.ndarray, sets: list[frozenset[int]]) -> np.ndarray:
    """Weights (N, N) from the sets of the pass before, one term per case."""
    n = len(z)
    total = np.zeros((n, n))
    off = ~np.eye(n, dtype=bool)
    for s in sorted(set(sets), key=sorted):
        d = np.sqrt(squared(z, s))
        near_same = np.where(same & off, d, np.inf).min(axis=1, keepdims=True)
        near_other = np.where(~same, d, np.inf).min(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", over="ignore"):
            total += sets.count(s) * np.exp(np.maximum(np.where(same, near_same, near_other) - d, -700))
    return np.where(off, total / n, 0.0)


def select(z: np.ndarray, classes: np.ndarray, *, max_kept: int, iterations: int, beta_trials: int) -> list[frozenset[int]]:
    """The final set of every case."""
    n, v_count = z.shape
    same = classes[:, np.newaxis] == classes[np.newaxis, :]
    weights = np.where(np.eye(n, dtype=bool), 0.0, 1.0)
    sets: list[frozenset[int]] = []
    for _ in range(iterations):
        if sets:
            weights = weights_of(z, same, sets)
        chosen = []
        for i in range(n):
            steps = weights[i][:, np.newaxis] * (z[i] - z) ** 2
            a, b = (np.cumsum(np.vstack([np.zeros(v_count), steps[side]]), axis=0)[-1].tolist() for side in (same[i], ~same[i]))
            best, best_quality = None, 0.0
            for s in candidates(a, b, max_kept, beta_trials):
                q = quality(squared(z[[i, *range(n)]], s)[0, 1:], i, same[i], weights[i])
                if best is None or q - best_quality > TIE * max(abs(q), abs(best_quality)):
                    best, best_quality = s, q
            assert best is not None
            chosen.append(best)
        sets = chosen
    return sets


def exact(values: list[float]) -> list[Fraction]:
    """`values` as fractions, for a path without rounding."""
    return [Fraction(value) for value in values]
