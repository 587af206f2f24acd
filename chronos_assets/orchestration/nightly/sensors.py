"""What starts runs and what follows them: the manifest sensor, the summary of a night, and the alert of a failed run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from dagster import (
    AssetKey,
    AssetObservation,
    DagsterInstance,
    DefaultSensorStatus,
    JobDefinition,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from chronos_assets.errors import ChronosError
from chronos_assets.orchestration.alerts import Alert, send, sinks_of
from chronos_assets.orchestration.dagster_internals import DATA_VERSION_TAG, UnresolvedAssetJobDefinition
from chronos_assets.orchestration.liveness import ACTIVE
from chronos_assets.orchestration.nightly.morning import ended_of
from chronos_assets.orchestration.nightly.nightly_summary import (
    failure_of,
    is_summarized,
    materialization,
    report_quiet_nights,
    runs_of_night,
    summarize,
)
from chronos_assets.orchestration.nightly.retry_policy import MANIFEST_SENSOR, retry_is_pending, still_refused, to_try_again, was_refused
from chronos_assets.orchestration.nightly.schedules import covered, in_progress
from chronos_assets.orchestration.partitions import DATASETS, partition_run
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, NIGHT_TAG, PARTITION_TAG, WHY_TAG
from chronos_assets.pipeline.upkeep.changes import (
    Found,
    Known,
    Request,
    decide,
    decode_known,
    encode_known,
    forget,
    gone_words,
    retired_words,
    skip_words,
    survey,
)

NOTHING = Known("", 0)


def manifest_sensor(job: UnresolvedAssetJobDefinition, workplace: Workplace) -> SensorDefinition:
    """The sensor that adds a partition for each manifest and asks for a run if the manifest or its file changed."""

    @sensor(
        name=MANIFEST_SENSOR,
        job=job,
        minimum_interval_seconds=workplace.settings.manifest_poll_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Adds a partition for each manifest in exports/ and asks for a run if its content, or that of its file, changed.",
    )
    def follow_manifests(context: SensorEvaluationContext) -> SensorResult:
        found = survey(workplace.settings)
        known = decode_known(context.cursor)
        known |= run_by_others(context.instance, found, known, workplace)
        decision = decide(found, known, again=to_try_again(context.instance, known))
        have = set(context.instance.get_dynamic_partitions("dataset"))
        new = sorted({request.slug for request in decision.requests} - have)
        kept, retired = _gone(decision.gone, workplace)
        reports = [*decision.reports, *map(gone_words, kept), *map(retired_words, retired)]
        for report in reports:
            context.log.warning(report)
        return SensorResult(
            run_requests=[run_request(request) for request in decision.requests],
            skip_reason=None if decision.requests else SkipReason(skip_words(len(found), reports)),
            dynamic_partitions_requests=[
                *([DATASETS.build_add_request(new)] if new else []),
                *([DATASETS.build_delete_request(sorted(have & set(retired)))] if have & set(retired) else []),
            ],
            cursor=encode_known(forget(decision.known, retired)),
            asset_events=[_observation(request) for request in decision.requests],
        )

    return follow_manifests


def run_by_others(instance: DagsterInstance, found: Sequence[Found], known: Mapping[str, Known], workplace: Workplace) -> dict[str, Known]:
    """What to remember of datasets whose content a command or a person ran, or runs now: the same content is not run again."""
    from chronos_assets.storage.datasets import find_dataset

    new = {one.slug: one.content for one in found if one.content is not None and one.content != known.get(one.slug, NOTHING).content}
    ran = covered(instance, list(new)) if new else {}
    taken = {slug for slug, content in new.items() if ran.get(slug, NOTHING).content == content} | set(in_progress(instance, new))
    return {
        slug: Known(new[slug], known.get(slug, NOTHING).attempt)
        for slug in taken
        if slug in in_progress(instance, new) or find_dataset(workplace.stores.postgres, slug) is not None  # not one that was retired
    }


def _gone(slugs: list[str], workplace: Workplace) -> tuple[list[str], list[str]]:
    """Of datasets without a manifest: those still published (kept, and told), and those that are not (their partitions may go)."""
    from chronos_assets.storage.datasets import find_dataset

    kept = [slug for slug in slugs if find_dataset(workplace.stores.postgres, slug) is not None]
    return kept, sorted(set(slugs) - set(kept))


def run_request(request: Request) -> RunRequest:
    """The run of one request, with tags that say why it exists."""
    why = {WHY_TAG: request.why, CONTENT_TAG: request.content}
    return partition_run(request.run_key, request.slug, why)


def _observation(request: Request) -> AssetObservation:
    """The file as the tick saw it: its data version makes everything below it stale until the run has come that far."""
    return AssetObservation(
        AssetKey("indicator_csv"),
        partition=request.slug,
        description=f"{request.why}: a run is asked for",
        metadata={"content": request.content},
        tags={DATA_VERSION_TAG: request.checksum},
    )


def night_watch(upkeep: JobDefinition, workplace: Workplace) -> SensorDefinition:
    """The sensor that materializes `night_summary` when the last run of a night has ended, and asks for the night's upkeep."""

    from chronos_assets.views.nights import record_night

    @sensor(
        name="night_watch",
        job=upkeep,
        minimum_interval_seconds=workplace.settings.manifest_poll_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Writes one summary when all runs of a night have ended, then asks for the upkeep by the retention policy.",
    )
    def watch_nights(context: SensorEvaluationContext) -> SensorResult:
        report_quiet_nights(context.instance, workplace.stores.postgres, within=timedelta(days=1))
        night = latest_night(context.instance)
        if night is None or night == context.cursor:
            return SensorResult(skip_reason=SkipReason("no night to sum up"), cursor=context.cursor)
        if context.instance.get_runs(RunsFilter(tags={NIGHT_TAG: night}, statuses=ACTIVE), limit=1):
            return SensorResult(skip_reason=SkipReason(f"runs of {night} are not all done"), cursor=context.cursor)
        if is_summarized(context.instance, night):
            return SensorResult(skip_reason=SkipReason(f"{night} is summed up"), cursor=night)
        found, runs = survey(workplace.settings), runs_of_night(context.instance, night)
        ran = {run.tags.get(PARTITION_TAG) for run in runs}
        refused = still_refused(context.instance, [one for one in found if one.slug not in ran])
        summary = summarize(context.instance, night, runs, [*decide(found, {}).reports, *refused.values()])
        started = min((one.create_timestamp for one in context.instance.get_run_records(RunsFilter(tags={NIGHT_TAG: night}))), default=None)
        ended = ended_of(summary, found, was_refused=partial(was_refused, context.instance), refused=refused)
        morning = record_night(workplace.stores, night, started or datetime.now(UTC), ended)
        asked = [RunRequest(run_key=f"{upkeep.name}:{night}")] if workplace.settings.nightly_prune else []
        return SensorResult(asset_events=[materialization(summary, morning)], run_requests=asked, cursor=night)

    return watch_nights


