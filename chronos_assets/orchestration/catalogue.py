"""What the catalog says of every asset besides its own description: owners, tags, documentation, table, and how fresh it should be."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path

from dagster import AssetsDefinition, AssetSpec, FreshnessPolicy

from chronos_assets.domain.slug import Slug
from chronos_assets.errors import ChronosError
from chronos_assets.orchestration.dagster_internals import schedule_execution_time_iterator
from chronos_assets.settings import Settings
from chronos_assets.storage.manifest_files import find_manifests

# asset -> (page of the documentation, its table where it has one)
PAGES = {
    "indicator_csv": ("docs/INPUT.md", None),
    "normalized_bars": ("docs/INPUT.md", None),
    "walkforward_profiles": ("docs/WALKFORWARD.md", None),
    "simulation_profiles": ("docs/SIMULATION.md", None),
    "indicator_bars": ("docs/storage/QUESTDB_INGESTION.md", "indicator_bars"),
    "indicator_datasets": ("docs/storage/POSTGRES.md", "indicator_datasets"),
    "feature_selection": ("docs/LFS.md", "lfs_runs"),
    "walkforward_predictions": ("docs/WALKFORWARD.md", "walkforward_predictions"),
    "trading_simulations": ("docs/SIMULATION.md", "trading_sim_traces"),
    "live_models": ("docs/MODELS.md", "live_signals"),
    "night_summary": ("docs/DAGSTER.md", None),
}
OBSERVED = ("indicator_csv", "walkforward_profiles", "simulation_profiles")
SELECTED_FOR_SOME = "feature_selection"  # a manifest without an `lfs` section never materializes it
NIGHT_LASTS = timedelta(hours=6)
DAY = timedelta(days=1)
CLOSED = 3 * DAY  # a weekend with a holiday beside it: no bar comes
TICKS = 8


def dressed(assets: list[AssetsDefinition | AssetSpec], settings: Settings) -> list[AssetsDefinition | AssetSpec]:
    """The assets with what the settings and the manifests in exports/ say of all of them."""
    night = night_period(settings)
    late = night + NIGHT_LASTS
    stale = late + bar_period(settings.exports_dir)

    def dress(spec: AssetSpec) -> AssetSpec:
        name = spec.key.to_user_string()
        page, table = PAGES[name]
        metadata = {**spec.metadata, "documentation": page, **({"dagster/table_name": table} if table else {})}
        spec = spec.replace_attributes(owners=list(settings.dagster_owners), tags={**spec.tags, **tags_of(settings)}, metadata=metadata)
        if name in OBSERVED or name == SELECTED_FOR_SOME:
            return spec
        return spec.replace_attributes(freshness_policy=FreshnessPolicy.time_window(late if name == "night_summary" else stale))

    return [one.map_asset_specs(dress) if isinstance(one, AssetsDefinition) else dress(one) for one in assets]


def tags_of(settings: Settings) -> dict[str, str]:
    """`dagster_tags` (`key=value`) as tags."""
    return {name.strip(): value.strip() for name, _, value in (entry.partition("=") for entry in settings.dagster_tags)}


def night_period(settings: Settings) -> timedelta:
    """The longest time between two of the next nights."""
    ticks = islice(schedule_execution_time_iterator(time.time(), settings.nightly_cron, settings.nightly_timezone), TICKS)
    return max(later - earlier for earlier, later in pairwise(ticks))


def bar_period(exports: Path) -> timedelta:
    """How long no bar may come in the ordinary course of things: closed days, or two bars of the coarsest dataset in `exports`."""
    seconds = [0]
    for path in find_manifests(exports):
        try:
            seconds.append(Slug.parse(path.stem).interval_seconds)
        except ChronosError:
            continue  # the sensor says what is wrong with its name
    return max(DAY + CLOSED, 2 * timedelta(seconds=max(seconds)))
