"""Every preset reads a file in its vendor's layout, with that vendor's traps, into the bars that were written."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.presets import PRESETS
from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsReport, normalize
from chronos_assets_tests.support.vendor_files import DAILY_ONLY, LAYOUTS, WITH_OFFSETS, Bars, made_up, mt5_utf8

HOURS = made_up(random.Random(1), 60, dt.timedelta(hours=1), dt.datetime(2024, 12, 30))
DAYS = made_up(random.Random(2), 60, dt.timedelta(days=1), dt.datetime(2024, 12, 1))


def read(folder: Path, content: bytes, form: FormatSpec) -> tuple[pl.DataFrame, BarsReport]:
    source = folder / "case.csv"
    source.write_bytes(content)
    report = normalize(source, BarsSpec(format=form), folder / "bars.arrow")
    return pl.read_ipc((folder / "bars.arrow").read_bytes()), report


def check(frame: pl.DataFrame, bars: Bars) -> None:
    """The frame holds exactly these bars."""
    assert frame["timestamp_unix"].to_list() == bars.seconds
    names = {name.casefold(): name for name in frame.columns}
    for field, prices in zip(("open", "high", "low", "close"), zip(*bars.prices, strict=True), strict=True):
        assert frame[names[field]].to_list() == list(prices)
    if "volume" in names and frame[names["volume"]].max() != 7:
        assert frame[names["volume"]].to_list() == bars.volumes


def test_every_preset_has_a_layout_that_tries_it() -> None:
    """A preset that is added needs a file in its vendor's layout."""
    assert set(LAYOUTS) == set(PRESETS)
    assert all(FormatSpec(preset=name).written() == {"preset": name} for name in PRESETS)


@pytest.mark.parametrize("preset", [name for name in LAYOUTS if name not in DAILY_ONLY])
def test_a_preset_reads_the_bars_of_its_layout(preset: str, tmp_path: Path) -> None:
    """Hours across a year's end come out as they were written, to the last bit."""
    frame, report = read(tmp_path, LAYOUTS[preset](HOURS, "UTC"), FormatSpec(preset=preset))
    check(frame, HOURS)
    assert report.granularity == "1h"
    assert report.excluded == [] or preset in {"stooq", "cryptodatadownload", "binance_klines"}


@pytest.mark.parametrize("preset", [name for name in LAYOUTS if name != "investing"])
def test_a_preset_reads_daily_bars(preset: str, tmp_path: Path) -> None:
    """Days are read as days."""
    frame, report = read(tmp_path, LAYOUTS[preset](DAYS, "UTC"), FormatSpec(preset=preset))
    check(frame, DAYS)
    assert (report.granularity, report.time_format) == ("1d", "none")


@pytest.mark.parametrize("preset", [name for name in LAYOUTS if name not in DAILY_ONLY])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Athens"])
def test_a_local_clock_is_read_with_its_zone(preset: str, zone: str, tmp_path: Path) -> None:
    """Across both clock changes of a year; a layout with offsets needs no zone."""
    for start in (dt.datetime(2024, 3, 8), dt.datetime(2024, 3, 29), dt.datetime(2024, 10, 25), dt.datetime(2024, 11, 1)):
        bars = made_up(random.Random(3), 90, dt.timedelta(hours=1), start)
        if preset == "yfinance_download":
            continue
        form = FormatSpec(preset=preset) if preset in WITH_OFFSETS else FormatSpec(preset=preset, timezone=zone)
        check(read(tmp_path, LAYOUTS[preset](bars, zone), form)[0], bars)


def test_metatrader_writes_utf16_and_utf8(tmp_path: Path) -> None:
    """The preset goes by the byte order mark."""
    for content in (LAYOUTS["mt5"](HOURS, "UTC"), mt5_utf8(HOURS, "UTC")):
        check(read(tmp_path, content, FormatSpec(preset="mt5"))[0], HOURS)


def test_binance_turns_to_microseconds_within_a_file(tmp_path: Path) -> None:
    """Two downloads joined have both units, and each cell is read in its own; a declared unit refuses the other with its row."""
    content = LAYOUTS["binance_klines"](HOURS, "UTC")
    assert len({len(line.split(b",")[0]) for line in content.splitlines()}) == 2
    check(read(tmp_path, content, FormatSpec(preset="binance_klines"))[0], HOURS)
    with pytest.raises(BarsError) as caught:
        read(tmp_path, content, FormatSpec(preset="binance_klines", date="unix_ms"))
    assert (caught.value.code, caught.value.where["row"]) == ("date_too_late", 49)


def test_half_days_are_daily(tmp_path: Path) -> None:
    """Bars labelled by their close, 16:00 and 13:00 before holidays, are days in TradeStation's layout and in TradingView's."""
    closes = [day.replace(hour=18 if day.day in {3, 24} else 21) for day in DAYS.moments]
    bars = Bars(closes, DAYS.prices, DAYS.volumes)
    for preset, form in (
        ("tradestation", FormatSpec(preset="tradestation", timezone="America/New_York")),
        ("tradingview", FormatSpec(preset="tradingview")),
    ):
        frame, report = read(tmp_path, LAYOUTS[preset](bars, "America/New_York"), form)
        assert (report.time_format, frame["timestamp_unix"].to_list()) == ("none", DAYS.seconds)
        assert "daily_time_dropped" in {warning.code for warning in report.warnings}


def test_volumes_with_k_and_m(tmp_path: Path) -> None:
    """Investing.com's volumes, prices with thousands commas and percent come out as numbers, newest first."""
    frame, _ = read(tmp_path, LAYOUTS["investing"](DAYS, "UTC"), FormatSpec(preset="investing"))
    assert frame["timestamp_unix"].to_list() == DAYS.seconds
    assert frame["Close"].to_list() == [prices[3] for prices in DAYS.prices]
    expected = [float(f"{v / 1e6:.2f}e6") if v >= 1_000_000 else float(f"{v / 1e3:.2f}e3") for v in DAYS.volumes]
    assert frame["Volume"].to_list() == expected
    assert set(frame["ChangePercent"]) == {-0.0025}
