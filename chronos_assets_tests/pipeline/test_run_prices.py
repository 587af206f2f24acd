"""Where prices come from: columns by name, a second file by exact time, labels by declaration or by the closes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.errors import ChronosError, RefusedError
from chronos_assets.ingest import FormatSpec
from chronos_assets.pipeline.simulation.price_sources import ColumnPrices, FilePrices
from chronos_assets.pipeline.simulation.prices import missing_bars, price_columns
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord

HOUR = 3_600
START = 1_577_836_800


def record(*names: str) -> DatasetRecord:
    """A published hourly dataset with these price columns."""
    columns = tuple(DatasetColumn(name, "price", name) for name in names)
    now = datetime(2020, 1, 1, tzinfo=UTC)
    return DatasetRecord("x_1h_v1", "x", "1h", "test", "x_1h_v1", 30, now, now, 1, "sha256:00", "00", columns, now, now)


def table(rows: int = 30, *, close: str | None = "Close") -> pl.DataFrame:
    """Bars of the dataset: times and, where asked for, closes."""
    rng = np.random.default_rng(1)
    closes = 100 + np.cumsum(rng.normal(size=rows))
    frame = pl.DataFrame({"timestamp_unix": START + HOUR * np.arange(rows), "c": closes})
    return frame.rename({"c": close}) if close else frame.select("timestamp_unix")


def file_of(folder: Path, *, shift: int = 0, rows: int = 30) -> Path:
    """A price file of the same bars, its labels moved by `shift` seconds."""
    closes = table(rows)["Close"].to_numpy()
    stamps = [datetime.fromtimestamp(START + HOUR * k + shift, tz=UTC) for k in range(rows)]
    frame = pl.DataFrame(
        {
            "Date": [f"{s:%Y%m%d}" for s in stamps],
            "Time": [f"{s:%H%M}" for s in stamps],
            "Open": closes,
            "High": closes + 1,
            "Low": closes - 1,
            "Close": closes,
        }
    )
    path = folder / "prices.csv"
    frame.write_csv(path)
    return path


def test_columns_are_found_in_any_case_and_by_a_name_within_a_name() -> None:
    """`OPEN` and `spx_high` are what they say; two candidates are none."""
    found = price_columns(record("OPEN", "spx_high", "Low", "Close", "Volume"))
    assert {field: column.name for field, column in found.items()} == {"open": "OPEN", "high": "spx_high", "low": "Low", "close": "Close"}
    assert "close" not in price_columns(record("a_close", "b_close"))


def test_a_dataset_without_all_four_is_refused_unless_a_file_is_given(tmp_path: Path) -> None:
    """The refusal names what is missing and both keys of the manifest."""
    with pytest.raises(RefusedError, match="open, high, low missing") as caught:
        ColumnPrices().require(record("Close"))
    assert "ohlcv_file" in caught.value.hint
    assert "columns.prices" in caught.value.hint
    FilePrices(tmp_path / "x.csv").require(record("Close"))


def test_prices_are_named_by_their_content() -> None:
    """The same prices have the same hash, another value has another."""
    frame = table().with_columns(Open=pl.col("Close"), High=pl.col("Close"), Low=pl.col("Close"))
    columns = record("Open", "High", "Low", "Close")
    first, again = (ColumnPrices().read(columns, frame).source["content_hash"] for _ in range(2))
    assert first == again
    changed = frame.with_columns(Open=pl.when(pl.int_range(pl.len()) == 5).then(99.0).otherwise(pl.col("Open")))
    assert ColumnPrices().read(columns, changed).source["content_hash"] != first


@pytest.mark.parametrize(("own", "dataset", "shift"), [("open", "close", -HOUR), ("close", "open", HOUR), ("open", "open", 0)])
def test_declared_labels_are_brought_together(tmp_path: Path, own: str, dataset: str, shift: int) -> None:
    """A file labelled by opens is one bar early for a dataset labelled by closes, and the other way round."""
    file = FilePrices(file_of(tmp_path, shift=shift), FormatSpec(bar_time=own), dataset)
    prices = file.read(record("Close"), table())
    assert prices.source["shift_seconds"] == -shift
    assert prices.bars.priced.all()
    assert prices.warnings == []


def test_a_wrong_declaration_is_refused_by_the_closes(tmp_path: Path) -> None:
    """Labels that were declared are not guessed again: the closes do not agree, and that is said."""
    file = FilePrices(file_of(tmp_path), FormatSpec(bar_time="open"), "close")
    with pytest.raises(RefusedError, match="differ from those of the dataset"):
        file.read(record("Close"), table())


def test_labels_without_a_close_to_compare_are_assumed_and_said(tmp_path: Path) -> None:
    """Nothing tells how the file labels its bars, so that is a warning."""
    prices = FilePrices(file_of(tmp_path)).read(record(), table(close=None))
    assert [w["code"] for w in prices.warnings] == ["price_labels_assumed"]
    assert prices.bars.priced.all()


def test_missing_bars_are_counted_and_named(tmp_path: Path) -> None:
    """A file that ends early leaves bars without prices; the first of them are named."""
    prices = FilePrices(file_of(tmp_path, rows=28)).read(record("Close"), table())
    (said,) = missing_bars(prices.bars)
    assert "2 of 30 bars" in said["message"]
    assert "2020-01-02 04:00" in said["message"]


def test_a_file_of_another_time_matches_nothing(tmp_path: Path) -> None:
    """The refusal shows both ranges and points at the time zone."""
    with pytest.raises(RefusedError, match="no bar of the price file") as caught:
        FilePrices(file_of(tmp_path, shift=HOUR // 2)).read(record("Close"), table())
    assert "time zone" in caught.value.hint


def test_a_file_without_an_open_is_refused(tmp_path: Path) -> None:
    """A decision fills at an open, so closes alone are not enough."""
    path = tmp_path / "closes.csv"
    pl.DataFrame({"Date": ["20200101", "20200102"], "Close": [1.0, 2.0]}).write_csv(path)
    with pytest.raises(RefusedError, match="lacks open, high, low"):
        FilePrices(path).read(record("Close"), table())


@pytest.mark.parametrize(
    "profile",
    [
        {"modes": ["long", "long"]},
        {"modes": []},
        {"capital": 0},
        {"costs": {"commission_fraction": -0.1}},
        {"exits": {"stop_loss": {}}},
        {"exits": {"stop_loss": {"percent": 1.0, "atr": 1.0}}},
        {"exits": {"max_bars": 0}},
        {"sizing": {"method": "martingale"}},
        {"unknown": 1},
    ],
)
def test_a_profile_out_of_range_is_refused(profile: dict[str, object]) -> None:
    """Nothing is silently corrected."""
    with pytest.raises((ValueError, ChronosError)):
        SimulationProfile.model_validate(profile)


def test_the_resolved_profile_leaves_out_what_changes_no_number() -> None:
    """Modes have simulations of their own; names and formats of files are not part of the identity."""
    resolved = SimulationProfile.model_validate({"modes": ["long"], "walkforward": "other", "ohlcv_format": {"timezone": "UTC"}}).resolved()
    assert resolved == SimulationProfile().resolved()
    assert SimulationProfile(seed=8).resolved() != resolved
