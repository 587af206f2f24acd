"""Ended runs of Dagster, read and deleted through Dagster itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from chronos_assets.orchestration.run_tags import PARTITION_TAG
from chronos_assets.settings import Settings
from chronos_assets.storage.dagster_records import EndedRun

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
PAGE = 500


class InstanceRuns:
    """The runs of an instance; captured output of steps lies below the home of `settings`."""

    def __init__(self, instance: DagsterInstance, settings: Settings) -> None:
        self._instance, self._settings = instance, settings

    def ended(self, slug: str | None = None) -> Iterator[EndedRun]:
        """Runs that have ended, of a dataset or all, the newest first."""
        tags = {} if slug is None else {PARTITION_TAG: slug}
        cursor: str | None = None
        while records := self._instance.get_run_records(RunsFilter(statuses=ENDED, tags=tags), limit=PAGE, cursor=cursor):
            for one in records:
                run = one.dagster_run
                succeeded = run.status is DagsterRunStatus.SUCCESS
                yield EndedRun(run.run_id, run.tags.get(PARTITION_TAG), succeeded, one.create_timestamp.astimezone(UTC))
            cursor = records[-1].dagster_run.run_id

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs with their events and captured output; returns how many."""
        files = self._settings.home / "dagster"
        for run_id in run_ids:
            if self._instance.get_run_by_id(run_id) is not None:  # another upkeep may be faster
                self._instance.delete_run(run_id)
            for folder in (files / "output" / run_id, files / "storage" / run_id):
                shutil.rmtree(folder, ignore_errors=True)
        return len(run_ids)
