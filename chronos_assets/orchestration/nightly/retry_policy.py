"""Datasets whose run failed and whose content did not change since: which of them are asked for once more.

What passes by itself, a step repeats three times within a minute, and Dagster repeats once a run that was cut off. Where that was too
little (a server was away for longer, the code server was gone when the run was to start), the manifest sensor asks again, after a wait that
doubles, a few times. A manifest or file that was refused is never asked for again before it changes:
each night says that it still stands refused, and why.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from chronos_assets.orchestration.dagster_internals import WILL_RETRY_TAG, InstigatorStatus, InstigatorType
from chronos_assets.orchestration.nightly.morning import NOT_AGAIN
from chronos_assets.orchestration.nightly.nightly_summary import INTERRUPTS, failure_of
from chronos_assets.orchestration.run_tags import CONTENT_TAG, PARTITION_TAG
from chronos_assets.pipeline.upkeep.changes import Found, Known

FIRST_WAIT_SECONDS = 60
MOST_TRIES = 4
LOOK_BACK = timedelta(hours=6)
MOST_RUNS = 200
MOST_REFUSED = 2_000
CUT_OFF = "its run was cut off"
MANIFEST_SENSOR = "manifest_sensor"


def to_try_again(instance: DagsterInstance, known: Mapping[str, Known]) -> dict[str, str]:
    """slug -> why, of datasets whose last run, of the content that is known, failed of something that passes by itself."""
    failed: dict[str, list[RunRecord]] = defaultdict(list)
    since = datetime.now(UTC) - LOOK_BACK
    for record in instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=since), limit=MOST_RUNS):
        tags = record.dagster_run.tags
        slug = tags.get(PARTITION_TAG, "")
        if slug in known and known[slug].content and tags.get(CONTENT_TAG) == known[slug].content:
            failed[slug].append(record)
    whys = {slug: _due(instance, slug, records) for slug, records in failed.items()}
    return {slug: f"{why}, try {len(failed[slug]) + 1}" for slug, why in whys.items() if why}


def retry_is_pending(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a failed run is tried again by itself: by Dagster at once, or by the manifest sensor after a wait."""
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return True
    slug, content = run.tags.get(PARTITION_TAG, ""), run.tags.get(CONTENT_TAG)
    if not slug or not content or not what_can_pass(instance, run.run_id) or _sensor_is_off(instance):
        return False
    same = RunsFilter(statuses=[DagsterRunStatus.FAILURE], tags={PARTITION_TAG: slug, CONTENT_TAG: content})
    since = datetime.now(UTC) - LOOK_BACK
    return len([one for one in instance.get_run_records(same, limit=MOST_TRIES) if one.update_timestamp >= since]) < MOST_TRIES


def _sensor_is_off(instance: DagsterInstance) -> bool:
    """Whether somebody turned the manifest sensor off in the UI: then nobody asks again."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    return any(one.name == MANIFEST_SENSOR and one.status is InstigatorStatus.STOPPED for one in states)


def _due(instance: DagsterInstance, slug: str, records: list[RunRecord]) -> str:
    """What failed the newest of these runs (newest first), if it is the dataset's last run, can pass, and is old enough."""
    last = records[0]
    waited = time.time() - (last.end_time or last.update_timestamp.timestamp())
    if len(records) >= MOST_TRIES or waited < FIRST_WAIT_SECONDS * 2 ** (len(records) - 1):
        return ""
    newest = instance.get_runs(RunsFilter(tags={PARTITION_TAG: slug}), limit=1)
    return what_can_pass(instance, last.dagster_run.run_id) if newest[0].run_id == last.dagster_run.run_id else ""


def what_can_pass(instance: DagsterInstance, run_id: str) -> str:
    """What failed the run, if that passes by itself: a server that was away, or an end from outside (killed, never launched)."""
    failed = _failed_as(instance, run_id, "passing")
    if failed is not None:
        return "a server was away" if failed else ""
    for entry in instance.all_logs(run_id, of_type={DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}):
        event = entry.dagster_event
        if event is not None and event.is_step_failure:
            error = event.step_failure_data.error
            return CUT_OFF if error is not None and error.cls_name in INTERRUPTS else ""
        if event is not None and (event.message or "").startswith("Exceeded maximum runtime"):
            return ""  # it would take as long again
    return CUT_OFF


def still_refused(instance: DagsterInstance, found: Iterable[Found]) -> dict[str, str]:
    """slug -> what to tell, of datasets whose newest run refused exactly the content that lies there now."""
    content = {one.slug: one.content for one in found if one.content is not None}
    told = {}
    for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]), limit=MOST_REFUSED):  # newest first
        slug = run.tags.get(PARTITION_TAG, "")
        if content.get(slug) is None or run.tags.get(CONTENT_TAG) != content.pop(slug):
            continue
        newest = instance.get_runs(RunsFilter(tags={PARTITION_TAG: slug}), limit=1)
        if newest[0].run_id == run.run_id and _failed_as(instance, run.run_id, "refused"):
            message = failure_of(instance, run.run_id)[1]
            told[slug] = f"{slug}: unchanged since it was refused (run {run.run_id[:8]}), so {NOT_AGAIN}{message}"
    return told


def was_refused(instance: DagsterInstance, run_id: str) -> bool:
    """Whether a failed run refused its manifest or file."""
    return bool(_failed_as(instance, run_id, "refused"))


def _failed_as(instance: DagsterInstance, run_id: str, kind: str) -> bool | None:
    """What the first failed step that knows of `kind` (`passing`, `refused`) says of it; None if none does."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        data = None if event is None else event.step_failure_data.user_failure_data
        if data is not None and kind in data.metadata:
            return bool(data.metadata[kind].value)
    return None
