"""What the audit counts as a difference, and what its verdict says."""

from __future__ import annotations

import math
import struct

import numpy as np
import polars as pl
import pytest

from chronos_assets.domain.audit import KEPT_CELLS, STAMP, Audit, Tolerance, fixed, parse_tolerance
from chronos_assets.domain.audit_report import judge
from chronos_assets.errors import UsageError

TAGS = {"source": "chronosflow", "granularity": "1d"}


def bars(values: list[float | None], start: int = 0) -> pl.DataFrame:
    stamps = [86_400 * (start + n) for n in range(len(values))]
    return pl.DataFrame({"timestamp_unix": stamps, "x": pl.Series(values, dtype=pl.Float64)})


def read_back(frame: pl.DataFrame, **tags: str) -> pl.DataFrame:
    stamp = (pl.col("timestamp_unix") * 1_000_000_000).cast(pl.Datetime("ns", "UTC")).alias(STAMP)
    words = [pl.lit(value).alias(fixed(name)) for name, value in {**TAGS, **tags}.items()]
    return frame.with_columns(stamp, *words)


def audit(expected: pl.DataFrame, found: pl.DataFrame, tolerance: Tolerance | None = None) -> Audit:
    compared = Audit(["timestamp_unix", "x"], TAGS, tolerance)
    compared.add(expected, found)
    return compared


@pytest.mark.parametrize("value", [1.0, -0.0, 5e-324, 1.7976931348623157e308, None])
def test_equal_bits_agree(value: float | None) -> None:
    """The same double, or null on both sides, passes."""
    assert judge(audit(bars([value, 2.0]), read_back(bars([value, 2.0])))).passed


@pytest.mark.parametrize(("left", "right"), [(0.0, -0.0), (1.0, math.nextafter(1.0, 2)), (1.0, None), (None, 1.0), (1.0, 2.0)])
def test_other_bits_differ(left: float | None, right: float | None) -> None:
    """One bit is a difference by default, and so is null against a number; zero has a sign."""
    report = judge(audit(bars([left, 3.0]), read_back(bars([right, 3.0]))))
    assert (report.passed, report.cells_differing) == (False, 1)
    assert report.columns[0].column == "x"


def test_every_nan_is_a_null() -> None:
    """QuestDB stores NaN as NULL, so neither its payload nor the difference from null counts."""
    odd = struct.unpack("<d", struct.pack("<q", 0x7FF8000000000123))[0]
    assert judge(audit(bars([float("nan"), None, odd]), read_back(bars([None, odd, float("nan")])))).passed


def test_missing_stale_and_duplicate_rows_are_counted_apart() -> None:
    """Bars on one side only, wherever they lie, and a bar that is there twice."""
    found = pl.concat([read_back(bars([9.0], start=-5)), read_back(bars([1.0, 1.0])), read_back(bars([3.0, 9.0], start=2))])
    found = pl.concat([found[:2], found[1:2], found[3:]])
    result = audit(bars([1.0, 2.0, 3.0]), found)
    report = judge(result)
    assert (report.rows_missing, report.rows_stale, report.rows_duplicate, report.cells_differing) == (1, 2, 1, 0)
    assert sorted(result.cells()["kind"].to_list()) == ["duplicate row", "missing row", "stale row", "stale row"]


def test_an_empty_answer_is_all_missing() -> None:
    """Nothing came back: every row is missing, nothing was compared."""
    report = judge(audit(bars([1.0, 2.0]), read_back(bars([1.0]))[:0]))
    assert (report.rows_missing, report.rows_compared, report.passed) == (2, 0, False)


@pytest.mark.parametrize("tag", ["source", "granularity"])
def test_a_wrong_tag_is_a_failing_row(tag: str) -> None:
    """Each tag is compared on each row; null is wrong too."""
    assert judge(audit(bars([1.0]), read_back(bars([1.0]), **{tag: "other"}))).rows_wrong_tags == 1
    nothing = read_back(bars([1.0])).with_columns(pl.lit(None, dtype=pl.String).alias(fixed(tag)))
    assert judge(audit(bars([1.0]), nothing)).rows_wrong_tags == 1


def test_tolerances_are_absolute_plus_relative_and_per_column() -> None:
    """|difference| <= absolute + relative * |expected|; another column stays exact; null never passes."""
    expected, found = bars([100.0, 100.0, None]), read_back(bars([100.5, 101.5, 1.0]))
    assert judge(audit(expected, found, Tolerance(0.5, 0.01))).cells_differing == 1
    assert judge(audit(expected, found, Tolerance(columns={"x": (0.4, 0.0)}))).cells_differing == 3
    assert judge(audit(expected, found, Tolerance(columns={"y": (9.0, 0.0)}))).cells_differing == 3


INFINITE, TINY, HUGE = math.inf, 5e-324, 1.7976931348623157e308


