"""From a vendor's price file to trades, and the same trades whoever's layout the prices of the simulation come in."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

from polars.testing import assert_frame_equal

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.pipeline.indicators import write_indicators
from chronos_assets.pipeline.simulation.price_sources import price_source
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.upkeep.manifests import new_manifest
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.manifest_files import load_manifest
from chronos_assets.storage.simulations import read_trades
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.vendor_files import LAYOUTS, made_up

VENDORS = {
    "mt5": {"timezone": "Europe/Athens"},
    "ninjatrader": {"timezone": "America/New_York"},
    "tradingview": {},
    "cryptodatadownload": {},
    "binance_klines": {},
}
ZONES = {"mt5": "Europe/Athens", "ninjatrader": "America/New_York", "tradingview": "America/New_York"}
WALK = WalkforwardProfile.model_validate(
    {"target": "TGT_RET_1", "train_size": 150, "test_size": 30, "step": 30, "gap": 2, "model": {"rounds": 30, "early_stopping": 10}}
)


def test_prices_in_five_layouts_give_the_same_trades(stores: Stores, unique_slug: str, tmp_path: Path) -> None:
    """MetaTrader's prices become indicators, a published dataset, a run and trades; an `ohlcv_file` in each of five vendors' layouts, with
    their zones, orders and units, makes exactly the trades of the dataset's own prices."""
    slug = unique_slug.replace("_1d_", "_4h_")
    bars = made_up(random.Random(21), 640, dt.timedelta(hours=4), dt.datetime(2024, 10, 1))
    settings = stores.settings.model_copy(update={"exports_dir": tmp_path / "exports"})
    (tmp_path / "prices.txt").write_bytes(LAYOUTS["mt5"](bars, "Europe/Athens"))
    spec = BarsSpec(format=FormatSpec.model_validate({"preset": "mt5", "timezone": "Europe/Athens"}))
    out = settings.exports_dir / f"{slug}.csv"
    made = write_indicators(tmp_path / "prices.txt", spec, out, of_set="tssb-like", targets=["return-1"])
    manifest = new_manifest(out, settings, BarsSpec(target_horizon=made.target_horizon), slug=slug).path
    loaded = load_manifest(manifest)
    export_dataset(loaded, stores, settings)
    run_id = run_walkforward(slug, WALK, stores, horizon=2, horizon_assumed=False, requested_by="test").run_id
    given = {"modes": ["dual"], "exits": {"max_bars": 6}, "statistics": {"bootstraps": 20, "permutations": 20}}
    profile = SimulationProfile.model_validate(given)
    (own,) = simulate_run(run_id, profile, stores, prices=price_source(loaded, profile))
    trades = read_trades(stores, own.simulation_id)
    assert trades.height > 5
    text = manifest.read_text()
    for number, (vendor, keys) in enumerate(VENDORS.items(), start=1):
        prices = settings.exports_dir / f"{slug}.{vendor}.csv"
        prices.write_bytes(LAYOUTS[vendor](bars, ZONES.get(vendor, "UTC")))
        manifest.write_text(f"{text}ohlcv_file: {prices.name}\n")
        # Another seed of the resampling is another simulation, so that each one really trades on its file.
        form = FormatSpec.model_validate({"preset": vendor, **keys, "bar_time": None})
        changed = profile.model_copy(update={"seed": number, "ohlcv_format": form})
        (result,) = simulate_run(run_id, changed, stores, prices=price_source(load_manifest(manifest), changed))
        assert (result.reused, result.summary_metrics["prices"]["source"]) == (False, "ohlcv_file")
        found = read_trades(stores, result.simulation_id)
        ids = [name for name in trades.columns if name in {"simulation_id"}]
        assert_frame_equal(found.drop(ids), trades.drop(ids), check_exact=True)
