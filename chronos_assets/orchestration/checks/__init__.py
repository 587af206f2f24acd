"""Checks of the lineage. Each belongs to its dataset's partition, and says its verdict in one line, the rows behind it, and what to do."""

from chronos_assets.orchestration.checks.bars import bars_checks, post_export_diff
from chronos_assets.orchestration.checks.live_models import live_model_checks
from chronos_assets.orchestration.checks.selection import selection_checks
from chronos_assets.orchestration.checks.simulations import simulation_checks
from chronos_assets.orchestration.checks.walkforward import walkforward_checks

CHECKS = [bars_checks, post_export_diff, selection_checks, walkforward_checks, simulation_checks, live_model_checks]

__all__ = ["CHECKS"]
