"""One pass of Local Feature Selection over a range of cases, compiled by numba (cached on disk, without the interpreter's lock).

Each case is computed by itself from the sets of the pass before, so neither the order of cases nor the number of threads changes a bit.
All sums run in the order of the loops: no fastmath, no BLAS, no fused multiply-add. A tie in the data therefore stays a tie.

Everything that the functions read comes in as an argument or is a plain number or tuple: numba cannot cache a function that refers to an
array or a function pointer of the module ("dynamic globals").

Arrays: `zt` (V, N) and `zr` (N, V) hold the same standardized features by feature and by case; `classes` (N,) int64; a set of features is a
row of `members` (K,) int64 in ascending order with its size beside it.
"""

# ruff: noqa: PLR0917, PLR0912 - compiled functions take their arrays and numbers by position, and loops are written out

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]

# Two values closer than this, relative to the larger one, are equal: ranks share an average and the first candidate wins.
TIE = 1e-12

# exp(x) for x <= 0: x = n ln 2 + r with |r| <= ln(2)/2, the Taylor polynomial of degree 11 in r (its remainder is below 1e-14 of the
# result), times 2^n by moving n into the exponent. Adding MAGIC rounds to an integer and leaves it in the low bits of the double.
LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693145751953125
LN2_LOW = 1.42860682030941723212e-6
MAGIC = 6755399441055744.0
LEAST_EXPONENT = -700.0
C2, C3, C4, C5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120
C6, C7, C8, C9, C10, C11 = 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800
TILE = 256
LANES = 64

# Radix sort of distances: the upper 33 bits of a double (exponent and 22 bits below it), 11 at a time; insertion sorts the rest.
RADIX_BITS, RADIX, KEY_SHIFT, DIGITS = 11, 2048, 30, 3

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def compiled(function: Compiled) -> Compiled:
    """Compile `function`, keep the result on disk, and let other threads run meanwhile."""
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


@compiled
def squared_distances(zt: Floats, i: int, members: Ints, size: int, out: Floats) -> None:
    """`out[j]` = squared distance of cases i and j over the features of a set, summed in ascending order of features."""
    n = zt.shape[1]
    if size >= 3:  # three at a time: each sweep over `out` costs as much as the arithmetic
        first, second, third = zt[members[0]], zt[members[1]], zt[members[2]]
        x, y, z = first[i], second[i], third[i]
        for j in range(n):
            dx, dy, dz = x - first[j], y - second[j], z - third[j]
            out[j] = (dx * dx + dy * dy) + dz * dz
    elif size == 2:
        first, second = zt[members[0]], zt[members[1]]
        x, y = first[i], second[i]
        for j in range(n):
            dx, dy = x - first[j], y - second[j]
            out[j] = dx * dx + dy * dy
    else:
        first = zt[members[0]]
        x = first[i]
        for j in range(n):
            dx = x - first[j]
            out[j] = dx * dx
    for m in range(3, size):
        row = zt[members[m]]
        x = row[i]
        for j in range(n):
            dx = x - row[j]
            out[j] += dx * dx


@compiled
def nearest_of_both(values: Floats, penalties: Floats, lanes: Floats) -> tuple[float, float]:
    """The least `values + penalties[0]` and the least `values + penalties[1]`. In lanes, so that it vectorizes: a minimum has no order."""
    n = len(values)
    whole = n - n % LANES
    lanes[:] = np.inf
    same, other, least_same, least_other = penalties[0], penalties[1], lanes[0], lanes[1]
    for j in range(0, whole, LANES):
        for lane in range(LANES):
            x, y = values[j + lane] + same[j + lane], values[j + lane] + other[j + lane]
            least_same[lane] = x if x < least_same[lane] else least_same[lane]
            least_other[lane] = y if y < least_other[lane] else least_other[lane]
    for j in range(whole, n):
        x, y = values[j] + same[j], values[j] + other[j]
        least_same[0] = x if x < least_same[0] else least_same[0]
        least_other[0] = y if y < least_other[0] else least_other[0]
    for lane in range(1, LANES):
        least_same[0] = least_same[lane] if least_same[lane] < least_same[0] else least_same[0]
        least_other[0] = least_other[lane] if least_other[lane] < least_other[0] else least_other[0]
    return least_same[0], least_other[0]


