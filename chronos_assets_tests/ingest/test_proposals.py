"""Proposals for refused files: the one declaration that reads them, a question if several do, and never a wrong one."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.errors import RefusedError
from chronos_assets.ingest import normalize
from chronos_assets.ingest.proposal import Proposal, propose
from chronos_assets_tests.support.shuffled_files import Shuffled, shuffled
from chronos_assets_tests.support.vendor_files import DAILY_ONLY, LAYOUTS, made_up

HOURS = made_up(random.Random(7), 60, dt.timedelta(hours=1), dt.datetime(2024, 12, 30))


def put(folder: Path, content: bytes | str, name: str = "case.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def proposed(folder: Path, content: bytes | str, name: str = "case.csv") -> Proposal | None:
    path = put(folder, content, name)
    with pytest.raises(RefusedError):
        normalize(path, BarsSpec(), None)
    return propose(path, BarsSpec())


@pytest.mark.parametrize("preset", [name for name in LAYOUTS if name not in {*DAILY_ONLY, "lean", "pandas"}])
def test_the_preset_is_proposed_for_its_layout(preset: str, tmp_path: Path) -> None:
    """The declaration to paste reads the bars that were written, and says what the file does not."""
    found = proposed(tmp_path, LAYOUTS[preset](HOURS, "UTC"))
    assert found is not None
    only = found.only
    assert only is not None
    assert only.format["preset"] == preset
    report = normalize(tmp_path / "case.csv", BarsSpec(format=FormatSpec.model_validate(only.format)), None)
    assert (report.first_bar_unix, report.last_bar_unix, report.rows) == (HOURS.seconds[0], HOURS.seconds[-1], 60)
    assert only.first_bars[0].time == "2024-12-30T00:00:00Z"
    knows_zone = preset in {"tradingview", "yfinance", "binance_klines", "yfinance_download", "cryptodatadownload"}
    assert knows_zone != any("zone" in unknown for unknown in only.cannot_know)


@pytest.mark.parametrize(
    ("rows", "differ"),
    [
        (["01/02/2024 10:00;5;6", "02/02/2024 10:00;6;7", "03/02/2024 10:00;7;8"], {"date"}),
        (["2024-01-01;1,234;5", "2024-01-02;1,235;6"], {"decimal", "thousands"}),
        (["10-11-12;1;5", "10-11-13;2;6"], {"date"}),
    ],
)
def test_what_can_be_read_in_two_ways_is_a_question(rows: list[str], differ: set[str], tmp_path: Path) -> None:
    """Days or months first, decimal or thousands comma: no declaration is singled out, and what would decide is said."""
    found = proposed(tmp_path, "\n".join(["Date;A;B", *rows]))
    assert found is not None
    assert found.only is None
    assert len(found.readings) > 1
    assert all(word in found.decides() for word in differ)


def test_prices_in_another_order_are_not_taken_for_a_layout(tmp_path: Path) -> None:
    """Without a header only the rows tell the columns: a close in place of the open, or scaled prices of one row, propose nothing."""
    bars = made_up(random.Random(4), 40, dt.timedelta(hours=1))
    swapped = [f"{m:%Y.%m.%d,%H:%M},{c},{h},{low},{o},5" for m, (o, h, low, c) in zip(bars.moments, bars.prices, strict=True)]
    assert proposed(tmp_path, "\n".join(swapped)) is None
    assert proposed(tmp_path, "20240101 00:00,4200,4210,4190,4205,10\n") is None
    whole = LAYOUTS["lean"](bars, "UTC")
    for rows in (2, 3, 40):  # whole prices may be scaled ones, however few they are
        lean = proposed(tmp_path, b"".join(whole.splitlines(keepends=True)[:rows]))
        assert lean is None or (lean.only, "price_divisor (1 or 10000)" in lean.decides()) == (None, True)
    assert lean is not None


@pytest.mark.parametrize(
    ("names", "cells", "declared"),
    [
        ("t,o,h,l,c,v", lambda at: f"{at * 1000},1,2,1,2,5", {"date": "unix_ms", "rename": {"t": "Date"}}),
        ("startTime,openPrice,closePrice", lambda at: f"{at * 1000},1,2", {"date": "unix_ms", "rename": {"startTime": "Date"}}),
        ("when,A,B", lambda at: f"{dt.datetime.fromtimestamp(at, dt.UTC):%d.%b.%Y %H:%M},1,2", None),
        (
            "when,A,B",
            lambda at: f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y/%m/%d %H:%M},1,2",
            {"date": "%Y/%m/%d %H:%M", "rename": {"when": "Date"}},
        ),
        ("when,then,A", lambda at: f"{at},{at + 60},1", None),  # two columns go on in seconds: which of them is the bar's?
        ("id,A,B", lambda at: f"{at // 3600},1,2", None),  # a number that counts up is no date
        (
            "<TICKER>,<PER>,<DTYYYYMMDD>,<TIME>,<CLOSE>",
            lambda at: f"EURUSD,60,{dt.datetime.fromtimestamp(at, dt.UTC):%Y%m%d,%H%M%S},1.5",
            {"rename": {"<DTYYYYMMDD>": "Date", "<TIME>": "Time", "<TICKER>": "Market"}},
        ),
    ],
)
def test_a_date_is_found_under_any_name(
    names: str, cells: Callable[[int], str], declared: dict[str, object] | None, tmp_path: Path
) -> None:
    """A column of another name is the date if its cells alone of all columns can be moments; else nothing is proposed."""
    found = proposed(tmp_path, "\n".join([names, *map(cells, HOURS.seconds)]))
    assert (found.only.format if found and found.only else None) == declared
    assert found is None or [reading.report.first_bar_unix for reading in found.readings] == [HOURS.seconds[0]]


def test_currency_marks_are_proposed(tmp_path: Path) -> None:
    """As Nasdaq writes prices, the newest bar first."""
    days = made_up(random.Random(3), 40, dt.timedelta(days=1))
    rows = [f"{m:%m/%d/%Y},${c},1200,${o}" for m, (o, _, _, c) in zip(days.moments, days.prices, strict=True)]
    found = proposed(tmp_path, "\n".join(["Date,Close/Last,Volume,Open", *reversed(rows)]))
    assert found is not None
    assert found.only is not None
    assert found.only.format == {"date": "%m/%d/%Y", "order": "descending", "prefixes": ["$"]}


def test_two_blanks_between_date_and_time_are_read(tmp_path: Path) -> None:
    """Interactive Brokers writes so, without a header."""
    found = proposed(
        tmp_path,
        "\n".join(f"{m:%Y%m%d  %H:%M:%S},{o},{h},{low},{c},5" for m, (o, h, low, c) in zip(HOURS.moments, HOURS.prices, strict=True)),
    )
    assert found is not None
    assert found.only is not None
    assert found.only.format["date"] == "%Y%m%d  %H:%M:%S"


def test_a_thirteenth_day_decides(tmp_path: Path) -> None:
    """One row that only one reading takes is enough."""
    found = proposed(tmp_path, "Date;A;B\n11/02/2024;5;6\n12/02/2024;5;6\n13/02/2024;6;7\n")
    assert found is not None
    assert found.only is not None
    assert found.only.format == {"date": "%d/%m/%Y"}


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    """A file that fails by its clock alone is told with the declaration that reads its cells, and the refusal that names the zone."""
    start = dt.datetime(2024, 11, 3, 0, 0)
    autumn = made_up(random.Random(1), 12, dt.timedelta(hours=1), start)
    found = proposed(tmp_path, LAYOUTS["mt4"](autumn, "America/New_York"))
    assert found is not None
    assert found.only is None
    assert found.nearest is not None
    assert found.nearest[0] == {"preset": "mt4"}
    assert "America/New_York" in str(found.nearest[1])
    with_zone = BarsSpec(format=FormatSpec(timezone="America/New_York"))
    again = propose(tmp_path / "case.csv", with_zone)
    assert again is not None
    assert again.only is not None
    assert again.only.report.first_bar_unix == autumn.seconds[0]


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", "hello\nworld\n", "a,b\n1,2\n3,4\n", "<html>\n<p>1,2</p>\n", "Date,A\n2024-13-01,5\n", b"\x00\x01\x02", b"PK\x03\x04"],
)
def test_nothing_is_proposed_for_what_is_no_file_of_bars(content: str | bytes, tmp_path: Path) -> None:
    """Damaged files, files of something else and impossible dates have no proposal."""
    assert proposed(tmp_path, content) is None


def test_a_sample_does_not_decide_for_the_whole_file(tmp_path: Path) -> None:
    """In a file beyond the sample, the last row alone can show that days come first; and a bad last row leaves nothing to propose."""
    padding = "0" * 5_000
    both_ways = [dt.date(2024, month, month) for month in range(1, 13)]
    later = [dt.date(2025, 1, 1) + dt.timedelta(days=i) for i in range(60)]
    many = ["Date;A;B", *(f"{day:%d/%m/%Y};1.{padding};2" for day in (*both_ways, *later))]
    assert sum(map(len, many)) > 1 << 18
    found = proposed(tmp_path, "\n".join(many))
    assert found is not None
    assert found.only is not None
    assert found.only.format == {"date": "%d/%m/%Y"}
    assert proposed(tmp_path, "\n".join([*many, "31/31/2026;1;2"])) is None


def judge(case: Shuffled, folder: Path) -> str:
    """`accepted`, `none`, `several` or `right`; raises AssertionError for a proposal that reads the file wrongly."""
    path = put(folder, case.content)
    try:
        normalize(path, BarsSpec(), None)
    except RefusedError:
        found = propose(path, BarsSpec())
        if found is None or found.only is None:
            return "none" if found is None or not found.readings else "several"
        normalize(path, BarsSpec(format=FormatSpec.model_validate(found.only.format)), folder / "bars.arrow")
        bars = pl.read_ipc((folder / "bars.arrow").read_bytes())
        close = next(name for name in bars.columns if name.casefold() == "close")
        assert bars["timestamp_unix"].to_list() == case.seconds, found.only.format
        assert bars[close].to_list() == case.closes, found.only.format
        return "right"
    return "accepted"


def test_a_proposal_is_right_or_absent(tmp_path: Path) -> None:
    """Files of all layouts with shuffled dialects, zones, units and forms of dates; the long campaign is benchmarks/ingest/proposals.py."""
    outcomes = [judge(shuffled(seed), tmp_path) for seed in range(30)]
    assert outcomes.count("right") >= 13
