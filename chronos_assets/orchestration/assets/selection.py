"""Features selected locally: every `lfs` profile of a manifest that has any. A manifest without one materializes nothing."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, Config, DataVersion, MaterializeResult, ResourceParam, asset
from pydantic import Field

from chronos_assets.orchestration.assets.files import CODE_VERSION, SOURCE_FILE, Metadata
from chronos_assets.orchestration.assets.walkforward import chosen
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import page_link, share_strips, table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import LfsFeature, LfsSelection

STRIPS = 10


class SelectionConfig(Config):
    """What a launch may choose; the profiles themselves are in the manifest."""

    profiles: list[str] = Field(default_factory=list, description="Names of lfs profiles to run; if empty, all of the manifest.")


@asset(
    partitions_def=DATASETS,
    deps=["indicator_datasets", SOURCE_FILE],
    group_name="research",
    kinds={"numba", "postgres"},
    code_version=CODE_VERSION,
    output_required=False,
    description=(
        "Which indicators separate the target's classes near each bar, with p-values from permuted targets. Made for manifests with an "
        "`lfs` section only. The same request is computed once; one that was interrupted goes on."
    ),
)
def feature_selection(
    context: AssetExecutionContext, config: SelectionConfig, workplace: ResourceParam[Workplace]
) -> Iterator[MaterializeResult[None]]:
    """Select for each profile."""
    from chronos_assets.pipeline.selection.run import run_lfs
    from chronos_assets.views.selections import read_selection

    with user_facing_errors(context):
        manifest = workplace.manifest(context.partition_key).manifest
        if not manifest.lfs:
            context.log.info("the manifest has no lfs profile: nothing to select")
            return
        stores, found = workplace.stores, {}
        for name in chosen(list(manifest.lfs), config.profiles, "lfs profile"):
            outcome = run_lfs(
                manifest.dataset,
                manifest.lfs_profile(name),
                stores,
                horizon_of=manifest.horizon,
                walkforward=manifest.walkforward_profile(),
                requested_by=f"dagster {context.run.run_id}",
                dagster_run_id=context.run.run_id,
                progress=workplace.progress(context),
            )
            found[name] = read_selection(stores.postgres, outcome.lfs_id)
            context.log.info("profile %s: selection %s%s", name, outcome.lfs_id, ", unchanged" if outcome.reused else "")
        for selection in found.values():
            for warning in selection.warnings:
                context.log.warning("%s: %s", warning.code, warning.message)
        version = hashlib.sha256(" ".join(sorted(s.run.lfs_id for s in found.values())).encode()).hexdigest()
        metadata = selection_metadata(stores, next(iter(found.values())))
        metadata["lfs_ids"] = {name: selection.run.lfs_id for name, selection in found.items()}
    yield MaterializeResult(data_version=DataVersion(version), metadata=metadata)


def selection_metadata(stores: "Stores", selection: "LfsSelection") -> Metadata:
    """The first features as a table, and a picture of their shares over time."""
    from chronos_assets.views.selections import read_shares

    shares = read_shares(stores, selection.run.lfs_id)
    summary, config = selection.run.summary_metrics or {}, selection.run.config
    strips = [(one.feature, one.shares) for one in shares.features[:STRIPS]]
    return {
        "features": table([_row(feature) for feature in selection.features if feature.excluded is None]),
        "share_over_time": share_strips(strips, "share of the cases that chose each feature, from the first case to the last"),
        "dashboard": page_link(stores.settings, f"/lfs/{selection.run.lfs_id}"),
        "target": selection.run.target_column,
        "cases": summary.get("cases", 0),
        "mean_kept": summary.get("mean_kept", 0.0),
        "permutations_done": summary.get("permutations_done", 0),
        "rows": f"{config['start_row']:,} to {config['end_row']:,}",
    }


def _row(feature: "LfsFeature") -> dict[str, object]:
    return {
        "feature": feature.feature,
        "pct": None if feature.pct is None else round(feature.pct, 1),
        "solo p": feature.p_solo,
        "unbiased p": feature.p_unbiased,
        "mark": feature.mark,
        "caution": feature.caution,
    }