@compiled
def add_weights(
    squares: Floats,
    same: npt.NDArray[np.bool_],
    nearest_same: float,
    nearest_other: float,
    times: float,
    weights: Floats,
    shifted: Floats,
    fraction: Floats,
    power: Ints,
) -> None:
    """`weights[j] += times * exp(nearest - sqrt(squares[j]))`, the nearest of j's side. The last three arrays are scratch of TILE values.

    Short loops over slices, each of which vectorizes; the library's exp does not.
    """
    shifted_bits, scale = shifted.view(np.int64), power.view(np.float64)
    for start in range(0, len(squares), TILE):
        length = min(TILE, len(squares) - start)
        tile, side, target = squares[start : start + length], same[start : start + length], weights[start : start + length]
        for t in range(length):
            x = (nearest_same if side[t] else nearest_other) - math.sqrt(tile[t])
            fraction[t] = x if x > LEAST_EXPONENT else LEAST_EXPONENT
        for t in range(length):
            x = fraction[t]
            whole = x * LOG2_E + MAGIC
            shifted[t] = whole
            whole -= MAGIC
            r = (x - whole * LN2_HIGH) - whole * LN2_LOW
            p = C11 * r + C10
            p = p * r + C9
            p = p * r + C8
            p = p * r + C7
            p = p * r + C6
            p = p * r + C5
            p = p * r + C4
            p = p * r + C3
            p = p * r + C2
            p = p * r + 1.0
            fraction[t] = p * r + 1.0
        for t in range(length):
            power[t] = (shifted_bits[t] + 1023) << 52
        for t in range(length):
            target[t] += times * (fraction[t] * scale[t])


@compiled
def case_weights(
    zt: Floats,
    i: int,
    same: npt.NDArray[np.bool_],
    sets: Ints,
    sizes: Ints,
    times: Floats,
    squares: Floats,
    penalties: Floats,
    weights: Floats,
    stop: Flags,
) -> None:
    """Weights of all cases as seen from case i: the mean over the sets of the pass before, distinct sets with their multiplicity.

    They are worthless if `stop` was set meanwhile.
    """
    n = zt.shape[1]
    lanes = np.empty((2, LANES))
    shifted, fraction, power = np.empty(TILE), np.empty(TILE), np.empty(TILE, np.int64)
    for j in range(n):
        penalties[0, j] = 0.0 if same[j] else np.inf
        penalties[1, j] = np.inf if same[j] else 0.0
        weights[j] = 0.0
    penalties[0, i] = np.inf
    for s in range(len(sizes)):
        if stop[0]:
            return
        squared_distances(zt, i, sets[s], sizes[s], squares)
        near_same, near_other = nearest_of_both(squares, penalties, lanes)
        add_weights(squares, same, math.sqrt(near_same), math.sqrt(near_other), times[s], weights, shifted, fraction, power)
    for j in range(n):
        weights[j] /= n
    weights[i] = 0.0


@compiled
def sums_within_and_between(zr: Floats, i: int, same: npt.NDArray[np.bool_], weights: Floats, within: Floats, between: Floats) -> None:
    """Per feature, the weighted squared distances of case i to its own class and to the others, summed in the order of cases."""
    n, v_count = zr.shape
    within[:] = 0.0
    between[:] = 0.0
    for j in range(n):
        total = within if same[j] else between
        weight = weights[j]
        for v in range(v_count):
            step = zr[i, v] - zr[j, v]
            total[v] += weight * (step * step)


@compiled
def first_feature(a: Floats, b: Floats) -> int:
    """The feature of least `a`; of equal ones that of larger `b`, then the lower index."""
    best = 0
    for v in range(1, len(a)):
        if a[v] < a[best] or (a[v] == a[best] and b[v] > b[best]):
            best = v
    return best


@compiled
def walk(a: Floats, b: Floats, k: int, inside: npt.NDArray[np.bool_], events: Ints, reached: Floats) -> int:
    """Walk the integral vertices of min (a - lambda b).f, 0 <= f <= 1, 1 <= sum f <= k, as lambda grows; returns how many there are.

    `events[p]` = (feature that leaves or -1, feature that enters) and `reached[p]` = b of the set after event p. `inside` is scratch.
    """
    v_count = len(a)
    inside[:] = False
    start = first_feature(a, b)
    inside[start] = True
    size = 1
    events[0, 0], events[0, 1] = -1, start
    reached[0] = b[start]
    count = 1
    while count < len(reached):
        lead, gain, leaves, enters = np.inf, 0.0, -1, -1
        for v in range(v_count):
            if inside[v]:
                continue
            if size in (1, k):
                for u in range(v_count):
                    if not inside[u] or b[v] <= b[u]:
                        continue
                    at = (a[v] - a[u]) / (b[v] - b[u])
                    if size < k and b[u] > 0.0 and at > a[u] / b[u]:
                        continue
                    # A swap comes before an addition at the same lambda.
                    more = b[v] - b[u]
                    if at < lead or (at == lead and (leaves < 0 or more > gain)):
                        lead, gain, leaves, enters = at, more, u, v
            if size < k and b[v] > 0.0:
                at = a[v] / b[v]
                if at < lead or (at == lead and leaves < 0 and b[v] > gain):
                    lead, gain, leaves, enters = at, b[v], -1, v
        if enters < 0:
            break
        if leaves >= 0:
            inside[leaves] = False
        else:
            size += 1
        inside[enters] = True
        events[count, 0], events[count, 1] = leaves, enters
        total = 0.0
        for v in range(v_count):
            if inside[v]:
                total += b[v]
        reached[count] = total
        count += 1
    return count


