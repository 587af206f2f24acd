"""Date, Time and the wall clock: what the whole column says, zones, daily bars, gaps and the interval of the bars."""

from __future__ import annotations

import datetime as dt
import random
import re
import zoneinfo
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import BarsError, UsageError
from chronos_assets.ingest import BarsReport, BarsSpec, FormatSpec
from chronos_assets.ingest.times import Padding, padding_of
from chronos_assets_tests.bars_case import read, table

NEW_YORK = "America/New_York"


def timed(moments: list[dt.datetime], form: str = "%H%M") -> bytes:
    """A file whose bars carry these wall clock labels."""
    return table([f"{m:%Y%m%d},{m.strftime(form)},{i},{i % 7}" for i, m in enumerate(moments)], "Date,Time,RSI,TGT")


def test_leading_zeros_are_found_wherever_a_column_is_cut() -> None:
    """The first cell padded to four digits and the first padded to six, in one piece or in two; blanks and `.0` do not count."""
    lot = random.Random(4)
    for _ in range(300):
        cells = [
            lot.choice(["0", "400", "1200", "93000", "0400", " 0930", "\t0005", "000500", "093000.0", "0030.00", "00", ""])
            for _ in range(9)
        ]
        first = [
            next((i for i, cell in enumerate(cells) if re.fullmatch(rf"\s*0\d{{{width - 1}}}(\.0*)?", cell)), None) for width in (4, 6)
        ]
        cut = lot.randrange(10)
        head, tail = (padding_of(pl.Series(part, dtype=pl.String)) for part in (cells[:cut], cells[cut:]))
        assert padding_of(pl.Series(cells)) == head.followed_by(tail, cut) == Padding(*first)


def every(minutes: float, count: int, start: str = "2024-03-01T00:00") -> list[dt.datetime]:
    first = dt.datetime.fromisoformat(start)
    return [first + dt.timedelta(minutes=minutes * i) for i in range(count)]


def stamps(folder: Path) -> list[int]:
    return pl.read_ipc(folder / "out" / "bars.arrow")["timestamp_unix"].to_list()


def unix(moments: list[dt.datetime]) -> list[int]:
    return [int(m.replace(tzinfo=dt.UTC).timestamp()) for m in moments]


def codes(report: BarsReport) -> set[str]:
    return {warning.code for warning in report.warnings}


@pytest.mark.parametrize("minutes", [1 / 60, 1, 5, 30, 60, 240, 1_000])
@pytest.mark.parametrize("form", ["%H%M", "%-H%M", "%H%M%S", "%-H%M%S"])
def test_a_column_that_goes_round_the_clock_reads_itself(minutes: float, form: str, tmp_path: Path) -> None:
    """Days of bars, padded or not, HHMM or HHMMSS, from midnight on: the reading is the writer's."""
    if minutes < 1 and "%S" not in form:
        minutes = 2  # seconds cannot be written as HHMM
    moments = every(minutes, min(5_000, int(3 * 1440 / minutes) + 10))
    texts = [m.strftime(form) for m in moments]
    content = table(
        [f"{m:%Y%m%d},{int(t) if '-' in form else t},{i}" for i, (m, t) in enumerate(zip(moments, texts, strict=True))], "Date,Time,RSI"
    )
    report = read(tmp_path, content, BarsSpec(block_bytes=2_000))
    assert report.time_format == ("hhmmss" if "%S" in form else "hhmm")
    assert stamps(tmp_path) == unix(moments)


def test_a_file_that_begins_at_midnight_is_hhmmss_all_the_same(tmp_path: Path) -> None:
    """One-minute bars written HHMMSS without zeros begin 0, 100, 200, ... and are still HHMMSS."""
    moments = every(1, 120)
    content = table([f"{m:%Y%m%d},{int(m.strftime('%H%M%S'))},{i}" for i, m in enumerate(moments)], "Date,Time,RSI")
    report = read(tmp_path, content, BarsSpec(block_bytes=100))
    assert (report.time_format, report.granularity) == ("hhmmss", "1m")
    assert stamps(tmp_path) == unix(moments)


def test_the_interval_resolves_what_the_column_leaves_open(tmp_path: Path) -> None:
    """100, 200, 300 are hours for 1h bars, minutes for 1m bars, and refused where nobody says."""
    content = table([f"20240501,{i}00,{i}" for i in range(1, 8)], "Date,Time,RSI")
    assert read(tmp_path, content, BarsSpec(granularity="1h")).first_bar == "2024-05-01T01:00:00Z"
    assert read(tmp_path, content, BarsSpec(granularity="1m")).first_bar == "2024-05-01T00:01:00Z"
    assert read(tmp_path, content, BarsSpec(format=FormatSpec(time_format="hhmmss"))).first_bar == "2024-05-01T00:01:00Z"
    assert read(tmp_path, content, name="btc_1h.csv").first_bar == "2024-05-01T01:00:00Z"
    with pytest.raises(BarsError, match="HHMM and as HHMMSS"):
        read(tmp_path, content)


