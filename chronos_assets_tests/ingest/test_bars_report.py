"""What a report warns of, and what a normalized file is checked for."""

from __future__ import annotations

import math
import random
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.ingest import BarsReport, BarsSpec
from chronos_assets.ingest.schema import check_normalized
from chronos_assets_tests.support.bars_case import lines, read, table


def with_columns(count: int = 200, **columns: object) -> bytes:
    """A file of 4h bars whose further columns are made by the given functions of the row number."""
    keys = [",".join(row.split(",")[:2]) for row in lines(6 * 28)][:count]
    rows = [",".join([key, *(str(make(i)) for make in columns.values())]) for i, key in enumerate(keys)]  # type: ignore[operator]
    return table(rows, ",".join(["Date", "Time", *columns]))


def warned(report: BarsReport) -> dict[str, str]:
    return {warning.code: warning.message for warning in report.warnings}


def noise(seed: int) -> object:
    values = [random.Random(seed * 1_000 + i).gauss(0, 1) for i in range(200)]
    return lambda i: values[i]


def test_a_feature_that_equals_a_target_is_suspected(tmp_path: Path) -> None:
    """Equal, scaled, and all but equal features are named; honest ones are not."""
    base = noise(1)
    found = warned(
        read(
            tmp_path,
            with_columns(
                LEAK=base,
                SCALED=lambda i: -3 * base(i) + 1e6,  # type: ignore[operator]
                NEARLY=lambda i: base(i) + 0.001 * (i % 5),  # type: ignore[operator]
                HONEST=noise(2),
                TGT=base,
            ),
        )
    )
    assert all(name in found["lookahead_suspect"] for name in ("LEAK", "SCALED", "NEARLY", "TGT"))
    assert "HONEST" not in found["lookahead_suspect"]


def test_a_function_of_a_target_and_the_next_target_are_suspected(tmp_path: Path) -> None:
    """Bent functions, a copy with noise or after a long warm-up, and the target of the next bar are named; that of the last bar is not."""
    values = [random.Random(i).gauss(0, 1) for i in range(902)]
    columns = {
        "CUBE": lambda i: values[i] ** 3,
        "EXP": lambda i: math.exp(-values[i]),
        "NOISY": lambda i: values[i] + random.Random(-i).gauss(0, 0.05),
        "LATE": lambda i: "" if i < 600 else values[i],
        "NEXT": lambda i: values[i + 1],
        "LAST": lambda i: values[i - 1],
        "TGT": lambda i: values[i],
    }
    rows = [f"{20200101 + 10_000 * (i // 168) + 100 * (i % 168 // 14) + i % 14}," for i in range(900)]
    rows = [row + ",".join(str(make(i)) for make in columns.values()) for i, row in enumerate(rows)]
    found = warned(read(tmp_path, table(rows, ",".join(["Date", *columns]))))["lookahead_suspect"]
    assert all(f"{name} (" in found for name in ("CUBE", "EXP", "NOISY", "LATE", "NEXT"))
    assert "LAST" not in found


def test_a_target_that_looks_far_ahead_gives_away_what_knows_its_neighbours(tmp_path: Path) -> None:
    """With horizon 3, targets of up to three bars later and two bars earlier are the future; that of three bars earlier is not."""
    values = [random.Random(i).gauss(0, 1) for i in range(910)]
    columns = {f"AT_{shift:+d}": lambda i, shift=shift: values[i + shift] for shift in (-4, -3, -2, -1, 1, 2, 3)}
    columns["TGT"] = lambda i: values[i]
    rows = [f"{20200101 + 10_000 * (i // 168) + 100 * (i % 168 // 14) + i % 14}," for i in range(900)]
    rows = [row + ",".join(str(make(i + 4)) for make in columns.values()) for i, row in enumerate(rows)]
    content = table(rows, ",".join(["Date", *columns]))
    far = warned(read(tmp_path, content, BarsSpec(target_horizon={"TGT": 3})))["lookahead_suspect"]
    assert all(name in far for name in ("AT_-2 (the target of 2 bars earlier, which is not over yet)", "AT_-1", "AT_+1", "AT_+2", "AT_+3"))
    assert "AT_-3" not in far
    assert "AT_-4" not in far
    near = warned(read(tmp_path, content))["lookahead_suspect"]
    assert "AT_+1" in near
    assert all(name not in near for name in ("AT_-1", "AT_+2"))


def test_a_price_beside_the_next_price_is_no_suspect(tmp_path: Path) -> None:
    """Levels of neighbouring bars are nearly equal without knowing each other; one that follows the next bar's steps is a suspect."""
    levels = [100.0]
    for i in range(400):
        levels.append(levels[-1] + random.Random(i).gauss(0, 0.1) + 0.05)
    columns = {"Close": lambda i: levels[i], "AHEAD": lambda i: 2 * levels[i + 1], "target_close": lambda i: levels[i + 1]}
    rows = [f"{20240101 + 10_000 * (i // 336) + 100 * (i % 336 // 28) + i % 28}," for i in range(300)]
    rows = [row + ",".join(str(make(i)) for make in columns.values()) for i, row in enumerate(rows)]
    found = warned(read(tmp_path, table(rows[:300], ",".join(["Date", *columns]))))["lookahead_suspect"]
    assert "AHEAD" in found
    assert "Close" not in found


