"""Long series in few points: equal buckets of rows, of which the extremes, the first and the last value are kept.

The edges of buckets are multiples of their size in rows of the whole series, so that a chart does not flicker when it is moved. NaN and
null hide nothing: they are left out of a bucket's extremes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Rule = Literal["first", "last", "min", "max", "count"]


def decimate(frame: pl.DataFrame, points: int, rules: Mapping[str, tuple[str, Rule]], *, offset: int = 0) -> pl.DataFrame:
    """At most `points` (or one more, if the first bucket is cut) buckets of `frame`.

    `rules`: output column -> (column of `frame`, what of its bucket); `count` counts true or non-zero values. The first column of
    `frame`, its int64 times, is kept as the time of each bucket's first row; `bars` is the number of its rows. `offset`: row of the
    whole series at which `frame` begins.
    """
    rows = frame.height
    size = max(1, -(-rows // points))
    first = -(-offset // size) * size - offset
    starts = np.unique(np.r_[0, np.arange(first, rows, size)])[: rows or 0].astype(np.int64)
    starts = starts[starts < rows]
    times = frame.columns[0]
    columns: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]] = {times: frame[times].to_numpy()[starts]}
    known: dict[str, Floats] = {}
    for name, (source, rule) in rules.items():
        if source not in known:
            known[source] = frame[source].cast(pl.Float64).fill_null(np.nan).to_numpy()
        columns[name] = _bucketed(known[source], starts, rule)
    columns["bars"] = np.diff(np.r_[starts, rows])
    return pl.DataFrame(columns).with_columns(pl.col(name).fill_nan(None) for name, (_, rule) in rules.items() if rule != "count")


def min_max_last(columns: Sequence[str]) -> dict[str, tuple[str, Rule]]:
    """Smallest, largest and last value of each column, as `NAME_min`, `NAME_max`, `NAME_last`."""
    kept: tuple[Rule, ...] = ("min", "max", "last")
    return {f"{name}_{rule}": (name, rule) for name in columns for rule in kept}


def _bucketed(values: Floats, starts: npt.NDArray[np.int64], rule: Rule) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    if not len(starts):
        return np.zeros(0)
    if rule in {"min", "max"}:
        return (np.fmin if rule == "min" else np.fmax).reduceat(values, starts)
    if rule == "count":
        return np.add.reduceat((np.nan_to_num(values) != 0).astype(np.int64), starts)
    ends = np.r_[starts[1:], len(values)]
    edges = values[ends - 1] if rule == "last" else values[starts]
    if not np.isnan(edges).any():
        return edges
    # The first or last row of the bucket that has a value: rows without one point at the nearest row that has one.
    rows = np.arange(len(values))
    if rule == "last":
        filled = np.maximum.accumulate(np.where(np.isnan(values), -1, rows))[ends - 1]
        return np.where(filled >= starts, values[np.maximum(filled, 0)], np.nan)
    following = np.minimum.accumulate(np.where(np.isnan(values), len(values), rows)[::-1])[::-1][starts]
    return np.where(following < ends, values[np.minimum(following, len(values) - 1)], np.nan)
