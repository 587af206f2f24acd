"""Long series in few points: no extreme is lost, whatever is missing, and buckets stay where they are."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.views.decimation import Rule, decimate, min_max_last
from chronos_assets.views.folds import histogram, roc
from chronos_assets.views.frame_cache import FrameCache

VALUES = st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(-1e9, 1e9)), max_size=300)


@settings(deadline=None)
@given(VALUES, st.integers(1, 40), st.integers(0, 50))
def test_no_extreme_is_lost(values: list[float | None], points: int, offset: int) -> None:
    """Smallest, largest, first and last value of the buckets are those of the series; counts of rows and of non-zero values add up."""
    frame = pl.DataFrame({"t": np.arange(len(values)) * 60, "x": pl.Series(values, dtype=pl.Float64)})
    rules: dict[str, tuple[str, Rule]] = min_max_last(["x"]) | {"x_first": ("x", "first"), "n": ("x", "count")}
    small = decimate(frame, points, rules, offset=offset)
    known = [v for v in values if v is not None and not math.isnan(v)]
    assert small.height <= points + 1
    assert small["bars"].sum() == len(values)
    assert small["n"].sum() == sum(v != 0 for v in known)
    if known:
        assert (small["x_min"].min(), small["x_max"].max()) == (min(known), max(known))
        assert small["x_last"].drop_nulls()[-1] == known[-1]
        assert small["x_first"].drop_nulls()[0] == known[0]
    assert not small.select(pl.col("x_min", "x_max", "x_last").is_nan().any()).row(0).count(True)


def test_buckets_stay_where_they_are() -> None:
    """A part that begins elsewhere has its inner edges at the same rows of the whole series, so that a moved chart does not flicker."""
    frame = pl.DataFrame({"t": np.arange(1000), "x": np.sin(np.arange(1000.0))})
    edges = [set(decimate(frame.slice(start, 400), 100, min_max_last(["x"]), offset=start)["t"].to_list()[1:]) for start in (0, 3, 7)]
    assert all(edge % 4 == 0 for found in edges for edge in found)


def test_a_frame_is_read_once_for_many_and_the_oldest_goes_first() -> None:
    """Readers that want the same wait for one of them; what no longer fits is read again; a failed reader leaves nothing behind."""
    cache, reads = FrameCache(most_bytes=2 * 8_000), []
    frame = pl.DataFrame({"x": np.zeros(1_000)})

    def read() -> pl.DataFrame:
        reads.append(1)
        time.sleep(0.05)
        return frame

    threads = [threading.Thread(target=cache.get, args=("a", read)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    for key in ("b", "a", "c", "a", "b"):
        cache.get(key, read)
    assert len(reads) == 4  # b, c, and b again, which was the oldest when c came
    with pytest.raises(ZeroDivisionError):
        cache.get("d", lambda: pl.DataFrame({"x": [1 // 0]}))
    assert cache.get("d", lambda: frame) is frame


def test_roc_counts_pairs_and_thresholds() -> None:
    """With ties: the area is the share of pairs in the right order (Mann-Whitney), a point the shares at or above each value predicted."""
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(5)
    predictions, targets = np.round(rng.normal(size=400), 1), rng.normal(size=400)
    points, area = roc(predictions, targets)
    up, down = predictions[targets > 0], predictions[targets <= 0]
    assert area == pytest.approx(mannwhitneyu(up, down).statistic / (len(up) * len(down)), abs=1e-12)
    levels = [np.inf, *sorted(set(predictions.tolist()), reverse=True)]
    assert [p.false_positive_rate for p in points] == pytest.approx([float(np.mean(down >= level)) for level in levels])
    assert [p.true_positive_rate for p in points] == pytest.approx([float(np.mean(up >= level)) for level in levels])
    assert roc(predictions, np.abs(targets)) == ([], None)
    found = histogram(np.r_[predictions, np.nan])
    assert found is not None
    assert sum(found.counts) == 400
    assert histogram(np.array([np.nan])) is None
