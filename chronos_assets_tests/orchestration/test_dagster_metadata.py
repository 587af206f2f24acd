"""What pages of Dagster show: small enough to be shown, and true."""

from __future__ import annotations

import base64
import re

import pytest
from dagster import AssetCheckSeverity, Failure
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.orchestration.metadata import console_link, fold_strip, markdown_table, numbers, sparkline, table
from chronos_assets.orchestration.verdicts import Verdict
from chronos_assets.storage.questdb_tables import TRADING_SIM_TRACES, WALKFORWARD_PREDICTIONS

CAPTION = "default_long: +1,234.5 %; grey: buy and hold, -1,234.5 %"
DATES = ("1999-12-31T00:00:00+00:00", "2018-12-31T00:00:00+00:00")
VALUES = st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=400)


@given(VALUES, VALUES)
def test_a_sparkline_is_always_small_enough_to_be_shown_inline(values: list[float | None], beside: list[float | None]) -> None:
    """Whatever the values, alone or with a benchmark, the Markdown stays below 1,000 characters, above which Dagster shows a link."""
    assert len(sparkline(values, CAPTION, dates=DATES).value or "") < 1000
    assert len(sparkline(values, CAPTION, dates=DATES, beside=beside).value or "") < 1000


def lines_of(text: str) -> list[list[tuple[int, int]]]:
    """The points of every line of a sparkline."""
    svg = base64.b64decode(re.findall(r"base64,([^)]+)\)", text)[0]).decode()
    lines = []
    for path in re.findall(r" d='M([^']+)'", svg):
        numbers_ = list(map(int, re.findall(r"-?\d+", path)))
        points = [(numbers_[0], numbers_[1])]
        for x, y in zip(numbers_[2::2], numbers_[3::2], strict=True):
            points.append((points[-1][0] + x, points[-1][1] + y))
        lines.append(points)
    return lines


def test_a_sparkline_draws_its_values() -> None:
    """The line goes through first and last value, highest at the top, at most 60 points; the benchmark lies on the same scale."""
    text = sparkline([float(i) for i in range(500)], "rising", dates=DATES).value or ""
    [points] = lines_of(text)
    assert text.startswith("rising\n\n1999-12-31 to 2018-12-31\n\n")
    assert len(points) == 60
    assert (points[0], points[-1]) == ((0, 39), (236, 1))
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    benchmark, line = lines_of(sparkline([1.0, 2.0], "twice", beside=[1.0, 3.0]).value or "")
    assert (benchmark, line) == ([(0, 39), (236, 1)], [(0, 39), (236, 20)])


def test_tables_are_bounded_and_typed() -> None:
    """At most ten rows are kept, and a column of numbers is one."""
    value = table([{"fold": i, "share": i / 2, "word": "x"} for i in range(30)])
    assert len(value.records) == 10
    assert [(c.name, c.type) for c in value.schema.columns] == [("fold", "int"), ("share", "float"), ("word", "string")]


def test_numbers_leaves_out_what_cannot_be_plotted() -> None:
    """Only finite numbers become plots: no None, no NaN, no infinity, no booleans."""
    assert numbers({"a": 1, "b": float("inf"), "c": None, "d": True, "e": float("nan"), "f": 0.5}, "x_") == {"x_a": 1, "x_f": 0.5}


def test_a_console_link_is_short_and_holds_the_query() -> None:
    """The words are shown, the statement is in the address, and the reader learns that the console asks for a password."""
    text = console_link("http://127.0.0.1:9000", "SELECT * FROM t WHERE x = 'a'", "the rows").value or ""
    assert text.startswith("[the rows](http://127.0.0.1:9000/?query=SELECT%20%2A%20FROM%20t%20WHERE%20x%20%3D%20%27a%27&executeQuery=true)")
    assert "`chronos services status`" in text
    assert len(text) < 1000


def test_a_cell_cannot_break_a_markdown_table() -> None:
    """Pipes and line breaks in values stay inside their cell, and what looks like a tag is shown."""
    assert markdown_table([{"a": "x|y\nz"}]).splitlines()[-1] == "| x\\|y z |"
    assert markdown_table([{"a": "<stream end>"}]).splitlines()[-1] == "| &lt;stream end> |"
    assert "&lt;b>" in Verdict(passed=False, message="found '<b>'").markdown()


def test_a_failing_verdict_says_verdict_rows_meaning_and_command() -> None:
    """The description of a failed check has the four parts, and the step fails with the one line."""
    verdict = Verdict(
        passed=False, message="1 cell differs", rows=[{"bar": "b"}] * 30, meaning="Not published.", command="validate_dataset x"
    )
    result = verdict.result("indicator_bars", "post_export_diff")
    assert result.severity is AssetCheckSeverity.ERROR
    assert result.description is not None
    assert result.description.startswith("**1 cell differs**")
    assert result.description.count("| b |") == 10
    assert result.description.endswith("Not published.\n\nMore: `validate_dataset x`")
    with pytest.raises(Failure) as failed:
        verdict.stop()
    assert (failed.value.description, failed.value.allow_retries) == ("1 cell differs", False)


def test_a_warning_is_recorded_and_stops_nothing() -> None:
    """A verdict of severity WARN fails its check and lets the run go on."""
    verdict = Verdict(passed=False, message="few signals", warn_only=True)
    assert verdict.result("a", "b").severity is AssetCheckSeverity.WARN
    verdict.stop()


@pytest.mark.parametrize("folds", [1, 2, 60, 61, 500, 1200])
def test_a_fold_strip_marks_every_cell_and_fits_the_page(folds: int) -> None:
    """However many folds alternate, the strip stays below what the page draws inline; gains and losses stand in their own colour."""
    text = str(fold_strip([(-1.0) ** i * (1 + i) for i in range(folds)], "folds of a_profile_with_a_long_name").value)
    assert len(text) < 1000
    svg = base64.b64decode(text.partition("base64,")[2][:-1]).decode()
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    if folds == 2:
        assert "stroke='#2a7' stroke-width='2' d='M0 1h1'" in svg
        assert "stroke='#c43' stroke-width='2' d='M1 1h1'" in svg


def test_every_column_that_the_catalog_shows_has_words() -> None:
    """A new column of these tables says what it holds in the same file."""
    for spec in (WALKFORWARD_PREDICTIONS, TRADING_SIM_TRACES):
        assert set(spec.columns) == set(spec.types), spec.name