def test_days_of_sessions_without_zeros_are_hhmm_and_said(tmp_path: Path) -> None:
    """930 to 1530 on many days cannot sensibly be the first minutes past midnight: HHMM, with a warning."""
    rows = [f"202405{day:02d},{time},{day + time}" for day in (6, 7, 8, 9, 10, 13) for time in (930, 1030, 1130, 1230, 1330, 1430, 1530)]
    report = read(tmp_path, table(rows, "Date,Time,RSI"))
    assert (report.time_format, report.granularity) == ("hhmm", "1h")
    assert "time_format_assumed" in codes(report)
    assert "time_format_assumed" not in codes(read(tmp_path, table(rows, "Date,Time,RSI"), BarsSpec(format=FormatSpec(time_format="hhmm"))))


def test_no_time_means_daily_bars_at_midnight_utc_in_every_zone(tmp_path: Path) -> None:
    """Daily bars are 00:00 UTC of their Date whatever the zone, with time_i 0."""
    content = table([f"202405{day:02d},{day}" for day in (1, 2, 3, 6, 7, 8)], "Date,RSI")
    for zone in ("UTC", NEW_YORK, "Pacific/Auckland"):
        report = read(tmp_path, content, BarsSpec(format=FormatSpec(timezone=zone)))
        assert (report.granularity, report.time_format, report.first_bar) == ("1d", "none", "2024-05-01T00:00:00Z")
        assert pl.read_ipc(tmp_path / "out" / "bars.arrow")["time_i"].to_list() == [0] * 6
    assert (report.gaps, report.missing_bars, report.unexpected_gaps) == (1, 2, 0)


def test_daily_bars_with_a_closing_time_lose_it_and_that_is_said(tmp_path: Path) -> None:
    """A Time that is the same every day is no part of a daily bar's timestamp."""
    content = table([f"202405{day:02d},1600,{day}" for day in (1, 2, 3, 6, 7)], "Date,Time,RSI")
    for spec in (BarsSpec(), BarsSpec(granularity="1d"), BarsSpec(block_bytes=30)):
        report = read(tmp_path, content, spec)
        assert (report.time_format, report.first_bar) == ("none", "2024-05-01T00:00:00Z")
        assert "daily_time_dropped" in codes(report)
    with pytest.raises(BarsError, match="2400"):
        read(tmp_path, content.replace(b"1600", b"2400"))


def test_a_column_that_only_begins_constant_is_no_daily_file(tmp_path: Path) -> None:
    """Where the first rows look daily and later ones do not, the file is read as the whole column says."""
    moments = [*every(1440, 10, "2024-05-01T04:00"), *every(240, 30, "2024-05-11T00:00")]
    report = read(tmp_path, timed(moments), BarsSpec(block_bytes=60))
    assert report.time_format == "hhmm"
    assert stamps(tmp_path) == unix(moments)


def test_the_repeated_hour_is_read_twice_in_order_and_counted(tmp_path: Path) -> None:
    """In autumn 1:00, 1:30, 1:00, 1:30 are four bars half an hour apart."""
    utc = [dt.datetime(2024, 11, 3, 3, 0, tzinfo=dt.UTC) + dt.timedelta(minutes=30 * i) for i in range(16)]
    wall = [moment.astimezone(zoneinfo.ZoneInfo(NEW_YORK)) for moment in utc]
    for block_bytes in (20, 10_000):
        spec = BarsSpec(format=FormatSpec(timezone=NEW_YORK), block_bytes=block_bytes)
        report = read(tmp_path, timed(wall), spec)
        assert stamps(tmp_path) == [int(moment.timestamp()) for moment in utc]
        assert report.clock == {"repeated_hour": 4, "missing_hour": 0}
        assert "repeated_hour" in codes(report)


def test_the_missing_hour_keeps_the_offset_from_before_and_is_counted(tmp_path: Path) -> None:
    """A label in the hour that spring skips is read as if the clock had not been put forward yet; a clash with a real bar is refused."""
    spec = BarsSpec(granularity="1h", format=FormatSpec(timezone=NEW_YORK))
    hours = [dt.datetime(2024, 3, 10, hour) for hour in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11)]
    report = read(tmp_path, timed(hours), spec)
    assert stamps(tmp_path)[:5] == [int(dt.datetime(2024, 3, 10, hour, tzinfo=dt.UTC).timestamp()) for hour in (5, 6, 7, 8, 9)]
    assert report.clock["missing_hour"] == 1
    assert "missing_hour" in codes(report)
    with pytest.raises(BarsError, match="rows 4 and 5 are the same bar"):
        read(tmp_path, timed([dt.datetime(2024, 3, 10, hour) for hour in (0, 1, 2, 3, 4)]), spec)


