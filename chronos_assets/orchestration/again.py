"""Datasets that are asked for once more although nothing changed: their run failed of something that passes by itself.

A step repeats such a thing three times within a minute. Where that was too short (a server was away for longer), the manifest sensor asks
again, after a wait that doubles, a few times. Bad data are never asked for again before they change.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from chronos_assets.orchestration.partitions import CONTENT_TAG, PARTITION_TAG
from chronos_assets.pipeline.backfill import Known

FIRST_WAIT_SECONDS = 60
MOST_TRIES = 4
LOOK_BACK = timedelta(hours=6)
MOST_RUNS = 200


def to_try_again(instance: DagsterInstance, known: Mapping[str, Known]) -> dict[str, str]:
    """slug -> why, of datasets whose last run, of the content that is known, failed of something that passes."""
    failed: dict[str, list[RunRecord]] = defaultdict(list)
    since = datetime.now(UTC) - LOOK_BACK
    for record in instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=since), limit=MOST_RUNS):
        tags = record.dagster_run.tags
        slug = tags.get(PARTITION_TAG, "")
        if slug in known and known[slug].content and tags.get(CONTENT_TAG) == known[slug].content:
            failed[slug].append(record)
    return {slug: f"a server was away, try {len(records) + 1}" for slug, records in failed.items() if _is_due(instance, slug, records)}


def _is_due(instance: DagsterInstance, slug: str, records: list[RunRecord]) -> bool:
    """Whether the newest of these failures (newest first) is the dataset's last run, can pass, and is old enough."""
    last = records[0]
    waited = time.time() - (last.end_time or last.update_timestamp.timestamp())
    if len(records) >= MOST_TRIES or waited < FIRST_WAIT_SECONDS * 2 ** (len(records) - 1):
        return False
    newest = instance.get_runs(RunsFilter(tags={PARTITION_TAG: slug}), limit=1)
    return newest[0].run_id == last.dagster_run.run_id and can_pass(instance, last.dagster_run.run_id)


def can_pass(instance: DagsterInstance, run_id: str) -> bool:
    """Whether a step of the run failed of what passes by itself."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        data = None if event is None else event.step_failure_data.user_failure_data
        if data is not None and "passing" in data.metadata:
            return bool(data.metadata["passing"].value)
    return False
