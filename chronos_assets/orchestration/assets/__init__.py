"""The assets of the lineage, in the order in which a dataset goes through them."""

from chronos_assets.orchestration.assets.bars import indicator_bars, indicator_datasets
from chronos_assets.orchestration.assets.files import indicator_csv, normalized_bars, simulation_profiles, walkforward_profiles
from chronos_assets.orchestration.assets.live_models import live_models
from chronos_assets.orchestration.assets.selection import feature_selection
from chronos_assets.orchestration.assets.simulations import trading_simulations
from chronos_assets.orchestration.assets.walkforward import walkforward_predictions

SOURCES = [indicator_csv, walkforward_profiles, simulation_profiles]
ASSETS = [normalized_bars, indicator_bars, indicator_datasets, feature_selection, walkforward_predictions, trading_simulations, live_models]

SOURCE_NAMES = ["indicator_csv", "walkforward_profiles", "simulation_profiles"]

__all__ = ["ASSETS", "SOURCES", "SOURCE_NAMES"]
