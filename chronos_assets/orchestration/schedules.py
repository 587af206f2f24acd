"""When things run by themselves: once a night, what changed."""

from __future__ import annotations

from collections.abc import Iterator

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from chronos_assets.orchestration.night import CONTENT_TAG, NIGHT_TAG, WHY_TAG, summarize
from chronos_assets.orchestration.partitions import PARTITION_TAG, add_partitions
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.backfill import Known, decide, survey


def nightly(job: UnresolvedAssetJobDefinition, workplace: Workplace) -> ScheduleDefinition:
    """The schedule that asks for one run per dataset whose content no successful run has covered yet."""

    @schedule(
        name="nightly",
        job=job,
        cron_schedule=workplace.settings.nightly_cron,
        execution_timezone=workplace.settings.nightly_timezone,
        default_status=DefaultScheduleStatus.RUNNING,
        description="One run for each dataset that changed since its last successful run.",
    )
    def nights(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        night = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M%z}"
        found = survey(workplace.settings)
        decision = decide(found, covered(context.instance, [one.slug for one in found]))
        for report in decision.reports:
            context.log.warning(report)
        add_partitions(context.instance, [request.slug for request in decision.requests])
        if not decision.requests:
            context.instance.report_runless_asset_event(summarize(context.instance, night, []).materialization())
            yield SkipReason(f"nothing changed in {len(found)} manifests. {'; '.join(decision.reports)}"[:4000])
        for request in decision.requests:
            tags = {NIGHT_TAG: night, WHY_TAG: f"nightly: {request.why}", CONTENT_TAG: request.content}
            yield RunRequest(run_key=f"{night}:{request.slug}", partition_key=request.slug, tags=tags)

    return nights


def covered(instance: DagsterInstance, slugs: list[str]) -> dict[str, Known]:
    """The content that the latest successful run of each dataset covered; a run that was started by hand names none."""
    known = {}
    for slug in slugs:
        runs = instance.get_runs(RunsFilter(tags={PARTITION_TAG: slug}, statuses=[DagsterRunStatus.SUCCESS]), limit=20)
        contents = [run.tags[CONTENT_TAG] for run in runs if CONTENT_TAG in run.tags]
        if contents:
            known[slug] = Known(contents[0], 0)
    return known
