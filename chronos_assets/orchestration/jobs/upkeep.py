"""The job `upkeep`: what `chronos prune` does, as a run. `night_watch` asks for it at the end of each night."""

from dagster import Config, JobDefinition, MetadataValue, OpExecutionContext, ResourceParam, in_process_executor, job, op
from pydantic import Field

from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import table
from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns
from chronos_assets.orchestration.nightly.upkeep import run_upkeep
from chronos_assets.orchestration.resources import Workplace

UPKEEP_JOB = "upkeep"


class UpkeepConfig(Config):
    """Whether anything goes."""

    dry_run: bool = Field(default=False, description="Only say what would go.")


@op(description="Retire superseded runs that the retention policy does not keep, with simulations, files and Dagster runs.")
def let_go(context: OpExecutionContext, config: UpkeepConfig, workplace: ResourceParam[Workplace]) -> None:
    """Prune all datasets."""
    with user_facing_errors(context):
        document = run_upkeep(workplace.stores, InstanceRuns(context.instance, workplace.settings), dry_run=config.dry_run)
    for words in document.skipped:
        context.log.warning("left: %s", words)
    context.add_output_metadata(
        {
            "runs_retired": len(document.runs),
            "simulations_retired": sum(one.simulations for one in document.runs),
            "models_deleted": document.models,
            "bytes_freed": document.bytes,
            "files_removed": document.files,
            "dagster_runs_deleted": document.dagster_runs,
            "table_bytes_freed": sum(one.bytes_freed for one in document.compacted),
            "kept": MetadataValue.json(document.kept),
            **({"runs": table([one.model_dump() for one in document.runs])} if document.runs else {}),
        }
    )


def upkeep_job() -> JobDefinition:
    """The job, one run for all datasets."""

    @job(name=UPKEEP_JOB, executor_def=in_process_executor, description="What the retention policy does not keep goes.")
    def upkeep() -> None:
        let_go()

    return upkeep
