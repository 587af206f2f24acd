"""Upkeep at the end of a night, or by `chronos prune`: what the retention policy does not keep goes, Dagster's own records included."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from chronos_assets.domain.byte_size import byte_size
from chronos_assets.orchestration.partitions import PARTITION_TAG
from chronos_assets.pipeline.upkeep.compaction import Compacted, compact_where_due
from chronos_assets.pipeline.upkeep.prune import KeepOf, Pruned, PrunePlan, keep_of, plan_prune, prune
from chronos_assets.settings import Settings

if TYPE_CHECKING:
    from chronos_assets.domain.retention import Keep
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import Prune

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
# Whoever looks at a run that has just ended must find it.
YOUNG = timedelta(hours=1)
PAGE = 500
RUNS_OF_DATASET = "runs of no dataset"


def run_upkeep(
    stores: Stores, instance: DagsterInstance, *, slug: str | None = None, override: Keep | None = None, dry_run: bool = False
) -> Prune:
    """Say what goes (`dry_run`), or let it go, in the stores and in Dagster; `override` stands for every dataset's policy."""
    policy = keep_of(stores.settings, override)
    plan = plan_prune(stores, policy, slug)
    old = old_dagster_runs(instance, policy, slug)
    if dry_run:
        return _document(plan, None, len(old))
    pruned = prune(stores, policy, slug)
    deleted = delete_dagster_runs(instance, old, stores.settings)
    compacted, waiting = compact_where_due(stores)
    return _document(plan, replace(pruned, skipped=[*pruned.skipped, *waiting]), deleted, compacted)


def old_dagster_runs(instance: DagsterInstance, policy: KeepOf, slug: str | None = None) -> list[str]:
    """Ids of ended Dagster runs that the policy does not keep: of each dataset the newest `nights` stay, and the last of each month."""
    tags = {} if slug is None else {PARTITION_TAG: slug}
    by_dataset: dict[str, list[RunRecord]] = defaultdict(list)
    cursor: str | None = None
    while records := instance.get_run_records(RunsFilter(statuses=ENDED, tags=tags), limit=PAGE, cursor=cursor):
        for record in records:
            by_dataset[record.dagster_run.tags.get(PARTITION_TAG, RUNS_OF_DATASET)].append(record)
        cursor = records[-1].dagster_run.run_id
    now = datetime.now(UTC)
    old: list[str] = []
    for dataset, newest_first in by_dataset.items():
        keep = policy(dataset)
        kept = {one.dagster_run.run_id for one in newest_first[: keep.nights]}
        successes = [one for one in newest_first if one.dagster_run.status is DagsterRunStatus.SUCCESS]
        kept |= {one.dagster_run.run_id for one in successes[:1]}  # its materializations say what the dataset's state is
        months: dict[str, str] = {}
        for one in successes:
            months.setdefault(f"{one.create_timestamp:%Y-%m}", one.dagster_run.run_id)
        kept |= set(list(months.values())[: keep.months])
        old += [
            one.dagster_run.run_id
            for one in newest_first
            if one.dagster_run.run_id not in kept and now - one.create_timestamp.astimezone(UTC) > YOUNG
        ]
    return old


def delete_dagster_runs(instance: DagsterInstance, run_ids: Iterable[str], settings: Settings) -> int:
    """Delete Dagster runs with their events and captured output; returns how many went."""
    output, count = settings.home / "dagster" / "output", 0
    for run_id in run_ids:
        if instance.get_run_by_id(run_id) is not None:  # another upkeep may be faster
            instance.delete_run(run_id)
        for folder in (output / run_id, settings.home / "dagster" / "storage" / run_id):
            shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count


def upkeep_words(document: Prune) -> list[str]:
    """What an upkeep did, for people; nothing if nothing went and nothing had to stay."""
    simulations = sum(one.simulations for one in document.runs)
    went = f"retired by policy: {len(document.runs)} runs with {simulations} simulations, {document.files} files,"
    lines = [f"{went} {document.dagster_runs} Dagster runs; {byte_size(document.bytes)} of files freed"]
    something = document.runs or document.files or document.dagster_runs or document.bytes
    compacted = [f"compacted {one.table}: {one.rows_dropped:,} dead rows, {byte_size(one.bytes_freed)} freed" for one in document.compacted]
    return [*(lines if something else []), *compacted, *(f"left: {words}" for words in document.skipped)]


def _document(plan: PrunePlan, pruned: Pruned | None, dagster_runs: int, compacted: Sequence[Compacted] = ()) -> Prune:
    from chronos_assets.views.documents import CompactedTable, Prune, PrunedRun

    stayed = [] if pruned is None else pruned.skipped
    runs = [one for one in plan.runs if not any(one.run_id in words for words in stayed)]
    return Prune(
        dry_run=pruned is None,
        runs=[PrunedRun(**vars(one)) for one in runs],
        kept=plan.kept,
        files=len(plan.files) + len(plan.prices),
        bytes=sum(one.bytes for one in plan.runs) + sum(plan.files.values()) + sum(plan.prices.values())
        if pruned is None
        else pruned.bytes,
        attempts=0 if pruned is None else pruned.attempts,
        compacted=[
            CompactedTable(table=one.before.table, rows_dropped=one.before.rows - one.after.rows, bytes_freed=one.bytes_freed)
            for one in compacted
        ],
        dagster_runs=dagster_runs,
        skipped=plan.waiting if pruned is None else stayed,
    )
