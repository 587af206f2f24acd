"""Impossible prices are counted, whatever pieces they come in, and real markets are left in peace."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from chronos_assets.ingest import price_checks
from chronos_assets.ingest.price_checks import PriceChecks, fault_masks, price_faults, price_fields

Floats = NDArray[np.float64]


def market(bars: int = 300, seed: int = 1) -> dict[str, Floats]:
    """Honest bars, float64 by field."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(size=bars) * 0.01))
    opens = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(size=bars) * 0.001)
    wick = 1 + np.abs(random.normal(size=bars)) * 0.003
    high, low = np.maximum(opens, close) * wick, np.minimum(opens, close) / wick
    return {"open": opens, "high": high, "low": low, "close": close, "volume": random.integers(0, 1000, bars).astype(float)}


def told(bars: dict[str, Floats]) -> dict[str, tuple[int, int]]:
    """Count and first bar by code."""
    return {fault.code: (fault.bars, fault.first) for fault in price_faults(bars)}


def bent(field: str, bar: int, change: Callable[[float], float]) -> dict[str, Floats]:
    """Honest bars with one value changed."""
    bars = market()
    bars[field][bar] = change(bars[field][bar])
    return bars


BENT = {
    "High below Low": ("high", lambda x: x * 0.9, {"price_high_below_low", "price_outside_range"}),
    "Close above High": ("close", lambda x: x * 1.05, {"price_outside_range"}),
    "Open below Low": ("open", lambda x: x * 0.95, {"price_outside_range"}),
    "a price of zero": ("close", lambda _: 0.0, {"price_zero", "price_outside_range"}),
    "a price below zero": ("open", lambda _: -5.0, {"price_negative", "price_outside_range"}),
    "a hundred times too large": ("high", lambda x: x * 100, {"price_jump"}),
    "a hundredth": ("low", lambda x: x / 100, {"price_jump"}),
    "a close of another market": ("close", lambda x: x * 40, {"price_jump", "price_outside_range"}),
    "a volume below zero": ("volume", lambda _: -10.0, {"volume_negative"}),
}


@pytest.mark.parametrize("what", BENT)
def test_each_kind_is_told_with_its_count_and_first_bar(what: str) -> None:
    """One bar that cannot be is told by the kinds it belongs to, and by no other."""
    field, change, codes = BENT[what]
    assert told(bent(field, 150, change)) == dict.fromkeys(codes, (1, 150))
    assert {code for code, mask in fault_masks(bent(field, 150, change)).items() if mask[150]} == codes


def test_honest_markets_are_silent() -> None:
    """Random walks, a gap that stays, a crash that comes back from a wild day, and a calm day of equal closes are no faults."""
    for seed in range(20):
        assert told(market(seed=seed)) == {}
    split = market()
    for field in price_checks.PRICES:
        split[field][200:] /= 10
    assert told(split) == {}
    crash = market()
    fall = np.array([0.95, 0.80, 0.72, 0.70, 0.60, 0.66, 0.68])
    for field, more in (("open", 1.0), ("close", 1.0), ("high", 1.12), ("low", 0.88)):
        crash[field][157:] *= 0.68
        crash[field][150:157] = market()["close"][149] * fall * more
    crash["low"][154] = market()["close"][149] * 0.45
    assert told(crash) == {}


def test_a_frozen_feed_is_told_and_a_short_pause_is_not() -> None:
    """Ten repeats in a row are frozen, nine are not; the run is counted whole."""
    for repeats, found in ((9, {}), (10, {"price_frozen": (10, 101)}), (150, {"price_frozen": (150, 101)})):
        bars = market()
        for field in price_checks.PRICES:
            bars[field][101 : 101 + repeats] = bars[field][100]
        assert told(bars) == found


@pytest.mark.parametrize("seed", range(6))
def test_pieces_of_any_size_give_the_counts_of_the_whole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, jumps and their neighbours are found across the edges of batches, and the row is that of the batch it came in."""
    bars, random = market(3_000, seed), np.random.default_rng(seed)
    for at in (50, 51, 1000, 2997):
        bars["close"][at] *= 50
    for start, stop in ((100, 113), (2000, 2400), (2990, 2996)):
        for field in price_checks.PRICES:
            bars[field][start:stop] = bars[field][start]
    whole = price_faults(bars)
    assert {fault.code for fault in whole} == {"price_outside_range", "price_jump", "price_frozen"}
    monkeypatch.setattr(price_checks, "_CHUNK_BARS", 256)
    checks, at = PriceChecks(), 0
    while at < 3_000:
        size = int(random.integers(1, 300))
        checks.add({field: values[at : at + size] for field, values in bars.items()}, lambda i, at=at: 2 + at + i)  # type: ignore[misc]
        at += size
    assert [(f.code, f.bars, f.first - 2) for f in checks.finish()] == [(f.code, f.bars, f.first) for f in whole]


def test_fields_are_found_in_any_case_and_by_a_name_within_a_name() -> None:
    """`OPEN` and `spx_high` are what they say; two candidates are none."""
    assert price_fields(["OPEN", "spx_high", "a_close", "b_close"]) == {"open": "OPEN", "high": "spx_high"}


def test_columns_that_are_missing_are_not_missed() -> None:
    """A file with closes alone is checked by them; one without prices has no fault."""
    closes = bent("close", 150, lambda x: x * 40)["close"]
    assert told({"close": closes}) == {"price_jump": (1, 150)}
    assert told({}) == {}
    assert told({"volume": np.array([1.0, -1.0])}) == {"volume_negative": (1, 1)}
