"""The job `sweep`: what `chronos sweep` does, as a run of one partition.

Every point of the grid is a walk-forward run of its own and resumes. The ranking is the step's metadata; the warning about
the number of trials stands in the log and beside the ranking.
"""

from typing import TYPE_CHECKING, Any

from dagster import Config, JobDefinition, MetadataValue, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from chronos_assets.domain.statistics.ranking import RANKINGS_TOLD
from chronos_assets.orchestration.executors import lineage_executor
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import numbers, table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.pipeline.walkforward.sweep import SweepResult, Trial

SWEEP_JOB = "sweep"
# What the launchpad opens with: a small grid that every manifest takes. As the default it is there before a partition is chosen, too.
GRID: dict[str, list[Any]] = {"model.eta": [0.01, 0.05], "model.max_depth": [3, 5]}
EXAMPLE = {"ops": {"run_grid": {"config": {"grid": GRID}}}}
MOST_KEPT = 100  # trials in the metadata; all of them are runs, and `chronos sweep` shows them


class SweepConfig(Config):
    """The grid, and the profile that it starts from."""

    grid: dict[str, list[Any]] = Field(
        default=GRID, description="Values to try by dotted key: `{model.eta: [0.01, 0.05], train_size: [500, 650]}`."
    )
    profile: str = Field(default="default", description="Walk-forward profile of the manifest that the grid changes.")
    changes: dict[str, Any] = Field(default_factory=dict, description="Parameters changed in all points, nested or by dotted key.")
    rank_by: str = Field(default="profit_factor", description=f"{RANKINGS_TOLD}.")


@op(pool="gpu", description="Run every point of the grid (finished ones return at once) and rank them, with a warning.")
def run_grid(context: OpExecutionContext, config: SweepConfig, workplace: ResourceParam[Workplace]) -> None:
    """Sweep one partition."""
    from chronos_assets.domain.profiles.variants import change_profile
    from chronos_assets.pipeline.walkforward.sweep import run_sweep

    slug = context.partition_key
    with user_facing_errors(context):
        manifest = workplace.manifest(slug).manifest
        profile = change_profile(manifest.walkforward_profile(config.profile), config.changes)
        result = run_sweep(
            slug,
            profile,
            config.grid,
            workplace.stores,
            horizon_of=manifest.horizon,
            rank_by=config.rank_by,
            requested_by=f"dagster {context.run_id}",
            progress=workplace.progress(context),
        )
    for warning in result.warnings:
        context.log.warning("%s: %s", warning["code"], warning["message"])
    context.add_output_metadata(_metadata(result))


def sweep_job() -> JobDefinition:
    """The job, one run per dataset."""

    @job(
        name=SWEEP_JOB,
        partitions_def=DATASETS,
        config=EXAMPLE,
        executor_def=lineage_executor,
        description="Many walk-forward runs over a grid of parameters, ranked; the best of many trials is flattered by chance.",
    )
    def sweep() -> None:
        run_grid()

    return sweep


def _metadata(result: "SweepResult") -> dict[str, Any]:
    best = next((trial for trial in result.trials if trial.run_id is not None), None)
    return {
        "ranking": table([_row(trial) for trial in result.trials]),
        "trials": len(result.trials),
        "ranked_by": result.ranked_by,
        "sweep_id": result.sweep_id or "",
        "trials_on_record": result.trials_on_record,
        **_overfitting(result),
        "warnings": MetadataValue.md("\n\n".join(w["message"] for w in result.warnings) or "none"),
        "runs": MetadataValue.json([{"run_id": t.run_id, "changes": t.changes, "error": t.error} for t in result.trials[:MOST_KEPT]]),
        **({} if best is None else numbers({k: best.metrics.get(k) for k in ("n_signals", "signal_sum", "profit_factor")}, "best_")),
    }


def _overfitting(result: "SweepResult") -> dict[str, Any]:
    found = result.overfitting
    return {} if found is None else numbers({"probability_of_overfitting": found.probability, "spa_p_value": found.spa_p_value})


def _row(trial: "Trial") -> dict[str, object]:
    metrics = trial.metrics
    return {
        "changes": str(trial.changes),
        "run_id": trial.run_id or trial.error,
        "signals": metrics.get("n_signals"),
        "signal sum": metrics.get("signal_sum"),
        "profit factor": "no losses" if metrics.get("no_losses") else metrics.get("profit_factor"),
        "deflated probability": None if trial.deflated is None else trial.deflated.probability,
    }
