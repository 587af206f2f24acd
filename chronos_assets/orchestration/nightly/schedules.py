"""When things run by themselves: once a night, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultScheduleStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from chronos_assets.orchestration.dagster_internals import UnresolvedAssetJobDefinition
from chronos_assets.orchestration.liveness import ACTIVE
from chronos_assets.orchestration.nightly.morning import ended_of
from chronos_assets.orchestration.nightly.nightly_summary import materialization, runs_of_night, summarize
from chronos_assets.orchestration.nightly.retry_policy import still_refused, was_refused
from chronos_assets.orchestration.partitions import add_partitions, partition_run
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, NIGHT_TAG, PARTITION_TAG, WHY_TAG
from chronos_assets.pipeline.upkeep.changes import Known, Request, decide, skip_words, survey

QUERY_SIZE = 500


def nightly(job: UnresolvedAssetJobDefinition, workplace: Workplace) -> ScheduleDefinition:
    """The schedule that asks for one run per dataset whose content no successful run has covered yet."""

    from chronos_assets.views.nights import record_night

    @schedule(
        name="nightly",
        job=job,
        cron_schedule=workplace.settings.nightly_cron,
        execution_timezone=workplace.settings.nightly_timezone,
        default_status=DefaultScheduleStatus.RUNNING,
        description=(
            "One run for each dataset that changed since its last successful run. When all have ended, the asset night_summary says what "
            "came of it. To start a night now: Preview tick result, Continue, Launch all."
        ),
    )
    def nights(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        by_hand = is_preview(context)
        night = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S%z} by hand" if by_hand else f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M%z}"
        found = survey(workplace.settings)
        refused = still_refused(context.instance, found)
        busy = in_progress(context.instance, {one.slug: one.content for one in found if one.content is not None})
        left_out = refused.keys() | busy.keys()
        decision = decide([one for one in found if one.slug not in left_out], covered(context.instance, [one.slug for one in found]))
        reports = [*decision.reports, *refused.values()]
        for words in busy.values():
            context.log.info(words)
        for report in reports:
            context.log.warning(report)
        add_partitions(context.instance, [request.slug for request in decision.requests])
        if not decision.requests:
            if not by_hand:
                summary = summarize(context.instance, night, runs_of_night(context.instance, night), reports)
                ended = ended_of(summary, found, was_refused=partial(was_refused, context.instance), refused=refused, elsewhere=busy)
                morning = record_night(workplace.stores, night, datetime.now(UTC), ended)
                context.instance.report_runless_asset_event(materialization(summary, morning))
            yield SkipReason(skip_words(len(found), [*reports, *busy.values()]))
        ran = slugs_that_ran(context.instance) if decision.requests else set()
        for request in decision.requests:
            tags = {NIGHT_TAG: night, WHY_TAG: f"nightly: {why_words(request, ran)}", CONTENT_TAG: request.content}
            yield partition_run(f"{night}:{request.slug}", request.slug, tags)

    return nights


def is_preview(context: ScheduleEvaluationContext) -> bool:
    """Whether somebody looks at a tick in the UI, and may launch what it asks for, instead of the daemon, whose ticks are numbered.

    The UI offers times of other nights only; a night that is started now has a name of its own, so that it is summed up as itself.
    """
    return context.log_key is not None and not context.log_key[-1].isdigit()


def slugs_that_ran(instance: DagsterInstance) -> set[str]:
    """Datasets that had a run at any time, however it ended."""
    return {slug for _, slugs in instance.get_run_tags([PARTITION_TAG]) for slug in slugs}


def why_words(request: Request, ran: set[str]) -> str:
    """Why a dataset runs that no successful run has covered: it is new, or its earlier runs failed or stopped short."""
    return "no successful run of its content yet" if request.slug in ran and request.why == "new dataset" else request.why


def in_progress(instance: DagsterInstance, contents: Mapping[str, str]) -> dict[str, str]:
    """slug -> what to tell, of datasets whose content (by slug) a run works on now or waits to: no second run is asked for."""
    runs = instance.get_runs(RunsFilter(statuses=ACTIVE)) if contents else []
    busy = [(run.tags.get(PARTITION_TAG, ""), run) for run in runs]
    return {
        slug: f"{slug}: in progress, {run.tags.get(WHY_TAG) or 'launched in the UI'} (run {run.run_id[:8]})"
        for slug, run in busy
        if slug in contents and run.tags.get(CONTENT_TAG) == contents[slug]
    }


def covered(instance: DagsterInstance, slugs: list[str]) -> dict[str, Known]:
    """The content of the run that simulated each dataset last, if that run succeeded: whatever was started since did not get there."""
    last = AssetKey("trading_simulations")
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(last, DagsterEventType.ASSET_MATERIALIZATION, set(slugs))
    ids = sorted(newest.values())
    runs: dict[str, DagsterRun] = {}
    for start in range(0, len(ids), QUERY_SIZE):
        part = ids[start : start + QUERY_SIZE]
        records = instance.fetch_materializations(AssetRecordsFilter(last, storage_ids=part), limit=len(part)).records
        wanted = [record.run_id for record in records]
        runs |= {run.tags[PARTITION_TAG]: run for run in instance.get_runs(RunsFilter(run_ids=wanted)) if PARTITION_TAG in run.tags}
    done = {slug: run.tags.get(CONTENT_TAG, "") for slug, run in runs.items() if run.status is DagsterRunStatus.SUCCESS}
    return {slug: Known(content, 0) for slug, content in done.items() if content}
