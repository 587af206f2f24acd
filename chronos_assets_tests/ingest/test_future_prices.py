"""Features that know prices of later bars are found, and honest ones are not suspected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronos_assets.ingest.future_prices import features_ahead
from chronos_assets_tests.ingest.test_bars_fuzz import campaign


@pytest.mark.parametrize("seed", range(5))
def test_every_leak_is_found_and_no_honest_feature_suspected(seed: int, tmp_path: Path) -> None:
    """Of an honest set of features with every kind of leak beside it, the leaks and nothing else are told."""
    leaks = campaign("leaks")
    prices, random = leaks.bars_of(900_000 + seed)
    frame = leaks.honest(prices, random)
    assert leaks.suspicions(leaks.read(frame, tmp_path)) == []
    kinds = leaks.leaks(frame, random)
    names = [name for name in frame.columns if name != "Date"]
    known = [make() for make in kinds.values()]
    values = np.column_stack([*(frame[name].cast(float).fill_null(np.nan).to_numpy() for name in names), *known])
    features = [name for name in names if not name.startswith("TGT") and name not in {"Open", "High", "Low", "Close", "Volume"}]
    found = features_ahead([*names, *kinds], values, features=[*features, *kinds], prices={"open": "Open", "close": "Close"}, targets=[])
    assert found.keys() == kinds.keys()


def test_a_leaky_file_is_told_once(tmp_path: Path) -> None:
    """`inspect`'s warning names the one feature that leaks and how it shows."""
    leaks = campaign("leaks")
    _, kind, messages = leaks.judge_features(600_003, tmp_path)
    assert leaks.only_the_leak(messages), (kind, messages)
    assert len(messages) == 1


def test_without_prices_a_target_tells_what_knows_it_beneath_noise() -> None:
    """A feature that is the target and as much noise again is found without any price; one that knows the last target is not."""
    random = np.random.default_rng(1)
    target, other = random.normal(size=(2, 1_000))
    values = np.column_stack([target, target + other, np.concatenate([[0.0], target[:-1]]), other])
    found = features_ahead(["T", "LEAK", "LAST", "NOISE"], values, features=["LEAK", "LAST", "NOISE"], prices={}, targets=["T"])
    assert list(found) == ["LEAK"]
    assert found["LEAK"].startswith("correlation 0.7")


def test_a_close_beside_opens_alone_is_honest() -> None:
    """In a file without Close, what equals the next open (the close of the bar) is known at the bar, and no suspect."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(size=800) * 0.01))
    opens = np.concatenate([[100.0], close[:-1]])
    values = np.column_stack([opens, close, np.concatenate([close[1:], [np.nan]])])
    found = features_ahead(["Open", "Last", "NEXT"], values, features=["Last", "NEXT"], prices={"open": "Open"}, targets=[])
    assert list(found) == ["NEXT"]
