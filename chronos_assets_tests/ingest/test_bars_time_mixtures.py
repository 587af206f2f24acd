"""HHMM among HHMMSS: a reading of the Time column explains every bar, or the file is refused with the row that it does not explain."""

from __future__ import annotations

import datetime as dt
import importlib.util
import itertools
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsReport, BarsSpec, FormatSpec, normalize
from chronos_assets_tests.support.bars_case import read, table

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ingest" / "mixtures.py"
HEADER = "Date,Time,RSI"


def bars(interval: int, count: int, start: str = "2024-01-01T00:00") -> list[dt.datetime]:
    """`count` moments, `interval` minutes apart."""
    return [dt.datetime.fromisoformat(start) + dt.timedelta(minutes=interval * i) for i in range(count)]


def sessions(interval: int, days: int, opens: int = 570, hours: float = 6.5) -> list[dt.datetime]:
    """Bars of weekdays from minute `opens` on, with a half day in eight."""
    found = []
    for day in range(days):
        date = dt.datetime(2024, 1, 1) + dt.timedelta(days=day)
        length = hours * 60 / (2 if day % 8 == 7 else 1)
        if date.weekday() < 5:
            found += [date + dt.timedelta(minutes=opens + interval * i) for i in range(int(length // interval))]
    return found


def written(moments: list[dt.datetime], is_hhmm: Callable[[int], bool], end: str = "") -> bytes:
    """The file of `moments`, without padding: those for which `is_hhmm(row index)` as HHMM, the others as HHMMSS."""
    texts = [m.strftime("%H%M" if is_hhmm(i) else "%H%M%S") for i, m in enumerate(moments)]
    return table([f"{m:%Y%m%d},{int(text)}{end},{i % 7}" for i, (m, text) in enumerate(zip(moments, texts, strict=True))], HEADER)


FOUR_HOURS, HALF_HOURS, MINUTES = bars(240, 240), sessions(30, 60), bars(1, 4_000)
# what is mixed -> bars, which of them are HHMM, the row that is named
MIXTURES: dict[str, tuple[list[dt.datetime], Callable[[int], bool], int]] = {
    "head": (FOUR_HOURS, lambda i: i < 24, 3),
    "head of a session": (HALF_HOURS, lambda i: i < 40, 2),
    "head of minutes": (MINUTES, lambda i: i < 700, 3),
    "tail": (FOUR_HOURS, lambda i: i >= 200, 202),
    "tail of minutes": (MINUTES, lambda i: i >= 3_700, 3_702),
    "first bar": (sessions(5, 20, opens=600), lambda i: i == 0, 2),
    "last bar": (sessions(30, 20)[:-3], lambda i: i == len(sessions(30, 20)) - 4, len(sessions(30, 20)) - 2),
    "the night that a file grew by": (FOUR_HOURS, lambda i: i >= 234, 237),
    "one day": (FOUR_HOURS, lambda i: 60 <= i < 66, 63),
    "one bar": (FOUR_HOURS, lambda i: i == 81, 83),
    "one bar at a full hour of minutes": (MINUTES, lambda i: i == 1_440 + 600, 2_042),
    "one bar at the open": (sessions(5, 20, opens=600), lambda i: i == 78, 80),
    "every other row": (FOUR_HOURS, lambda i: i % 2 == 0, 4),
    "three bars": ([dt.datetime(2024, 1, 1, hour) for hour in (0, 4, 8)], lambda i: i == 1, 3),
    "two bars a day": (bars(720, 40), lambda i: i in {7, 9}, 9),
    "HHMMSS at the end of minutes": (bars(5, 2_883, "2024-01-01T23:55"), lambda i: i < 2_881, 2_884),
}


@pytest.mark.parametrize("end", ["", ".0"])
@pytest.mark.parametrize("case", MIXTURES)
def test_a_mixture_is_refused_with_its_row(case: str, end: str, tmp_path: Path) -> None:
    """Head, tail, one day, one bar: refused, as whole numbers and as floats, whatever of the interval and the format is declared."""
    moments, is_hhmm, row = MIXTURES[case]
    content = written(moments, is_hhmm, end)
    interval = f"{min((b - a) // dt.timedelta(minutes=1) for a, b in itertools.pairwise(moments))}m"
    main = "hhmm" if case.startswith("HHMMSS") else "hhmmss"
    for spec in (
        BarsSpec(),
        BarsSpec(block_bytes=3_000),
        BarsSpec(granularity=interval),
        BarsSpec(format=FormatSpec(time_format=main)),  # type: ignore[arg-type]
        BarsSpec(granularity=interval, format=FormatSpec(time_format=main)),  # type: ignore[arg-type]
    ):
        with pytest.raises(BarsError, match="mixes HHMM and HHMMSS") as caught:
            read(tmp_path, content, spec)
        assert (caught.value.code, caught.value.where["row"]) == ("time_mixed", row), (str(caught.value), spec)


def test_a_mixture_that_is_sorted_stays_refused(tmp_path: Path) -> None:
    """Rows that a user sorts by Date and Time are no better for it: 00:08:00 is on no grid of 4h bars."""
    content = written(FOUR_HOURS, lambda i: i % 5 == 2)
    header, *rows = content.decode().splitlines()
    rows.sort(key=lambda row: [float(cell) for cell in row.split(",")[:2]])
    with pytest.raises(BarsError, match="mixes HHMM and HHMMSS"):
        read(tmp_path, table(rows, header))


def test_a_declaration_does_not_make_hhmm_into_hhmmss(tmp_path: Path) -> None:
    """4h bars and sessions in HHMM that are declared HHMMSS are refused, not moved into the first minutes of their days."""
    for moments in (FOUR_HOURS, HALF_HOURS):
        with pytest.raises(BarsError, match="HHMMSS as declared") as caught:
            read(tmp_path, written(moments, lambda _: True), BarsSpec(format=FormatSpec(time_format="hhmmss")))
        assert caught.value.where["row"] in {2, 3}


def local(zone: str, interval: int, start: str, count: int) -> list[dt.datetime]:
    """Bars on the UTC grid, in the clock of `zone`."""
    clock = zoneinfo.ZoneInfo(zone)
    return [m.replace(tzinfo=dt.UTC).astimezone(clock).replace(tzinfo=None) for m in bars(interval, count, start)]


HONEST: dict[str, list[dt.datetime]] = {
    "minutes round the clock": MINUTES,
    "five minutes from 00:05 on": bars(5, 3_000, "2024-01-01T00:05"),
    "hours at a quarter past": bars(60, 300, "2024-01-01T00:15"),
    "sessions at 9:30 with half days": HALF_HOURS,
    "a session that opens at half past": [day + dt.timedelta(minutes=m) for day in bars(1_440, 40) for m in (570, *range(600, 960, 60))],
    "a session from 00:05 on": sessions(5, 30, opens=5, hours=23),
    "4h bars over two changes of the clock": local("Europe/Berlin", 240, "2024-02-01T00:00", 2_500),
    "a break of an hour at midnight": [m for m in MINUTES if m.hour],
    "an outage until 00:10": [m for m in bars(5, 3_000) if not (m.day == 5 and m.hour * 60 + m.minute < 10)],
    "hours whose first bar is five minutes late": [
        m + dt.timedelta(minutes=5) if m.weekday() == 0 and m.hour == 0 else m for m in bars(60, 800)
    ],
    "sparse five minutes": [m for i, m in enumerate(bars(5, 6_000)) if i * 7919 % 10 < 4],
    "half-days of 12 hours": bars(720, 31),
}


@pytest.mark.parametrize("form", ["hhmm", "hhmmss"])
@pytest.mark.parametrize("case", HONEST)
def test_an_honest_column_is_taken_as_it_is(case: str, form: str, tmp_path: Path) -> None:
    """Sessions, half days, gaps, outages, clock changes and sparse trading are no mixture."""
    moments = HONEST[case]
    for spec in (BarsSpec(), BarsSpec(block_bytes=3_000)):
        report = read(tmp_path, written(moments, lambda _: form == "hhmm"), spec)
        stamps = pl.read_ipc(tmp_path / "out" / "bars.arrow")["timestamp_unix"].to_list()
        assert stamps == [int(m.replace(tzinfo=dt.UTC).timestamp()) for m in moments]
        assert report.time_format == form


def test_a_typed_column_is_not_doubted(tmp_path: Path) -> None:
    """A Parquet column of times says what 00:04:00 is: ten bars after midnight are read without a word."""
    moments = bars(1, 10)
    frame = pl.DataFrame({"Date": [int(f"{m:%Y%m%d}") for m in moments], "Time": [m.time() for m in moments], "RSI": [1.5] * 10})
    frame.write_parquet(tmp_path / "case.parquet")
    report: BarsReport = normalize(tmp_path / "case.parquet", BarsSpec(), None)
    assert (report.last_bar, report.granularity) == ("2024-01-01T00:09:00Z", "1m")


def campaign() -> ModuleType:
    """The campaign of benchmarks/ingest."""
    found = importlib.util.spec_from_file_location("ingest_mixtures", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def test_no_generated_mixture_is_taken_and_no_honest_column_refused(tmp_path: Path) -> None:
    """A small seeded sample of the campaign in benchmarks/ingest."""
    mixtures = campaign()
    cases = [mixtures.make(31_000_000 + i) for i in range(30)]
    answers = [mixtures.answer(case, tmp_path) for case in cases]
    assert [(case.kind, found) for case, found in zip(cases, answers, strict=True) if mixtures.is_wrong(case, found)] == []
    assert answers[::2].count("as meant") > 12
    assert answers[1::2].count("time_mixed") > 7
