"""The job `lfs`: one feature selection, as `chronos lfs` makes it, as a run of one partition. The API launches it."""

from typing import Any

from dagster import Config, JobDefinition, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from chronos_assets.errors import ConflictError
from chronos_assets.orchestration.assets.selection import selection_metadata
from chronos_assets.orchestration.executors import lineage_executor
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.selection.launch import LFS_JOB, LFS_OP


class LfsConfig(Config):
    """The request."""

    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Parameters as an `lfs` profile of a manifest writes them: `{target: TGT_A, permutations: 199}`."
    )
    profile: str = Field(default="default", description="`lfs` profile of the manifest that the parameters change.")
    lfs_id: str | None = Field(default=None, description="Selection that is expected to come out; another one is not computed.")


@op(name=LFS_OP, pool="gpu", description="Select the features of one request; the same request returns at once or goes on.")
def run_selection(context: OpExecutionContext, config: LfsConfig, workplace: ResourceParam[Workplace]) -> None:
    """Select for one partition."""
    from chronos_assets.domain.profiles.variants import change_profile
    from chronos_assets.pipeline.selection.launch import drop_request, require_wanted
    from chronos_assets.pipeline.selection.request import plan_lfs
    from chronos_assets.pipeline.selection.run import run_request
    from chronos_assets.views.selections import read_selection

    with user_facing_errors(context):
        manifest, stores = workplace.manifest(context.partition_key).manifest, workplace.stores
        profile = change_profile(manifest.lfs_profile(config.profile), config.parameters, what="the lfs profile")
        request = plan_lfs(context.partition_key, profile, stores, horizon_of=manifest.horizon, walkforward=manifest.walkforward_profile())
        if config.lfs_id is not None and request.lfs_id != config.lfs_id:
            drop_request(stores.postgres, config.lfs_id)
            raise ConflictError(
                "the dataset or its manifest changed since the selection was requested",
                code="lfs_moved",
                expected=config.lfs_id,
                found=request.lfs_id,
                hint="Request it again.",
            )
        if config.lfs_id is not None:
            require_wanted(stores.postgres, config.lfs_id)
        outcome = run_request(
            request,
            stores,
            requested_by=f"dagster {context.run_id}",
            dagster_run_id=context.run_id,
            progress=workplace.progress(context),
        )
        selection = read_selection(stores.postgres, outcome.lfs_id)
        for warning in selection.warnings:
            context.log.warning("%s: %s", warning.code, warning.message)
        context.add_output_metadata(selection_metadata(stores, selection) | {"lfs_id": outcome.lfs_id, "reused": outcome.reused})


def lfs_job() -> JobDefinition:
    """The job, one run per request."""

    @job(
        name=LFS_JOB,
        partitions_def=DATASETS,
        executor_def=lineage_executor,
        description="One Local Feature Selection: which indicators separate the target's classes near each bar.",
    )
    def lfs() -> None:
        run_selection()

    return lfs
