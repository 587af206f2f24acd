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
from chronos_assets_tests.support.bars_case import read, table

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
    """100, 200, 300 are hours for 1h bars, minutes for 1m bars, and refused if nobody says."""
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


UNITS: dict[str, tuple[list[int], str]] = {
    "hours": (list(range(24)), "time_hours"),
    "hours of a session": (list(range(9, 17)), "time_hours"),
    "hours from 1 to 24": (list(range(1, 25)), "time_hours"),
    "bars of a session, numbered": (list(range(1, 8)), "time_bar_number"),
    "minute bars of a session, numbered": (list(range(390)), "time_bar_number"),
    "minutes of the day, all of them": (list(range(1_440)), "time_minutes"),
    "half hours of the day": (list(range(48)), "time_bar_number"),
    "minutes of the day": (list(range(0, 1_440, 60)), "time_minutes"),
    "minutes of a session": (list(range(570, 960, 5)), "time_minutes"),
    "minutes, twice a day": ([0, 720], "time_minutes"),
    "seconds of the day": (list(range(0, 86_400, 3_600)), "time_seconds"),
    "seconds that all look like times": ([0, 21_600, 43_200, 64_800], "time_seconds"),
    "milliseconds of the day": (list(range(0, 86_400_000, 3_600_000)), "time_milliseconds"),
    "HHMMSS with milliseconds": ([hour * 10_000_000 + 500 for hour in range(24)], "time_milliseconds"),
    "Unix seconds": ([1_714_521_600 + 3_600 * hour for hour in range(24)], "time_unix"),
}


@pytest.mark.parametrize("declared", [None, "hhmm", "hhmmss"])
@pytest.mark.parametrize("case", UNITS)
def test_another_unit_is_refused_by_its_name(case: str, declared: str | None, tmp_path: Path) -> None:
    """Hours, minutes, seconds and milliseconds are never read as HHMM or HHMMSS, declared so or not."""
    values, code = UNITS[case]
    content = table([f"{20240501 + day},{value},{day}" for day in range(5) for value in values], "Date,Time,RSI")
    with pytest.raises(BarsError) as caught:
        read(tmp_path, content, parse_strict(BarsSpec, {"format": {"time_format": declared}}, error=UsageError, what="the call"))
    # 21600 is declared HHMM: no such time, whatever its unit.
    assert caught.value.code == code or (declared, caught.value.code) == ("hhmm", "time_format_contradicted"), str(caught.value)
    assert "HHMM" in caught.value.hint or declared == "hhmm"


def test_hours_and_minutes_are_taken_if_they_are_declared(tmp_path: Path) -> None:
    """`format.time` hh and minutes read hours and minutes of the day; what is none is refused with its row."""
    hours = table([f"{20240501 + day},{hour},{day}" for day in range(3) for hour in range(24)], "Date,Time,RSI")
    minutes = table([f"{20240501 + day},{hour * 60},{day}" for day in range(3) for hour in range(24)], "Date,Time,RSI")
    for unit, content in (("hh", hours), ("minutes", minutes)):
        spec = parse_strict(BarsSpec, {"format": {"time": unit}}, error=UsageError, what="the call")
        report = read(tmp_path, content, spec)
        assert stamps(tmp_path) == unix(every(60, 72, "2024-05-01T00:00"))
        assert (report.granularity, report.time_format) == ("1h", "hhmm")
        bent = content.replace(b"20240502,0,", b"20240502,1440,")
        with pytest.raises(BarsError, match="of the day") as caught:
            read(tmp_path, bent, spec)
        assert (caught.value.code, caught.value.where["row"]) == ("time_invalid", 26)


def test_time_and_time_format_cannot_disagree() -> None:
    """One of the two keys is enough; two different words are refused."""
    with pytest.raises(UsageError, match="write one of the two"):
        parse_strict(BarsSpec, {"format": {"time": "hh", "time_format": "hhmm"}}, error=UsageError, what="the call")


def test_minute_bars_of_one_morning_are_no_hours(tmp_path: Path) -> None:
    """0 to 23 on one date are minutes where the granularity says so, and hours where that says so."""
    content = table([f"20240501,{i},{i}" for i in range(24)], "Date,Time,RSI")
    assert read(tmp_path, content, BarsSpec(granularity="1m")).last_bar == "2024-05-01T00:23:00Z"
    with pytest.raises(BarsError, match="hours of the day"):
        read(tmp_path, content, BarsSpec(granularity="1h"))