@pytest.mark.parametrize("zone", [NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"])
def test_a_year_of_wall_clock_comes_back_as_utc(zone: str, tmp_path: Path) -> None:
    """Hourly bars of two years, labelled by the clock of the exchange, give the instants they were."""
    utc = [dt.datetime(2011, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(2 * 365 * 24)]
    wall = [moment.astimezone(zoneinfo.ZoneInfo(zone)) for moment in utc]
    read(tmp_path, timed(wall), BarsSpec(granularity="1h", format=FormatSpec(timezone=zone), block_bytes=1 << 16))
    assert stamps(tmp_path) == [int(moment.timestamp()) for moment in utc]


def test_clock_changes_do_not_contradict_a_granularity(tmp_path: Path) -> None:
    """4h bars whose labels move by an hour twice a year are 4h bars."""
    moments = [m - dt.timedelta(hours=1 if 4 <= m.month <= 10 else 0) for m in every(240, 2_000, "2023-01-01T02:00")]
    report = read(tmp_path, timed(moments), BarsSpec(granularity="4h"))
    assert report.rows == 2_000


def test_gaps_are_counted_and_those_of_sessions_and_weekends_expected(tmp_path: Path) -> None:
    """Nights and weekends of a session market are gaps that nobody need look at; a hole in the middle of a day is one."""
    days = [dt.datetime(2024, 5, 6) + dt.timedelta(days=7 * week + day) for week in range(8) for day in range(5)]
    moments = [day + dt.timedelta(hours=hour) for day in days for hour in range(9, 17)]
    whole = read(tmp_path, timed(moments), BarsSpec(granularity="1h"))
    assert (whole.gaps, whole.unexpected_gaps) == (39, 0)
    assert "gaps" not in codes(whole)
    del moments[100:103]
    holed = read(tmp_path, timed(moments), BarsSpec(granularity="1h"))
    assert (holed.gaps, holed.missing_bars, holed.unexpected_gaps) == (40, whole.missing_bars + 3, 1)
    assert "gaps" in codes(holed)


def test_the_interval_is_found_from_the_spacing(tmp_path: Path) -> None:
    """The most frequent step, in its largest unit."""
    for minutes, granularity in ((1, "1m"), (5, "5m"), (90, "90m"), (240, "4h"), (1440, "1d"), (10_080, "1w")):
        assert read(tmp_path, timed(every(minutes, 50))).granularity == granularity


def test_one_bar_has_no_interval(tmp_path: Path) -> None:
    """A single bar is taken; its interval is unknown unless declared."""
    assert read(tmp_path, table(["20240501,0400,1"], "Date,Time,RSI")).granularity is None
    assert read(tmp_path, table(["20240501,0400,1"], "Date,Time,RSI"), BarsSpec(granularity="4h")).granularity == "4h"


def test_the_years_at_the_edges_are_taken(tmp_path: Path) -> None:
    """1970-01-01 and 2199-12-31 are the first and the last day."""
    report = read(tmp_path, table(["19700101,1", "21991231,2"], "Date,RSI"))
    assert (report.first_bar, report.last_bar) == ("1970-01-01T00:00:00Z", "2199-12-31T00:00:00Z")


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """The refusal names what was written."""
    with pytest.raises(UsageError, match="Mars/Olympus"):
        parse_strict(BarsSpec, {"format": {"timezone": "Mars/Olympus"}}, error=UsageError, what="the call")


def test_intraday_bars_under_a_daily_granularity_are_refused_with_that_hint(tmp_path: Path) -> None:
    """4h bars declared as daily ones meet on one date; the hint points at the granularity."""
    with pytest.raises(BarsError, match="correct the granularity"):
        read(tmp_path, timed(every(240, 30)), BarsSpec(granularity="1d"))


def test_midnight_alone_decides_nothing(tmp_path: Path) -> None:
    """A block that holds only midnight leaves the reading to the cells behind it."""
    content = table(["20240501,0,1", "20240501,1,2"], "Date,Time,RSI")
    with pytest.raises(BarsError, match="HHMM and as HHMMSS"):
        read(tmp_path, content, BarsSpec(block_bytes=1))
    report = read(tmp_path, table(["20240501,0,1", "20240502,0,2"], "Date,Time,RSI"), BarsSpec(granularity="24h", block_bytes=1))
    assert report.time_format == "none"
