"""What a report tells of values, dates and names that are there by mistake."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.errors import ManifestError
from chronos_assets.ingest import BarsSpec
from chronos_assets_tests.ingest.test_bars_report import noise, warned, with_columns
from chronos_assets_tests.support.bars_case import lines, read, table

MARKS = [
    ("2147483647", 5),
    ("1.7976931348623157e308", 5),
    ("-1.7976931348623157e+308", 5),
    ("-999", 5),
    ("-999.25", 5),
    ("99999", 5),
    ("1e39", 1),
]


@pytest.mark.parametrize(("mark", "count"), MARKS)
@pytest.mark.parametrize("column", ["RSI", "TGT", "Volume"])
def test_marks_of_missing_values_are_told_in_any_column(mark: str, count: int, column: str, tmp_path: Path) -> None:
    """Column, value, count and first row are told, however the file is cut into blocks."""
    base = noise(1)

    def value(i: int) -> object:
        return mark if 20 <= i < 20 + count else round(50 + 10 * base(i), 3)  # type: ignore[operator]

    content = with_columns(168, **{"Close": lambda i: 100 + i % 7, column: value, "OTHER": noise(2)})
    for block_bytes in (1 << 10, 1 << 24):
        found = warned(read(tmp_path, content, BarsSpec(block_bytes=block_bytes)))["sentinel_values"]
        assert f"{column} {float(mark):.17g} ({count} cell" in found
        assert "first in row 22" in found
        assert "OTHER" not in found


def test_a_mark_between_the_values_of_a_wide_column_is_told_if_it_is_repeated(tmp_path: Path) -> None:
    """-999 among fractions from -2000 to 2000 is told from three cells on; once, it may be a value."""
    wide = [random.Random(i).uniform(-2000, 2000) for i in range(168)]
    for count, expected in ((1, False), (3, True)):
        content = with_columns(168, A=lambda i, count=count: -999 if i < count else wide[i], B=noise(1))
        assert ("sentinel_values" in warned(read(tmp_path, content))) is expected


def test_honest_numbers_are_no_marks(tmp_path: Path) -> None:
    """Round prices, whole volumes and values beyond a thousand are taken for what they are."""
    volumes = [random.Random(i).randrange(9_000, 11_000) for i in range(168)]
    columns = {
        "Close": lambda i: 9999.0 if i in {5, 50, 90} else 9990 + i % 20 + 0.25,
        "Volume": lambda i: 9999 if i in {1, 2, 3, 4, 5} else volumes[i],
        "MACD": lambda i: -1000 + i * 11.5,
        "COUNT": lambda i: 99_900 + i,
        "NEGATIVE": lambda i: -1100 + i,
    }
    assert "sentinel_values" not in warned(read(tmp_path, with_columns(168, **columns)))


def test_impossible_prices_are_told_with_their_row(tmp_path: Path) -> None:
    """A report counts bars and names the first row of the file, header included."""
    columns = {
        "Open": lambda _: 100,
        "High": lambda i: 90 if i == 40 else 101 + i % 3,
        "Low": lambda i: 99 - i % 3,
        "Close": lambda i: -1 if i in {60, 61} else 100 + i % 2,
        "Volume": lambda i: -1 if i == 7 else 5,
    }
    found = warned(read(tmp_path, with_columns(168, **columns)))
    assert found["price_high_below_low"] == "High is below Low in 1 bar, first in row 42"
    assert found["price_outside_range"] == "Open or Close is outside High and Low in 3 bars, first in row 42"
    assert found["price_negative"] == "a price is below zero in 2 bars, first in row 62"
    assert found["volume_negative"] == "Volume is below zero in 1 bar, first in row 9"


@pytest.mark.parametrize(("date", "place", "row"), [("20990101", -1, 302), ("19700102", 0, 2)])
def test_a_date_far_from_all_others_is_told(date: str, place: int, row: int, tmp_path: Path) -> None:
    """A mistyped year at the head or the tail is told with its row; a market with long pauses is not."""
    days = [f"{20200101 + 10_000 * (i // 168) + 100 * (i % 168 // 14) + i % 14},{i}" for i in range(300)]
    days.insert(place if place == 0 else len(days), f"{date},7")
    message = warned(read(tmp_path, table(days, "Date,A")))["far_dates"]
    assert f"first in row {row}," in message
    assert message.startswith("1 bar from ")
    years = [f"{1990 + i}0101,{i}" for i in range(30)]
    assert "far_dates" not in warned(read(tmp_path, table(years, "Date,A")))
    halves = [f"{20100101 + i},{i}" for i in range(20)] + [f"{20150101 + i},{i}" for i in range(20)]
    assert "far_dates" not in warned(read(tmp_path, table(halves, "Date,A")))


def test_a_missing_close_is_told_with_the_key_that_maps_it(tmp_path: Path) -> None:
    """`Last` is proposed; with the key that the warning names, it is the Close and the warning is gone."""
    rows = [f"{row},{90 + i},{95 + i}" for i, row in enumerate(lines())]
    content = table(rows, "Date,Time,Open,RSI,TGT,Low,Last")
    message = warned(read(tmp_path, content))["close_missing"]
    assert "format: {rename: {Last: Close}}" in message
    assert "--format rename=Last:Close" in message
    report = read(tmp_path, content, BarsSpec(format=FormatSpec(rename={"last": "Close"})))
    assert "close_missing" not in warned(report)
    assert report.by_role("price") == ["Open", "Low", "Close"]
    assert next(column.source_name for column in report.columns if column.name == "Close") == "Last"
    by_letter = warned(read(tmp_path, table(lines(), "Date,Time,o,c,l")))["close_missing"]
    assert "rename: {c: Close}" in by_letter
    assert "close_missing" not in warned(read(tmp_path, table(lines(), "Date,Time,RSI,B,TGT"))), "a file without prices lacks no Close"


def test_renaming_by_text_and_renaming_nothing(tmp_path: Path) -> None:
    """The command line's form says the same; a column that is not there names the nearest one; a Date may be renamed too."""
    assert FormatSpec.model_validate({"rename": "Last:Close; Vol:Volume"}).rename == {"Last": "Close", "Vol": "Volume"}
    with pytest.raises(ValueError, match="THEIRS:OURS"):
        FormatSpec.model_validate({"rename": "Last"})
    with pytest.raises(ManifestError, match=r"no column 'RSX'.*'RSI'"):
        read(tmp_path, table(), BarsSpec(format=FormatSpec(rename={"RSX": "Close"})))
    renamed = read(tmp_path, table(lines(), "Day,Time,Open,RSI,TGT"), BarsSpec(format=FormatSpec(rename={"Day": "Date"})))
    assert renamed.rows == 12