def latest_night(instance: DagsterInstance) -> str | None:
    """Name of the last night that asked for runs."""
    runs = instance.get_runs(RunsFilter(tags={"dagster/schedule_name": "nightly"}), limit=1)
    return runs[0].tags.get(NIGHT_TAG) if runs else None


def failure_alert(workplace: Workplace) -> SensorDefinition:
    """The sensor that tells the sinks about each failed run, in the words of the check or error that ended it."""

    @run_failure_sensor(
        name="failure_alert",
        default_status=DefaultSensorStatus.RUNNING,
        monitor_all_code_locations=True,
        description="Tells the log, and the webhook and mailbox of the settings, why a run failed.",
    )
    def tell(context: RunFailureSensorContext) -> None:
        run = context.instance.get_run_by_id(context.dagster_run.run_id) or context.dagster_run
        if retry_is_pending(context.instance, run):
            context.log.info("%s failed and is tried again by itself: nobody is told yet", run.run_id)
            return
        step, message = failure_of(context.instance, run.run_id)
        alert = Alert(
            run.tags.get(PARTITION_TAG, ""), step, message or context.failure_event.message or "", run.run_id, run.tags.get(WHY_TAG, "")
        )
        send(alert, sinks_of(workplace.settings))
        try:
            for dead in _declare_dead(workplace):
                context.log.warning("%s was left running by a process that is gone; it is marked failed", dead)
        except ChronosError as error:  # told is told: a server that is away must not make the tick fail
            context.log.warning("rows that were left running could not be looked for: %s", error)

    return tell


def _declare_dead(workplace: Workplace) -> list[str]:
    """Mark our own rows failed that say `running` while nobody works on them."""
    from chronos_assets.storage.runs import declare_dead_runs
    from chronos_assets.storage.simulations import declare_dead_simulations

    postgres = workplace.stores.postgres
    return [*declare_dead_runs(postgres), *declare_dead_simulations(postgres)]