@pytest.mark.parametrize(
    ("expected", "found", "absolute", "relative", "agrees"),
    [
        # Exactly at the limit passes, the next double does not, on either side of the expected value.
        (100.0, 100.5, 0.5, 0.0, True),
        (100.0, math.nextafter(100.5, 200), 0.5, 0.0, False),
        (100.0, 99.5, 0.5, 0.0, True),
        (100.0, math.nextafter(99.5, 0), 0.5, 0.0, False),
        (4.0, 5.0, 0.0, 0.25, True),
        (4.0, math.nextafter(5.0, 6), 0.0, 0.25, False),
        (-4.0, -5.0, 0.0, 0.25, True),
        (-4.0, -3.0, 0.0, 0.25, True),
        (-4.0, math.nextafter(-3.0, 0), 0.0, 0.25, False),
        # Both limits add up, and the relative one is of the expected value, not of the found one.
        (4.0, 5.5, 0.5, 0.25, True),
        (5.0, 4.0, 0.0, 0.2, True),
        (4.0, 5.0, 0.0, 0.2, False),
        # Zeros of either sign are one number once something is allowed; of zero a relative limit allows nothing else.
        (0.0, -0.0, 0.0, 0.0, False),
        (0.0, -0.0, TINY, 0.0, True),
        (-0.0, 0.0, 0.0, 1e-9, True),
        (0.0, TINY, 0.0, 0.5, False),
        (0.0, TINY, TINY, 0.0, True),
        (TINY, 0.0, 0.0, 0.25, False),
        (TINY, 2 * TINY, 0.0, 1.0, True),
        # Nothing is near null or an infinity, whatever the limit; the largest doubles do not overflow into agreement.
        (None, 0.0, HUGE, 1.0, False),
        (0.0, None, HUGE, 1.0, False),
        (1.0, math.nan, HUGE, 1.0, False),
        (INFINITE, 1.0, HUGE, 1.0, False),
        (1.0, INFINITE, HUGE, 1.0, False),
        (INFINITE, -INFINITE, HUGE, 1.0, False),
        (INFINITE, None, HUGE, 1.0, False),
        (INFINITE, INFINITE, 0.0, 0.0, True),
        (HUGE, -HUGE, HUGE, 0.0, False),
        (HUGE, math.nextafter(HUGE, 0), 0.0, 1e-15, True),
    ],
)
def test_the_edges_of_a_tolerance(expected: float | None, found: float | None, absolute: float, relative: float, agrees: bool) -> None:
    """At the limit passes, the next double fails; null and infinities agree with themselves only."""
    report = judge(audit(bars([expected, 3.0]), read_back(bars([found, 3.0])), Tolerance(absolute, relative)))
    assert (report.passed, report.cells_differing) == (agrees, 0 if agrees else 1)


def test_keys_are_exact_whatever_the_tolerance() -> None:
    """A bar that stands a second beside its time is another bar, however small that is relative to the time."""
    expected = bars([1.0, 2.0])
    found = read_back(expected).with_columns(pl.Series("timestamp_unix", [0, 86_401]))
    report = judge(audit(expected, found, Tolerance(5.0, 0.1)))
    assert [c.column for c in report.columns] == ["timestamp_unix"]


def test_a_tolerance_names_columns_of_the_file_whatever_their_case() -> None:
    """`macd` means MACD unless there is a macd too; a name that the file lacks is refused with the nearest one."""
    asked = Tolerance(columns={"macd": (1.0, 0.0)})
    assert asked.on(["MACD", "rsi"]).of("MACD") == (1.0, 0.0)
    assert asked.on(["MACD", "macd"]).of("MACD") == (0.0, 0.0)
    with pytest.raises(UsageError, match="Did you mean 'MACDX'"):
        asked.on(["MACDX"])


def test_values_in_columns_that_the_file_lacks_fail() -> None:
    """What another dataset's column holds in rows of this one is in the verdict, with its column and bar."""
    compared = audit(bars([1.0]), read_back(bars([1.0])))
    compared.add_foreign("ELSE", 1, [0])
    report = judge(compared)
    assert report.summary == "1 values where the file has no column in ELSE"
    assert report.examples == [{"bar": "1970-01-01T00:00:00+00:00", "kind": "value the file lacks", "column": "ELSE"}]


def test_the_report_is_bounded_and_names_the_worst() -> None:
    """Whatever fails, the record stays small; the worst difference and its bar are in it."""
    rows = KEPT_CELLS + 50
    expected = bars([0.0] * rows)
    values = np.full(rows, 1.0)
    values[7] = 5.0
    result = audit(expected, read_back(bars(values.tolist())))
    report = judge(result)
    assert report.cells_differing == rows
    assert result.cells().height == KEPT_CELLS
    assert [row["bar"][:10] for row in report.examples] == [f"1970-01-{day:02}" for day in range(1, 11)]
    assert len(report.failure_cases) <= 25
    assert (report.columns[0].worst_absolute, report.columns[0].worst_bar) == (5.0, "1970-01-08T00:00:00+00:00")


def test_the_verdict_is_a_pandera_report() -> None:
    """Failing rules come with the check that failed and what it is about."""
    report = judge(audit(bars([1.0, 2.0]), read_back(bars([1.0, 2.5]))))
    assert {"check": "nothing_fails", "column": "failing", "found": "1", "rule": "the values agree", "subject": "x"} in report.failure_cases
    assert any(case["check"] == "rows_and_cells_agree" for case in report.failure_cases)


def test_tolerances_are_read_from_the_command_line() -> None:
    """Absolute and relative, for all columns and for one; anything else is refused."""
    tolerance = parse_tolerance(["1e-9", "rel:1e-6", "macd=0.5", "macd=rel:0.1"])
    assert (tolerance.of("rsi"), tolerance.of("macd")) == ((1e-9, 1e-6), (0.5, 0.1))
    for bad in ("x", "-1", "nan", "inf", "=1", "macd="):
        with pytest.raises(UsageError):
            parse_tolerance([bad])
