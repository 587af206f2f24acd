"""How far a target looks ahead, as far as its file shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.ingest.horizon import EmptyEnd, HorizonShown, horizons_shown
from chronos_assets.pipeline.upkeep.manifests import new_manifest
from chronos_assets.settings import load_settings
from chronos_assets_tests.ingest.test_bars_fuzz import campaign
from chronos_assets_tests.ingest.test_bars_report import noise, warned, with_columns
from chronos_assets_tests.support.bars_case import read, table

Floats = NDArray[np.float64]


def ended(*pieces: list[float | None]) -> int:
    end = EmptyEnd()
    for piece in pieces:
        end.add(pl.Series(piece, dtype=pl.Float64))
    return end.bars


def test_empty_cells_at_the_end_are_counted_across_batches() -> None:
    """Warm-up cells are no gap; a run inside as long as that at the end explains it; a column without numbers shows nothing."""
    assert ended([None, None, 1, 2], [3, None], [None], [None, None]) == 4
    assert ended([1.0, 2.0, 3.0]) == 0
    assert ended([1, None, None, 2, None, None]) == 0
    assert ended([1, None], [None, 2], [None], [None, None]) == 3
    assert ended([1], [None, None, None], [2, None, None]) == 0
    assert ended([None], [None, None]) == 0
    assert ended() == 0


@pytest.mark.parametrize("seed", range(5))
def test_known_horizons_are_shown_and_none_is_shown_longer(seed: int, tmp_path: Path) -> None:
    """Targets of one bar (returns, signs, levels, sizes, noise, a slow walk) show 1; longer ones never more than they are."""
    leaks = campaign("leaks")
    found = leaks.judge_horizons(700_000 + seed, tmp_path)
    assert {name: shown for name, (true, shown) in found.items() if shown > true} == {}
    exact = [name for name, (true, shown) in found.items() if shown == true > 1]
    assert len(exact) > 0.7 * sum(true > 1 for true, _ in found.values())


def test_a_target_that_moves_with_nothing_is_not_told_far(tmp_path: Path) -> None:
    """A target that is no function of the prices, without empty cells, is assumed to look one bar ahead, and that is said."""
    found = warned(read(tmp_path, with_columns(168, Close=noise(1), A=noise(2), TGT=noise(3))))
    assert "target_horizon_assumed" in found
    assert "target_horizon_undeclared" not in found


def far_file() -> bytes:
    """Daily closes with the return of five bars, known but for the last five, as the target."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(size=400) * 0.01))
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2022, 1, 1), eager=True)[:400].dt.strftime("%Y%m%d")
    cells = [f"{value:.8f}" for value in close[5:] / close[:-5] - 1] + [""] * 5
    return table([f"{day},{price:.8f},{cell}" for day, price, cell in zip(days, close, cells, strict=True)], "Date,Close,TGT_5")


def test_inspect_tells_an_undeclared_horizon_and_one_that_is_too_short(tmp_path: Path) -> None:
    """Undeclared it is told with the key to write; declared too short it is told too; declared right, nothing is."""
    report = read(tmp_path, far_file())
    (column,) = [column for column in report.columns if column.role == "target"]
    assert (column.horizon, column.horizon_shown) == (1, 5)
    assert column.horizon_reason == "the last 5 bars have no value and it moves with prices of up to 5 bars later"
    assert "target_horizon: {TGT_5: 5}" in warned(report)["target_horizon_undeclared"]
    assert "target_horizon_assumed" not in warned(report)
    short = warned(read(tmp_path, far_file(), BarsSpec(target_horizon={"default": 2})))
    assert "TGT_5 is declared as 2, the file shows 5" in short["target_horizon_short"]
    right = warned(read(tmp_path, far_file(), BarsSpec(target_horizon={"TGT_5": 5})))
    assert not {code for code in right if code.startswith("target_horizon")}


def test_a_new_manifest_proposes_what_the_file_shows(tmp_path: Path) -> None:
    """A horizon of more than one bar is written, with the reason and a word to check it; one bar stays a comment."""
    source = tmp_path / "x.csv"
    source.write_bytes(far_file())
    settings = load_settings(home=tmp_path / "home", exports_dir=tmp_path / "exports")
    written = new_manifest(source, settings, BarsSpec(), slug="x_1d_v1")
    text = written.path.read_text()
    assert "target_horizon: {TGT_5: 5}" in text.splitlines()
    assert "CHECK EACH" in text
    assert "#   TGT_5: the last 5 bars have no value" in text
    source.write_bytes(with_columns(168, A=noise(1), TGT=noise(2)))
    written = new_manifest(source, settings, BarsSpec(), slug="y_4h_v1", force=True)
    assert "# target_horizon: {TGT: 1}" in written.path.read_text().splitlines()


def test_a_damaged_price_makes_no_horizon() -> None:
    """Closes that are a hundred times too large do not make the return of the next bar look further."""
    random = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(random.normal(size=600) * 0.01))
    opens = np.concatenate([[100.0], close[:-1]])
    target = np.append(close[1:] / close[:-1] - 1, np.nan)
    close[[100, 300, 301, 450]] *= 100
    values = np.stack([opens, close, target], axis=1)
    shown = horizons_shown(["O", "C", "T"], values, prices={"open": "O", "close": "C"}, empty={"T": 1})
    assert shown["T"].bars == 1


def test_the_reason_names_what_was_seen() -> None:
    """Each kind of evidence, and none, has its words."""
    assert HorizonShown(1, 1).reason == "the last bar has no value and it moves with prices of the next bar"
    assert HorizonShown().reason == "nothing in the file says how far it looks"
    assert HorizonShown(3, 2).bars == 3
