"""Charts of the tear sheet: what is drawn stays what was, however long the series."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.views.charts import PLOT, Line, bar_strip, decimate, line_chart


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30_000), st.integers(0, 2**32 - 1))
def test_decimation_keeps_every_extreme_of_every_pixel(n: int, seed: int) -> None:
    """At most two points per column and the ends; smallest and largest of each column survive, in order of time."""
    values, times = np.random.default_rng(seed).normal(size=n), np.arange(n, dtype=np.int64) * 60
    stamps, kept = decimate(times, values)
    assert len(kept) <= max(2 * PLOT + 2, n if n <= 2 * PLOT else 0)
    assert (np.diff(stamps) > 0).all()
    assert (kept.min(), kept.max(), kept[0], kept[-1]) == (values.min(), values.max(), values[0], values[-1])
    if n > 2 * PLOT:
        edges = np.linspace(0, n, PLOT + 1).astype(int)
        inside = (stamps // 60 >= edges[7]) & (stamps // 60 < edges[8])
        assert {values[edges[7] : edges[8]].min(), values[edges[7] : edges[8]].max()} <= set(kept[inside])


@pytest.mark.parametrize(
    "values",
    [np.full(5, 100_000.0), np.array([1.0, 10.0, 1e6]), np.array([100.0, -50.0, 20.0]), np.array([np.nan, 1.0, 2.0]), np.array([0.0, 0.0])],
    ids=["flat", "logarithmic", "below zero", "begins with a hole", "all zero"],
)
def test_any_curve_becomes_a_drawing(values: np.ndarray) -> None:
    """The SVG parses, and every coordinate in it is a finite number inside the frame."""
    times = 1_500_000_000 + np.arange(len(values), dtype=np.int64) * 86_400 * 200
    svg = line_chart(times, [Line(values, "strategy")], height=200, label="Equity <of> it")
    root = ET.fromstring(svg)
    assert root.get("aria-label") == "Equity <of> it"
    (line,) = [e for e in root.iter() if e.tag == "polyline"]
    points = [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
    assert len(points) == np.isfinite(values).sum()
    assert all(0 <= x <= 1120 and 0 <= y <= 200 for x, y in points)
    assert not re.search(r"nan|inf", svg)


def test_minutes_get_marks_too() -> None:
    """A curve of some hours has at least no broken axis."""
    times = 1_500_000_000 + np.arange(300, dtype=np.int64) * 60
    ET.fromstring(line_chart(times, [Line(np.linspace(1, 2, 300), "strategy")], height=200, label="x"))


def test_more_folds_than_pixels_are_summed_in_groups() -> None:
    """Five thousand folds fit, and no profit is lost."""
    svg = bar_strip([1.0] * 5000, [f"fold {k}" for k in range(5000)], height=140, label="folds")
    bars = [e for e in ET.fromstring(svg).iter() if e.tag == "rect"]
    assert len(bars) <= PLOT
    assert "fold 0 and 4 more" in svg


def test_no_fold_and_no_result_are_drawn() -> None:
    """Nothing traded is a flat strip, not an error."""
    ET.fromstring(bar_strip([0.0, 0.0], ["fold 0", "fold 1"], height=140, label="folds"))
