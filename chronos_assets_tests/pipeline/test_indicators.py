"""Indicators from prices alone: causal to the last bit, the same in blocks as at once, with targets that reach as far as they say."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.indicators import SETS, TARGETS, Indicator
from chronos_assets.errors import RefusedError
from chronos_assets.ingest import normalize
from chronos_assets.pipeline import indicators as written
from chronos_assets.pipeline.indicators import blocks, write_indicators
from chronos_assets_tests.support.vendor_files import LAYOUTS, made_up

ALL = [indicator for chosen in SETS.values() for indicator in chosen]
FIELDS = ("Open", "High", "Low", "Close", "Volume")


def prices(seed: int, count: int, start: int = 1_700_000_000, step: int = 3_600) -> pl.DataFrame:
    """A random walk with a range around each bar."""
    random_ = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random_.normal(0, 0.01, count)))
    opened = close * np.exp(random_.normal(0, 0.003, count))
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    volume = np.floor(np.exp(random_.normal(6, 1, count)))
    times = start + step * np.arange(count, dtype=np.int64)
    return pl.DataFrame({"timestamp_unix": times, "Open": opened, "High": high, "Low": low, "Close": close, "Volume": volume})


def with_date(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(Date=pl.from_epoch("timestamp_unix").dt.date())


def bent_after(frame: pl.DataFrame, row: int, factor: float) -> pl.DataFrame:
    later = pl.int_range(pl.len()) > row
    return frame.with_columns(pl.when(later).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in FIELDS)


@pytest.mark.parametrize("indicator", ALL, ids=lambda indicator: indicator.name)
def test_the_future_does_not_reach_an_indicator(indicator: Indicator) -> None:
    """Whatever happens to the prices after a bar, the indicator at and before it stays the same to the last bit."""

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 1_000), row=st.integers(0, 399), factor=st.sampled_from([1e-6, 0.5, 1.0001, 3.0, 1e6]))
    def holds(seed: int, row: int, factor: float) -> None:
        frame = with_date(prices(seed, 400))
        before = frame.select(indicator.expression.alias("x")).head(row + 1)
        after = bent_after(frame, row, factor).select(indicator.expression.alias("x")).head(row + 1)
        assert_frame_equal(before, after, check_exact=True)

    holds()


@pytest.mark.parametrize("indicator", ALL, ids=lambda indicator: indicator.name)
def test_an_indicator_knows_the_bars_that_it_names(indicator: Indicator) -> None:
    """It is a number from its last warm-up bar on, finite, and not the same throughout."""
    values = with_date(prices(3, 600)).select(indicator.expression.alias("x"))["x"]
    assert values.is_finite().fill_null(value=False)[indicator.bars - 1 :].all()
    assert values[indicator.bars - 1 :].n_unique() > 4
    if "RSI" not in indicator.name and "MACD" not in indicator.name:
        # The true range of the very first bar is its range: an average of it may be there one bar early.
        assert values[: indicator.bars - 1].fill_nan(None).null_count() >= indicator.bars - 2


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_target_reaches_exactly_its_horizon(name: str) -> None:
    """It uses a price of the bar at its horizon and none after it."""
    target, frame, row = TARGETS[name], with_date(prices(5, 400)), 200
    value = frame.select(target.expression).to_series()[row]
    assert bent_after(frame, row + target.horizon, 1.5).select(target.expression).to_series()[row] == value
    assert bent_after(frame, row + target.horizon - 1, 1.5).select(target.expression).to_series()[row] != value


@pytest.mark.parametrize("of_set", list(SETS))
def test_blocks_are_the_whole(of_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed in blocks, every value is that of the whole series at once, and bars that are appended change no earlier one."""
    frame, targets = prices(11, 9_000), list(TARGETS.values())
    warm_up = max(indicator.bars for indicator in SETS[of_set]) - 1
    at_once = pl.concat(blocks(frame, SETS[of_set], targets, warm_up))
    monkeypatch.setattr(written, "BLOCK_BARS", 700)
    in_blocks = pl.concat(blocks(frame, SETS[of_set], targets, warm_up))
    assert in_blocks.height == 9_000 - warm_up
    assert_frame_equal(in_blocks, at_once, abs_tol=2e-8, rel_tol=0)
    shorter = pl.concat(blocks(frame.head(8_000), SETS[of_set], [], warm_up))
    assert_frame_equal(shorter, in_blocks.select(shorter.columns).head(shorter.height), check_exact=True)


def test_a_vendors_file_becomes_a_dataset(tmp_path: Path) -> None:
    """Prices in MetaTrader's layout give a file that reads as it is: same bars, same prices, targets with their empty ends."""
    bars = made_up(random.Random(9), 500, dt.timedelta(hours=1))
    (tmp_path / "gold.csv").write_bytes(LAYOUTS["mt5"](bars, "Europe/Athens"))
    spec = BarsSpec(format=FormatSpec(preset="mt5", timezone="Europe/Athens"))
    made = write_indicators(tmp_path / "gold.csv", spec, tmp_path / "gold_1h.csv", of_set="tssb-like", targets=["return-1", "atr-10"])
    report = normalize(tmp_path / "gold_1h.csv", BarsSpec(target_horizon=made.target_horizon), tmp_path / "gold.arrow")
    again = pl.read_ipc((tmp_path / "gold.arrow").read_bytes())
    warm_up = 500 - made.rows
    assert again["timestamp_unix"].to_list() == bars.seconds[warm_up:]
    assert again["Close"].to_list() == [row[3] for row in bars.prices[warm_up:]]
    assert (report.by_role("feature"), report.by_role("target")) == (made.indicators, ["TGT_RET_1", "TGT_ATR_10"])
    assert made.target_horizon == {"TGT_RET_1": 2, "TGT_ATR_10": 11}
    nulls = {column.name: column.nulls for column in report.columns}
    assert (nulls["TGT_RET_1"], nulls["TGT_ATR_10"]) == (2, 11)
    assert not {"lookahead_suspect", "target_horizon_short"} & {warning.code for warning in report.warnings}


def test_prices_without_volume_and_prices_that_are_missing(tmp_path: Path) -> None:
    """Volume indicators are left out and named; a missing price, too few bars and an output that is there are refused."""
    source, out = tmp_path / "p.csv", tmp_path / "out.csv"
    prices(1, 300, step=86_400).with_columns(Date=pl.from_epoch("timestamp_unix").dt.strftime("%Y%m%d")).select(
        "Date", "Open", "High", "Low", "Close"
    ).write_csv(source)
    made = write_indicators(source, BarsSpec(), out, of_set="tssb-like", targets=["return-1"])
    assert made.left_out == ["VOLUME_MOMENTUM_5", "VOLUME_MOMENTUM_25", "INTRADAY_INTENSITY_10", "INTRADAY_INTENSITY_30"]
    assert pl.read_csv(out).columns[:2] == ["Date", "Open"]
    for of_set, text, code in (
        ("demo", None, "file_exists"),
        ("demo", "Date,Open,High,Low,Last\n20240101,1,2,1,2\n", "prices_missing"),
        ("demo", "Date,Open,High,Low,Close\n20240101,1,2,1,2\n", "bars_too_few"),
    ):
        if text is not None:
            source.write_text(text)
        with pytest.raises(RefusedError) as caught:
            write_indicators(source, BarsSpec(), out, of_set=of_set, targets=[], force=text is not None)
        assert caught.value.code == code
        assert caught.value.hint
    assert pl.read_csv(out).height == made.rows