def test_an_honest_file_has_no_suspect(tmp_path: Path) -> None:
    """Independent columns, constant ones and empty ones raise no suspicion."""
    found = warned(read(tmp_path, with_columns(A=noise(1), FLAT=lambda i: 5, EMPTY=lambda i: "", TGT=noise(2))))
    assert "lookahead_suspect" not in found
    assert "FLAT" in found["feature_constant"]
    assert "EMPTY" in found["feature_all_null"]


def test_a_column_that_changes_late_is_not_constant(tmp_path: Path) -> None:
    """All rows decide, wherever the other value stands and however the file is cut into blocks."""
    late = {"LATE": lambda i: int(i == 167), "HOLES": lambda i: "" if i < 150 else i % 2, "FLAT": lambda i: "" if i < 150 else 3}
    content = with_columns(A=noise(1), TGT=noise(2), **late)
    for block_bytes in (1_000, 1 << 24):
        report = read(tmp_path, content, BarsSpec(block_bytes=block_bytes))
        assert report.rows == 168
        assert [column.name for column in report.columns if column.constant] == ["FLAT"]


def test_a_target_that_says_nothing_is_warned_of(tmp_path: Path) -> None:
    """A constant target, an empty one, and no target at all each have their own warning."""
    found = warned(read(tmp_path, with_columns(A=noise(1), TGT_FLAT=lambda i: 1, TGT_EMPTY=lambda i: "")))
    assert "TGT_FLAT" in found["target_constant"]
    assert "TGT_EMPTY" in found["target_all_null"]
    assert "no_target" in warned(read(tmp_path, with_columns(A=noise(1))))


def test_an_undeclared_horizon_is_said(tmp_path: Path) -> None:
    """Targets without a horizon are warned of; declared ones and a declared default are not."""
    content = with_columns(A=noise(1), TGT_1=noise(2), TGT_2=noise(3))
    assert "TGT_2" in warned(read(tmp_path, content))["target_horizon_assumed"]
    partly = warned(read(tmp_path, content, BarsSpec(target_horizon={"tgt_1": 5})))["target_horizon_assumed"]
    assert "TGT_2" in partly
    assert "TGT_1" not in partly
    report = read(tmp_path, content, BarsSpec(target_horizon={"default": 1, "TGT_1": 5}))
    assert "target_horizon_assumed" not in warned(report)
    assert {c.name: c.horizon for c in report.columns if c.role == "target"} == {"TGT_1": 5, "TGT_2": 1}


def test_the_report_survives_json(tmp_path: Path) -> None:
    """A report read back from JSON is the same report."""
    report = read(tmp_path, table())
    assert BarsReport.model_validate_json(report.model_dump_json()) == report


def test_a_good_file_passes_its_check(tmp_path: Path) -> None:
    """What normalize wrote is what the schema says a normalized dataset is."""
    report = read(tmp_path, table(lines(100)))
    verdict = check_normalized(tmp_path / "out" / "bars.arrow", report)
    assert (verdict.passed, verdict.lines, verdict.rows) == (True, [], 100)
    assert verdict.headline == "100 normalized bars are in order"


BROKEN = {
    "a row is missing": lambda d: d.slice(1),
    "a number changed": lambda d: d.with_columns(RSI=pl.col("RSI") + 1),
    "a number is infinite": lambda d: d.with_columns(RSI=pl.when(pl.col("RSI") == 3).then(float("inf")).otherwise("RSI")),
    "a number is NaN": lambda d: d.with_columns(RSI=pl.when(pl.col("RSI") == 3).then(float("nan")).otherwise("RSI")),
    "two bars changed places": lambda d: pl.concat([d[:3], d[4:5], d[3:4], d[5:]]),
    "a bar is there twice": lambda d: pl.concat([d[:3], d[2:]]),
    "a column is missing": lambda d: d.drop("RSI"),
    "a column is new": lambda d: d.with_columns(MORE=pl.lit(1.0)),
    "columns changed places": lambda d: d.select("date_i", "time_i", "timestamp_unix", "RSI", "Open", "TGT"),
    "a type changed": lambda d: d.with_columns(pl.col("RSI").cast(pl.Float32)),
    "a date is none": lambda d: d.with_columns(date_i=pl.col("date_i") - 20_000_000),
    "a number vanished": lambda d: d.with_columns(RSI=pl.when(pl.col("RSI") == 3).then(None).otherwise("RSI")),
    "all bars vanished": lambda d: d.clear(),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_fails_its_check_with_words(what: str, tmp_path: Path) -> None:
    """Each kind of damage to the Arrow file fails the check, in a readable line."""
    report = read(tmp_path, table(lines(50)))
    path = tmp_path / "out" / "bars.arrow"
    BROKEN[what](pl.read_ipc(path)).write_ipc(path)
    verdict = check_normalized(path, report)
    assert not verdict.passed
    assert verdict.lines
    assert len(verdict.lines[0]) > 10


def test_a_file_that_is_no_arrow_file_fails_its_check(tmp_path: Path) -> None:
    """Garbage in place of the Arrow file is a failed check, not an exception."""
    report = read(tmp_path, table())
    (tmp_path / "out" / "bars.arrow").write_bytes(b"ARROW1 not really")
    assert not check_normalized(tmp_path / "out" / "bars.arrow", report).passed