def monthly(day: str, count: int = 30) -> list[str]:
    """Dates of months from 2010 on: the first, the last, or the first weekday of each."""
    found = []
    for i in range(count):
        first = dt.date(2010 + i // 12, i % 12 + 1, 1)
        last = dt.date(2010 + (i + 1) // 12, (i + 1) % 12 + 1, 1) - dt.timedelta(days=1)
        weekday = first + dt.timedelta(days=max(0, 7 - first.weekday()) if first.weekday() > 4 else 0)
        found.append(f"{ {'first': first, 'last': last, 'weekday': weekday}[day]:%Y%m%d}")
    return found


@pytest.mark.parametrize("day", ["first", "last", "weekday"])
def test_monthly_bars_are_1mo(day: str, tmp_path: Path) -> None:
    """Months are one interval whatever their days; a month that is missing is a gap, and daily bars are no months."""
    dates = monthly(day)
    content = table([f"{date},{i}" for i, date in enumerate(dates)], "Date,RSI")
    for spec in (BarsSpec(), BarsSpec(granularity="1mo")):
        report = read(tmp_path, content, spec)
        assert (report.granularity, report.gaps, report.rows) == ("1mo", 0, 30)
    holed = table([f"{date},{i}" for i, date in enumerate(dates) if i not in {7, 8}], "Date,RSI")
    report = read(tmp_path, holed)
    assert (report.granularity, report.gaps, report.missing_bars, report.longest_gaps[0].missing_bars) == ("1mo", 1, 2, 2)
    assert read(tmp_path, table([f"{date},1" for date in dates[::3]], "Date,RSI")).granularity == "3mo"
    with pytest.raises(BarsError, match="not 1mo bars"):
        read(tmp_path, table([f"202405{d:02d},{d}" for d in range(1, 31)], "Date,RSI"), BarsSpec(granularity="1mo"))
    with pytest.raises(BarsError, match="mostly steps of 1mo"):
        read(tmp_path, content, BarsSpec(granularity="1w"))


def test_bars_every_four_weeks_are_no_months(tmp_path: Path) -> None:
    """28 days again and again are 4w, though most of them begin in the next month."""
    assert read(tmp_path, timed(every(28 * 1_440, 40))).granularity == "4w"


def test_a_daily_file_with_half_days_is_daily(tmp_path: Path) -> None:
    """One bar a day at 16:00, or 13:00 before holidays, is a daily file: its times are dropped, and that is said."""
    rows = [f"{m:%Y%m%d},{1300 if i % 9 == 4 else 1600},{i}" for i, m in enumerate(every(1_440, 60))]
    for form in ("", "00"):
        content = table([row.replace("00,", f"00{form},") for row in rows], "Date,Time,RSI")
        report = read(tmp_path, content)
        assert (report.granularity, report.time_format, report.first_bar) == ("1d", "none", "2024-03-01T00:00:00Z")
        assert next(w.message for w in report.warnings if w.code == "daily_time_dropped").count("1300") == 1
    twice = table([*rows, f"{every(1_440, 60)[-1]:%Y%m%d},1700,1"], "Date,Time,RSI")
    with pytest.raises(BarsError, match="HHMM and as HHMMSS"):
        read(tmp_path, twice)
    with pytest.raises(BarsError, match="other Times: correct the granularity"):
        read(tmp_path, twice, BarsSpec(granularity="1d"))


@pytest.mark.parametrize(("zone", "minutes"), [(NEW_YORK, 60), (NEW_YORK, 30), ("Europe/Berlin", 60), ("Australia/Sydney", 15)])
def test_an_hour_that_comes_twice_names_the_zones_that_show_it_twice(zone: str, minutes: int, tmp_path: Path) -> None:
    """Local bars without a zone: the hint names the zone, and with it declared every bar is right."""
    start = "2024-11-02T00:00" if zone == NEW_YORK else "2024-10-26T00:00" if zone == "Europe/Berlin" else "2024-04-06T00:00"
    utc = [m.replace(tzinfo=dt.UTC) for m in every(minutes, 2 * 1440 // minutes, start)]
    content = timed([m.astimezone(zoneinfo.ZoneInfo(zone)) for m in utc])
    with pytest.raises(BarsError) as caught:
        read(tmp_path, content)
    assert zone in caught.value.hint
    assert "emove" not in caught.value.hint
    assert "Sort" not in caught.value.hint
    read(tmp_path, content, BarsSpec(format=FormatSpec(timezone=zone)))
    assert stamps(tmp_path) == [int(m.timestamp()) for m in utc]


def test_steps_that_change_with_the_clock_name_its_zone(tmp_path: Path) -> None:
    """4h bars whose labels move twice a year are taken as UTC with a warning that names the zones, and are right with the zone."""
    utc = [m.replace(tzinfo=dt.UTC) for m in every(240, 2_500, "2024-02-01T00:00")]
    content = timed([m.astimezone(zoneinfo.ZoneInfo("Europe/Berlin")) for m in utc])
    report = read(tmp_path, content)
    message = next(w.message for w in report.warnings if w.code == "local_clock")
    assert "Europe/Berlin" in message
    assert "America" not in message
    assert "2024-03-31, 2024-10-27" in message
    assert "local_clock" not in codes(read(tmp_path, content, BarsSpec(format=FormatSpec(timezone="Europe/Berlin"))))
    assert stamps(tmp_path) == [int(m.timestamp()) for m in utc]


def test_steps_that_change_on_other_dates_name_no_zone(tmp_path: Path) -> None:
    """An hour that is missing on some date in May is a gap and nothing else."""
    moments = every(60, 4_000, "2024-03-01T00:00")
    del moments[2_000]
    assert "local_clock" not in codes(read(tmp_path, timed(moments)))


def test_a_zone_that_is_not_the_files_is_named(tmp_path: Path) -> None:
    """UTC bars that are declared local clash in the hour that the zone skips: the hint points at the zone, not at a row to remove."""
    with pytest.raises(BarsError, match=r"skips an hour.*format\.timezone"):
        read(tmp_path, timed(every(60, 72, "2024-03-09T00:00")), BarsSpec(format=FormatSpec(timezone=NEW_YORK)))


def test_midnight_alone_decides_nothing(tmp_path: Path) -> None:
    """A block that holds only midnight leaves the reading to the cells behind it."""
    content = table(["20240501,0,1", "20240501,1,2"], "Date,Time,RSI")
    with pytest.raises(BarsError, match="HHMM and as HHMMSS"):
        read(tmp_path, content, BarsSpec(block_bytes=1))
    report = read(tmp_path, table(["20240501,0,1", "20240502,0,2"], "Date,Time,RSI"), BarsSpec(granularity="24h", block_bytes=1))
    assert report.time_format == "none"
