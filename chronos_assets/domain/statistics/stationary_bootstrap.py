"""The stationary bootstrap (Politis & Romano 1994), and the length of its mean block (Politis & White 2004, corrected 2009).

Draw for draw and bit for bit what `arch.bootstrap` makes, which the tests compare it with. Importing that loads statsmodels and
pandas, a second and a half of CPU in every process that simulates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.compiled import bare

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def resamples(values: Floats, mean_block: float, count: int, *, seed: int) -> Iterator[Floats]:
    """`count` resamples of `values` (float64 [n]): blocks of a geometric length with that mean, from anywhere, around the end."""
    rng, n = np.random.default_rng(seed), len(values)
    for _ in range(count):
        rows = rng.integers(n, size=n, dtype=np.int64)
        continue_blocks(rows, rng.random(n), 1.0 / mean_block)
        yield values[rows]


@bare
def continue_blocks(rows: Integers, uniform: Floats, new_block: float) -> None:  # pragma: no cover - compiled
    """Turn independent draws of `rows` (int64 [n], changed in place) into blocks, each of which ends with probability `new_block`."""
    n = rows.shape[0]
    for k in range(1, n):
        if uniform[k] > new_block:
            following = rows[k - 1] + 1
            rows[k] = following if following < n else 0


def optimal_block(values: Floats) -> float:
    """Mean block length from the autocorrelation, at most `ceil(min(3 sqrt(n), n / 3))`; NaN if `values` do not vary.

    With `m` twice the lag behind which 5 (or log10 n) autocorrelations in a row lie within 2 sqrt(log10(n) / n), and the flat-top
    weights h(k / m) = min(1, 2 - 2 |k| / m): (2 G^2 / D)^(1/3) n^(1/3), in which G = sum h |k| acv(k) and D = 2 (sum h acv(k))^2 over
    lags -m to m.
    """
    n = len(values)
    covariances, m = _autocovariances(values - values.mean(0))
    weighted, variance = 0.0, covariances[0]
    for k in range(1, m + 1):
        weight = 1 if k / m <= 1 / 2 else 2 * (1 - k / m)
        weighted += 2 * weight * k * covariances[k]
        variance += 2 * weight * covariances[k]
    length = ((2 * weighted**2) / (2 * variance**2)) ** (1 / 3) * n ** (1 / 3)
    return float(min(length, np.ceil(min(3 * np.sqrt(n), n / 3))))


def _autocovariances(deviations: Floats) -> tuple[Floats, int]:
    """Autocovariances by lag, and the last lag that counts."""
    n = len(deviations)
    run = max(5, int(np.log10(n)))
    most = min(math.ceil(np.sqrt(n)) + run, n)  # a handful of values has no more lags; arch fails on fewer than 8
    within = 2 * np.sqrt(np.log10(n) / n)
    covariances, correlations = np.zeros(most + 1), np.zeros(most + 1)
    last: int | None = None
    for lag in range(most + 1):
        later, earlier = deviations[lag + 1 :], deviations[: -(lag + 1)]
        product = deviations[lag:] @ deviations[: n - lag]
        covariances[lag] = product / n
        correlations[lag] = np.abs(product) / np.sqrt((later @ later) * (earlier @ earlier))
        if last is None and lag >= run and np.all(correlations[lag - run : lag] < within):
            last = lag - run
    return covariances, most if last is None else min(2 * max(last, 1), most)
