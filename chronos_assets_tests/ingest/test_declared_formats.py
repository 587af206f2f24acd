"""The keys of `format`: whatever is declared is read exactly, whatever differs from the declaration is refused with its row."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.manifest import Manifest
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import BarsError, ChronosError, ManifestError
from chronos_assets.ingest import BarsReport, normalize

MOMENTS = [dt.datetime(2024, 2, 28) + dt.timedelta(hours=7 * i) for i in range(12)]


def spec(**form: Any) -> BarsSpec:
    return BarsSpec(format=FormatSpec.model_validate(form))


def read(folder: Path, text: str | bytes, name: str = "case.csv", **form: Any) -> tuple[pl.DataFrame, BarsReport]:
    source = folder / name
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = normalize(source, spec(**form), folder / "bars.arrow")
    return pl.read_ipc((folder / "bars.arrow").read_bytes()), report


def code(folder: Path, text: str | bytes, **form: Any) -> str:
    with pytest.raises(ChronosError) as caught:
        read(folder, text, **form)
    assert caught.value.hint
    return caught.value.code


def file(cells: list[str], header: str = "Date,Close,RSI") -> str:
    return "\n".join([header, *(f"{cell},{100 + i}.5,{i}" for i, cell in enumerate(cells))]) + "\n"


def stamps(frame: pl.DataFrame) -> list[dt.datetime]:
    return [dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None) for second in frame["timestamp_unix"]]


@pytest.mark.parametrize(
    ("form", "write"),
    [
        ("iso", "%Y-%m-%d %H:%M:%S"),
        ("iso", "%Y-%m-%dT%H:%M"),
        ("iso", "%Y-%m-%dT%H:%M:%SZ"),
        ("iso", "%Y-%m-%dT%H:%M:%S.000Z"),
        ("iso", "%Y-%m-%d %H:%M:%S UTC"),
        ("iso", "%Y-%m-%d %H:%M:%S+00:00"),
        ("%Y.%m.%d %H:%M", "%Y.%m.%d %H:%M"),
        ("%d/%m/%y %I:%M %p", "%d/%m/%y %I:%M %p"),
        ("%b %d, %Y %H%M%S", "%b %d, %Y %H%M%S"),
        ("%B %d %Y %H", "%B %d %Y %H"),
        ("%Y/%m/%d %H:%M", "%Y/%-m/%-d %-H:%M"),
        ("%Y%m%dT%H%M%S%z", "%Y%m%dT%H%M%S+0000"),
        ("unix_s", "%s"),
        ("unix_ms", "%s000"),
        ("unix_us", "%s000000"),
        ("unix_ns", "%s000000000"),
        ("unix", "%s000"),
    ],
)
def test_every_form_of_dates_reads_the_same_bars(form: str, write: str, tmp_path: Path) -> None:
    """ISO 8601, Unix time and patterns give the bars that were written, and `date_i` and `time_i` of UTC beside them."""
    cells = [
        f"{moment.replace(tzinfo=dt.UTC):{write.replace('%s', str(int(moment.replace(tzinfo=dt.UTC).timestamp())))}}" for moment in MOMENTS
    ]
    text = file([f'"{cell}"' if "," in cell else cell for cell in cells])
    frame, report = read(tmp_path, text, date=form)
    assert stamps(frame) == MOMENTS
    assert frame["date_i"].to_list() == [int(f"{moment:%Y%m%d}") for moment in MOMENTS]
    written = "%H%M%S" if report.time_format == "hhmmss" else "%H%M"
    assert frame["time_i"].to_list() == [int(f"{moment:{written}}") for moment in MOMENTS]
    assert report.granularity == "7h"
    assert frame["RSI"].to_list() == list(range(12))


def test_every_cell_has_an_offset_of_its_own(tmp_path: Path) -> None:
    """Offsets that change with the clock of New York give UTC, also if cells are of different widths."""
    cells = ["2024-03-10T00:00:00-05:00", "2024-03-10T01:00:00-05:00", "2024-03-10T03:00:00-04:00", "2024-03-10T04:00:00-04:00"]
    hours = [f"2024-03-10T0{hour}:00:00" for hour in (5, 6, 7, 8)]
    assert [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in stamps(read(tmp_path, file(cells), date="iso")[0])] == hours
    cells[3] = "2024-03-10T08:00:00Z"
    assert [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in stamps(read(tmp_path, file(cells), date="iso")[0])] == hours
    cells[3] = "2024-03-10T08:00:00"
    assert code(tmp_path, file(cells), date="iso") == "zone_mixed"
    cells[3] = "2024-03-11"
    assert code(tmp_path, file(cells), date="iso") == "date_mixed"


def test_daily_bars_keep_the_date_that_is_written(tmp_path: Path) -> None:
    """Midnight in Tokyo is the day before in UTC: a daily bar is called by the date of its own cell, or of the declared zone."""
    tokyo = [f"2024-05-{day:02d}T00:00:00+09:00" for day in range(1, 8)]
    frame, report = read(tmp_path, file(tokyo), date="iso")
    assert (frame["date_i"].to_list(), report.granularity, report.time_format) == (list(range(20240501, 20240508)), "1d", "none")
    seconds = [str(int(dt.datetime.fromisoformat(cell).timestamp())) for cell in tokyo]
    assert read(tmp_path, file(seconds), date="unix_s")[0]["date_i"][0] == 20240430
    assert read(tmp_path, file(seconds), date="unix_s", timezone="Asia/Tokyo")[0]["date_i"].to_list() == list(range(20240501, 20240508))
    half_days = [f"2024-05-{day:02d} {'13:00' if day == 3 else '16:00'}" for day in range(1, 8)]
    assert read(tmp_path, file(half_days), date="iso")[1].time_format == "none"


def test_a_declared_zone_makes_utc(tmp_path: Path) -> None:
    """A wall clock without offset is read by `timezone`; `date_i` and `time_i` are then those of the UTC bar."""
    frame, _ = read(tmp_path, file(["2024-07-01 20:00", "2024-07-01 21:00", "2024-07-01 22:00"]), date="iso", timezone="America/New_York")
    assert frame["date_i"].to_list() == [20240702] * 3
    assert frame["time_i"].to_list() == [0, 10_000, 20_000]


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("iso", "2024-02-30 00:00", "date_invalid"),
        ("iso", "20240301", "date_invalid"),
        ("iso", "2024-3-1", "date_invalid"),
        ("iso", "2024-03-08 24:00:00", "time_invalid"),
        ("iso", "2024-03-08 10:60:00", "time_invalid"),
        ("iso", "2024-03-08 10:00:00.5", "time_fraction"),
        ("iso", "1969-03-08 10:00:00", "date_too_early"),
        ("iso", "", "date_missing"),
        ("%d/%m/%Y %H:%M", "03/13/2024 10:00", "date_invalid"),
        ("%d/%m/%Y %I:%M %p", "03/12/2024 13:00 PM", "date_invalid"),
        ("unix_s", "1709888400.5", "date_invalid"),
        ("unix_s", "17098884000000", "date_too_late"),
        ("unix_ms", "1709888400500", "time_fraction"),
        ("unix", "170988", "date_invalid"),
        ("unix_s", "-5", "date_too_early"),
    ],
)
def test_a_cell_that_breaks_its_declaration_is_refused(form: str, cell: str, expected: str, tmp_path: Path) -> None:
    """Whatever is not what was declared is an error that names the row, and nothing rolls over."""
    good = {"iso": "%Y-%m-%d %H:%M:%S", "unix_s": "%s", "unix_ms": "%s000", "unix": "%s"}.get(form, form)
    lines = [f"{moment:{good.replace('%s', str(int(moment.replace(tzinfo=dt.UTC).timestamp())))}}" for moment in MOMENTS]
    with pytest.raises(BarsError) as caught:
        read(tmp_path, file([*lines, cell]), date=form)
    assert (caught.value.code, caught.value.where["row"], caught.value.where["column"]) == (expected, 14, "Date")
    assert caught.value.hint


def test_time_patterns_and_their_mistakes(tmp_path: Path) -> None:
    """A Time column by a pattern, beside a date in any form; a second time of day is refused until it is left out."""
    header = "Date,Time,Close"
    rows = [f"{20240101 + i // 3},{i % 3 * 8:02d}:00:00,{i}" for i in range(9)]
    frame, report = read(tmp_path, "\n".join([header, *rows]), time="%H:%M:%S")
    assert (report.granularity, report.time_format, frame["time_i"][1]) == ("8h", "hhmmss", 80_000)
    assert code(tmp_path, "\n".join([header, *rows, "20240104,25:00:00,1"]), time="%H:%M:%S") == "time_invalid"
    assert code(tmp_path, "\n".join([header, *rows, "20240104,2:00,1"]), time="%H:%M:%S") == "time_invalid"
    assert code(tmp_path, "\n".join([header, *rows]), date="%Y%m%d") == "time_invalid"
    both = [f"2024-01-{1 + i:02d} 0{i}:00,{i},5" for i in range(5)]
    assert code(tmp_path, "\n".join([header, *both]), date="iso") == "time_twice"
    assert read(tmp_path, "\n".join([header, *both]), date="iso", rename={"Time": None})[1].rows == 5
    easy = [f"{1240101 + i // 3},{i % 3 * 800},{i}" for i in range(9)]
    assert read(tmp_path, "\n".join([header, *easy]), date="1yymmdd")[1].first_bar == "2024-01-01T00:00:00Z"


def test_header_and_lines_above_the_bars(tmp_path: Path) -> None:
    """A line number finds the header, a list replaces a missing one, and further lines are passed over; rows keep their numbers."""
    body = [f"{20240101 + i};{i};{i}.5" for i in range(5)]
    text = "\n".join(["# exported", "", "Date;RSI;Close", "yyyymmdd;;USD", *body])
    assert read(tmp_path, text, header=3, skip_lines=4)[1].rows == 5
    with pytest.raises(BarsError) as caught:
        read(tmp_path, text + "\n20240110;x;1\n", header=3, skip_lines=4)
    assert caught.value.where["row"] == 10
    assert code(tmp_path, text, header=3) == "not_a_number"
    bare = "\n".join(body)
    frame, report = read(tmp_path, bare, header=["Date", "RSI", "Close"])
    assert (report.rows, report.delimiter, frame["Close"].to_list()) == (5, "semicolon", [0.5, 1.5, 2.5, 3.5, 4.5])
    with pytest.raises(BarsError) as caught:
        read(tmp_path, bare + "\n20240110;x;1\n", header=["Date", "RSI", "Close"])
    assert caught.value.where["row"] == 6
    assert code(tmp_path, bare, header=["Date", "Close"]) == "header_count"
    assert code(tmp_path, bare, header=9) == "header_beyond_end"
    assert code(tmp_path, bare, header=["Date", "RSI", "Close"], skip_lines=5) == "header_beyond_end"
    assert read(tmp_path, gzip.compress(text.encode()), header=3, skip_lines=4)[1].rows == 5


def test_the_newest_bar_first(tmp_path: Path) -> None:
    """`order: descending` turns any kind of file round, in many blocks, and an error names the row of the file as it is written."""
    rows = [f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00:00" for i in range(200)]
    ahead, _ = read(tmp_path, file(rows), date="iso")
    body = file(rows).splitlines()
    back = "\n".join([body[0], *reversed(body[1:])]) + "\n"
    assert code(tmp_path, back, date="iso") == "not_increasing"
    for packed in (back.encode(), gzip.compress(back.encode())):
        source = tmp_path / "back.csv"
        source.write_bytes(packed)
        small = BarsSpec(format=FormatSpec(date="iso", order="descending"), block_bytes=300)
        report = normalize(source, small, tmp_path / "back.arrow")
        assert report.rows == 200
        assert pl.read_ipc((tmp_path / "back.arrow").read_bytes()).equals(ahead)
    with pytest.raises(BarsError) as caught:
        read(tmp_path, back.replace("2024-01-01 05:00:00", "2024-01-01 06:00:00"), date="iso", order="descending")
    assert caught.value.code == "duplicate_timestamp"
    assert {caught.value.where["row"], caught.value.where["earlier_row"]} == {195, 196}


@pytest.mark.parametrize(
    ("cell", "form", "expected"),
    [
        ("1,5", {"decimal": ","}, 1.5),
        ("1.234,5", {"decimal": ",", "thousands": "."}, 1234.5),
        ("1'234'567.5", {"thousands": "'"}, 1234567.5),
        ("1 234", {"thousands": " "}, 1234.0),
        ("1\u00a0234", {"thousands": " "}, 1234.0),
        ("1_000", {"thousands": "_"}, 1000.0),
        ("-999", {"null_values": ["-999"]}, None),
        ("-999.00", {"null_values": ["-999"]}, None),
        ("NA", {"null_values": ["NA"]}, None),
        ("1.234K", {"suffixes": ["K", "M"]}, 1234.0),
        ("0.3m", {"suffixes": ["K", "M"]}, 300000.0),
        ("1,1M", {"suffixes": ["M"], "decimal": ","}, 1100000.0),
        ("0.57%", {"suffixes": ["%"]}, 0.0057),
        ("$1,234.5", {"prefixes": ["$"], "thousands": ","}, 1234.5),
        ("-$ 3", {"prefixes": ["$"]}, -3.0),
        ("£-1.5m", {"prefixes": ["£"], "suffixes": ["M"]}, -1500000.0),
        ("1.5", {"prefixes": ["€"]}, 1.5),
        ("12e3", {"thousands": "'"}, 12000.0),
    ],
)
def test_numbers_as_they_are_declared(cell: str, form: dict[str, Any], expected: float | None, tmp_path: Path) -> None:
    """Marks, suffixes and missing values give the nearest double, in the fast reader and in the strict one, quoted or not."""
    for text in (f"Date;RSI;X\n20240101;{cell};1\n20240102;7;2\n", f'Date;RSI;X\n20240101;"{cell}"; 1\n\n20240102;7;2\n'):
        assert read(tmp_path, text, **form)[0]["RSI"].to_list() == [expected, 7.0]


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("1,5", {"thousands": ","}),
        ("12,34", {"thousands": ","}),
        ("1.5", {"decimal": ","}),
        ("1.5,5", {"decimal": ",", "thousands": "."}),
        ("N/A", {"null_values": ["NA"]}),
        ("5K", {"suffixes": ["M"]}),
        ("K", {"suffixes": ["K"]}),
        ("5 % 3%", {"suffixes": ["%"]}),
        ("$5", {"prefixes": ["€"]}),
        ("$", {"prefixes": ["$"]}),
        ("$$5", {"prefixes": ["$"]}),
        ("-$-5", {"prefixes": ["$"]}),
        ("1,5", {}),
    ],
)
def test_numbers_that_break_the_declaration_are_refused(cell: str, form: dict[str, Any], tmp_path: Path) -> None:
    """A group of two digits, the other mark, an undeclared suffix or currency is no number."""
    assert code(tmp_path, f"Date;RSI;X\n20240101;1;1\n20240102;{cell};2\n", **form) == "not_a_number"


def test_encodings(tmp_path: Path) -> None:
    """UTF-16 and Latin-1 are read if they are declared; by_mark takes UTF-16 with its mark and UTF-8."""
    text = file(["20240101", "20240102"], "Date,Close,Größe")
    for encoding, declared in (
        ("utf-16", "utf-16"),
        ("utf-16", "by_mark"),
        ("utf-8", "by_mark"),
        ("latin-1", "latin-1"),
        ("utf-8-sig", "by_mark"),
    ):
        for pack in (bytes, gzip.compress):
            assert read(tmp_path, pack(text.encode(encoding)), encoding=declared)[1].by_role("feature") == ["Größe"]
    assert code(tmp_path, text.encode("utf-16")) == "encoding"
    assert code(tmp_path, text.encode("utf-16")[:-1], encoding="utf-16") == "encoding"


def test_price_divisor_is_exact(tmp_path: Path) -> None:
    """Prices in ten-thousandths become the nearest doubles; volume stays."""
    text = "Date,Open,Close,Volume\n20240101,1001629,999068,5\n20240102,3,7,6\n"
    frame, _ = read(tmp_path, text, price_divisor=10_000)
    assert frame["Open"].to_list() == [100.1629, 0.0003]
    assert frame["Close"].to_list() == [99.9068, 0.0007]
    assert frame["Volume"].to_list() == [5.0, 6.0]


def test_typed_timestamps_say_what_they_are(tmp_path: Path) -> None:
    """Parquet and Arrow timestamps with and without a zone are taken as Date undeclared: UTC, or the wall clock of `timezone`."""
    naive = pl.datetime_range(dt.datetime(2024, 7, 1), dt.datetime(2024, 7, 2), "1h", eager=True).alias("Date")
    for name, series in (("naive", naive), ("zoned", naive.dt.replace_time_zone("America/New_York"))):
        path = tmp_path / f"{name}.feather"
        pl.DataFrame([series, pl.Series("Close", range(25)).cast(pl.Float64)]).write_ipc(path)
        assert normalize(path, spec(), None).first_bar == ("2024-07-01T00:00:00Z" if name == "naive" else "2024-07-01T04:00:00Z")
        assert normalize(path, spec(timezone="America/New_York"), None).first_bar == "2024-07-01T04:00:00Z"
    days = pl.DataFrame(
        {"Date": pl.datetime_range(dt.datetime(2024, 7, 1), dt.datetime(2024, 7, 9), "1d", eager=True, time_zone="Asia/Tokyo")}
    )
    days.with_columns(Close=1.5).write_parquet(tmp_path / "days.parquet")
    report = normalize(tmp_path / "days.parquet", spec(), None)
    assert (report.first_bar, report.granularity) == ("2024-07-01T00:00:00Z", "1d")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"date": "yyymmdd"}, "yyyymmdd"),
        ({"date": "%Y-%m"}, "lacks"),
        ({"date": "%Y-%m-%d %I:%M"}, "%p"),
        ({"date": "%Y-%m-%d %M"}, "hour"),
        ({"date": "%Q"}, "%Q"),
        ({"date": "%Y-%m-%d %Y"}, "twice"),
        ({"time": "%d %H"}, "format.date"),
        ({"time": "ampm"}, "hhmmss"),
        ({"date": "%Y-%m-%d %H:%M", "time": "hhmm"}, "leave one"),
        ({"header": 0}, "1 to 10000"),
        ({"header": []}, "empty"),
        ({"preset": "mt6"}, "mt5"),
        ({"decimal": ",", "thousands": ","}, "both"),
        ({"rename": {"Last": " "}}, "null"),
        ({"skip_lines": -1}, "greater"),
        ({"order": "backwards"}, "descending"),
        ({"suffixes": ["x"]}, "'K'"),
    ],
)
def test_a_declaration_that_says_nothing_is_refused_at_once(form: dict[str, Any], words: str) -> None:
    """Nonsense in `format` names the key and what can be written."""
    manifest = {"dataset": "a_1h_v1", "source_file": "a.csv", "granularity": "1h", "checksum": "sha256:" + "0" * 64, "format": form}
    with pytest.raises(ManifestError) as caught:
        parse_strict(Manifest, manifest, error=ManifestError, what="the manifest")
    assert f"format.{next(iter(form))}" in str(caught.value) or "format" in str(caught.value)
    assert words in str(caught.value)


def test_renaming_is_strict_but_for_a_preset(tmp_path: Path) -> None:
    """A column that is renamed by hand must be there; one that only a preset names may be missing; null leaves it out, text or not."""
    text = "Date,Last,Note\n20240101,5,x\n20240102,6,y\n"
    frame, report = read(tmp_path, text, rename={"last": "Close", "NOTE": None})
    assert (frame.columns[3:], [column.name for column in report.excluded]) == (["Close"], ["Note"])
    assert code(tmp_path, text, rename={"Lats": "Close", "Note": None}) == "pattern_idle"
    assert code(tmp_path, text, preset="sierra", rename={"Volume": "V", "Note": None}) == "pattern_idle"
    assert FormatSpec.model_validate({"rename": "Last:Close;Note:"}).rename == {"Last": "Close", "Note": None}


def test_what_is_declared_is_written_and_read_again() -> None:
    """The keys of a format, as a manifest writes them, give the same format; a preset's own values are not repeated."""
    given = {"preset": "mt5", "timezone": "Europe/Athens", "rename": {"<SPREAD>": None}, "null_values": ["-1"]}
    form = FormatSpec.model_validate(given)
    assert form.written() == given
    assert form.rename["<DATE>"] == "Date"
    assert FormatSpec.model_validate(form.written()) == form == FormatSpec.model_validate(form.model_dump())
