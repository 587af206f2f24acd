"""The demonstration dataset: real bars, causal indicators, the same bytes every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from chronos_assets.pipeline.demo import SLUG, build_demo, indicators, read_sp500, targets

PRICES = ["Open", "High", "Low", "Close", "Volume"]


def _perturbed_after(prices: pl.DataFrame, row: int) -> pl.DataFrame:
    later = pl.int_range(pl.len()) > row
    return prices.with_columns(pl.when(later).then(pl.col(name) * 1.7).otherwise(pl.col(name)).alias(name) for name in PRICES)


def test_every_indicator_uses_no_later_bar() -> None:
    """Changing every price after a bar changes no indicator at or before it."""
    prices, row = read_sp500(), 3000
    before = prices.select(**indicators()).head(row + 1)
    after = _perturbed_after(prices, row).select(**indicators()).head(row + 1)
    assert_frame_equal(before, after, check_exact=True)


def test_targets_reach_as_far_as_the_manifest_says() -> None:
    """A target depends on the open of its horizon's bar and on none after it."""
    prices, row = read_sp500(), 3000
    for name, horizon in (("TGT_RET_1", 2), ("TGT_RET_5", 6)):
        value = prices.select(**targets())[name][row]
        assert _perturbed_after(prices, row + horizon).select(**targets())[name][row] == value
        assert _perturbed_after(prices, row + horizon - 1).select(**targets())[name][row] != value


def test_the_demo_is_written_once_and_the_same_everywhere(tmp_path: Path) -> None:
    """Two folders get the same bytes, the manifest carries the file's checksum, and an edited manifest is kept."""
    first, second = build_demo(tmp_path / "a"), build_demo(tmp_path / "b")
    data = (tmp_path / "a" / f"{SLUG}.csv").read_bytes()
    assert data == (tmp_path / "b" / f"{SLUG}.csv").read_bytes()
    assert first.read_bytes() == second.read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" in first.read_text()
    assert len(pl.read_csv(data)) == 4781

    first.write_text(first.read_text() + "# mine\n")
    assert build_demo(tmp_path / "a").read_text().endswith("# mine\n")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [f"{SLUG}.csv", f"{SLUG}.yaml"]
