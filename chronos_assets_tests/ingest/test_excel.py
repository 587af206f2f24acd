"""Excel workbooks are read by the same rules: dates by their type, one sheet, rows by Excel's numbers."""

from __future__ import annotations

import datetime as dt
import sys
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.errors import RefusedError
from chronos_assets.ingest import BarsReport, normalize
from chronos_assets_tests.support.workbooks import write_workbook

HOURS = [dt.datetime(2024, 5, 1) + dt.timedelta(hours=i) for i in range(60)]
HEADER = ["Date", "Open", "Close", "RSI"]


def rows(keys: list[Any]) -> list[list[Any]]:
    return [HEADER, *([key, 100 + i, 100.25 + i, None if i == 3 else i * 1.5] for i, key in enumerate(keys))]


def read(folder: Path, sheets: dict[str, list[list[Any]]], **form: Any) -> tuple[pl.DataFrame, BarsReport]:
    source = write_workbook(folder / "case.xlsx", sheets)
    report = normalize(source, BarsSpec(format=FormatSpec.model_validate(form)), folder / "bars.arrow")
    return pl.read_ipc((folder / "bars.arrow").read_bytes()), report


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        (HOURS, {}),
        ([f"{hour:%Y-%m-%d %H:%M}" for hour in HOURS], {"date": "iso"}),
        ([int(hour.replace(tzinfo=dt.UTC).timestamp()) for hour in HOURS], {"date": "unix_s"}),
    ],
)
def test_hours_come_out_whole(keys: list[Any], form: dict[str, Any], tmp_path: Path) -> None:
    """Date cells, text and numbers give the same bars; parts of a day become whole seconds; an empty cell is null."""
    frame, report = read(tmp_path, {"Sheet1": rows(keys)}, **form)
    assert frame["timestamp_unix"].to_list() == [int(hour.replace(tzinfo=dt.UTC).timestamp()) for hour in HOURS]
    assert frame["Close"].to_list() == [100.25 + i for i in range(60)]
    assert (frame["RSI"].null_count(), report.granularity, report.file_kind) == (1, "1h", "excel")


def test_days_with_and_without_a_time_column(tmp_path: Path) -> None:
    """Date cells without a time are days; a column of time cells beside them gives the hours; a zone is applied."""
    days = [dt.date(2024, 5, 1) + dt.timedelta(days=i) for i in range(20)]
    assert read(tmp_path, {"S": rows(days)})[1].granularity == "1d"
    with_times = [["Date", "Time", "Close"], *([hour.date(), hour.time(), 5 + i] for i, hour in enumerate(HOURS))]
    report = read(tmp_path, {"S": with_times}, timezone="America/New_York")[1]
    assert (report.granularity, report.first_bar) == ("1h", "2024-05-01T04:00:00Z")
    numbers = [["Date", "Time", "Close"], *([int(f"{h:%Y%m%d}"), h.hour * 100, 5 + i] for i, h in enumerate(HOURS))]
    assert read(tmp_path, {"S": numbers})[0]["date_i"][0] == 20240501


def test_sheets_headers_and_mistakes(tmp_path: Path) -> None:
    """One sheet is taken or named, lines above the header are passed over, and an error names Excel's row and column."""
    two = {"Prices": rows(HOURS), "Notes": [["hello"]]}
    with pytest.raises(RefusedError) as caught:
        read(tmp_path, two)
    assert (caught.value.code, "Prices" in caught.value.hint) == ("several_sheets", True)
    assert read(tmp_path, two, sheet="Prices")[1].rows == 60
    with pytest.raises(RefusedError) as caught:
        read(tmp_path, two, sheet="Price")
    assert caught.value.code == "sheet_missing"
    above = [["Exported"], [], *rows(HOURS)]
    assert read(tmp_path, {"S": above}, header=3)[1].rows == 60
    bad = rows(HOURS)
    bad[7][3] = "n/a"
    with pytest.raises(RefusedError) as caught:
        read(tmp_path, {"S": [[], [], *bad]})
    assert (caught.value.code, caught.value.where["row"], caught.value.where["column"]) == ("not_a_number", 10, "RSI")
    assert read(tmp_path, {"S": bad}, null_values=["n/a"])[0]["RSI"].null_count() == 2
    bad[7][3] = True
    with pytest.raises(RefusedError) as caught:
        read(tmp_path, {"S": bad})
    assert caught.value.code == "not_a_number"
    newest_first = [HEADER, *reversed(rows(HOURS)[1:])]
    assert read(tmp_path, {"S": newest_first}, order="descending")[1].first_bar == "2024-05-01T00:00:00Z"
    assert read(tmp_path, {"S": rows(HOURS)[1:]}, header=HEADER)[1].rows == 60


def test_what_is_no_workbook_or_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip archive of something else, a damaged workbook and a missing extra are refused with what to do."""
    path = tmp_path / "other.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "Date,A\n20240101,1\n")
    for content, code in ((path.read_bytes(), "file_kind"), (write_workbook(path, {"S": rows(HOURS)}).read_bytes()[:900], "file_kind")):
        path.write_bytes(content)
        with pytest.raises(RefusedError) as caught:
            normalize(path, BarsSpec(), None)
        assert caught.value.code == code
        assert caught.value.hint
    write_workbook(path, {"S": rows(HOURS)})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(RefusedError) as caught:
        normalize(path, BarsSpec(), None)
    assert (caught.value.code, "chronos-assets[excel]" in caught.value.hint) == ("excel_extra_missing", True)