@compiled
def ranking(squares: Floats, order: Ints, spare: Ints, keys: Ints, counts: Ints) -> None:
    """`order` = cases by ascending `squares`, equal ones by index: a radix sort of the upper bits, then insertion for what they share."""
    n = len(squares)
    bits = squares.view(np.int64)
    counts[:] = 0
    for j in range(n):
        key = bits[j] >> KEY_SHIFT
        keys[j] = key
        for digit in range(DIGITS):
            counts[digit, (key >> (digit * RADIX_BITS)) & (RADIX - 1)] += 1
        order[j] = j
    source, target = order, spare
    for digit in range(DIGITS):
        place = 0
        for value in range(RADIX):
            here = counts[digit, value]
            counts[digit, value] = place
            place += here
        for t in range(n):
            j = source[t]
            value = (keys[j] >> (digit * RADIX_BITS)) & (RADIX - 1)
            target[counts[digit, value]] = j
            counts[digit, value] += 1
        source, target = target, source
    # Three digits: the result is in `spare`.
    for t in range(n):
        j = source[t]
        value = squares[j]
        p = t
        while p > 0 and squares[order[p - 1]] > value:
            order[p] = order[p - 1]
            p -= 1
        order[p] = j


@compiled
def quality(squares: Floats, i: int, same: npt.NDArray[np.bool_], weights: Floats, order: Ints) -> float:
    """Weighted ranks of the other classes less those of the own class; ties share their average rank. `order` as `ranking` leaves it."""
    n = len(squares) - 1  # the case itself comes last, infinitely far
    outside, within = 0.0, 0.0
    t = 0
    while t < n:
        bound = squares[order[t]] * (1.0 + TIE)
        end = t + 1
        while end < n and squares[order[end]] <= bound:
            end += 1
        rank = (t + 1 + end) / 2
        for p in range(t, end):
            j = order[p]
            if same[j]:
                within += weights[j] * rank
            else:
                outside += weights[j] * rank
        t = end
    return outside - within


@compiled
def run_cases(
    zt: Floats,
    zr: Floats,
    classes: Ints,
    sets: Ints,
    sizes: Ints,
    times: Floats,
    k: int,
    beta_trials: int,
    start: int,
    end: int,
    chosen: Ints,
    chosen_sizes: Ints,
    stop: Flags,
) -> int:
    """Choose the sets of cases [start, end) into `chosen` (N, k) and `chosen_sizes` (N,); no sets: the first pass, all weights 1.

    Returns the number of quality evaluations. Soon after another thread has set `stop[0]` it returns with the cases unfinished.
    """
    v_count, n = zt.shape
    same, inside = np.empty(n, np.bool_), np.empty(v_count, np.bool_)
    squares, weights, penalties = np.empty(n), np.empty(n), np.empty((2, n))
    within, between = np.empty(v_count), np.empty(v_count)
    longest = v_count * v_count + v_count + 1
    events, reached = np.empty((longest, 2), np.int64), np.empty(longest)
    order, spare, keys = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    counts = np.empty((DIGITS, RADIX), np.int64)
    members, best = np.empty(k, np.int64), np.empty(k, np.int64)
    evaluations = 0
    for i in range(start, end):
        for j in range(n):
            same[j] = classes[j] == classes[i]
        if len(sizes) == 0:
            weights[:] = 1.0
            weights[i] = 0.0
        else:
            case_weights(zt, i, same, sets, sizes, times, squares, penalties, weights, stop)
        if stop[0]:
            return evaluations
        sums_within_and_between(zr, i, same, weights, within, between)
        count = walk(within, between, k, inside, events, reached)
        most = reached[count - 1]
        inside[:] = False
        at, last, best_size, best_quality = -1, -1, 0, -np.inf
        for q in range(1, beta_trials + 1):
            needed = q / (beta_trials + 1) * most * (1.0 - TIE)
            while at < 0 or (at < count - 1 and reached[at] < needed):
                at += 1
                if events[at, 0] >= 0:
                    inside[events[at, 0]] = False
                inside[events[at, 1]] = True
            if at == last:
                continue
            last = at
            size = 0
            for v in range(v_count):
                if inside[v]:
                    members[size] = v
                    size += 1
            squared_distances(zt, i, members, size, squares)
            squares[i] = np.inf
            ranking(squares, order, spare, keys, counts)
            found = quality(squares, i, same, weights, order)
            evaluations += 1
            if best_size == 0 or found - best_quality > TIE * max(abs(found), abs(best_quality)):
                best_quality, best_size = found, size
                best[:size] = members[:size]
        chosen_sizes[i] = best_size
        chosen[i, :] = -1
        chosen[i, :best_size] = best[:best_size]
    return evaluations
