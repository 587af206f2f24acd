"""Upkeep at the end of a night, or by `chronos prune`: what the retention policy does not keep goes, Dagster's own records included.

Which of Dagster's runs go is decided here, of plain rows; who reads and deletes them is handed in, so that Dagster is not loaded for that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from chronos_assets.domain.byte_size import byte_size
from chronos_assets.pipeline.upkeep.compaction import Compacted, compact_where_due
from chronos_assets.pipeline.upkeep.prune import KeepOf, Pruned, PrunePlan, keep_of, plan_prune, prune

if TYPE_CHECKING:
    from chronos_assets.domain.retention import Keep
    from chronos_assets.storage.dagster_records import EndedRun
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import Prune

# Whoever looks at a run that has just ended must find it.
YOUNG = timedelta(hours=1)
RUNS_OF_DATASET = "runs of no dataset"


class DagsterRuns(Protocol):
    """Dagster's runs as upkeep needs them."""

    def ended(self, slug: str | None = None) -> Iterable[EndedRun]:
        """Runs that have ended, of a dataset or all, the newest first."""

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs with their events and captured output; returns how many."""


def run_upkeep(
    stores: Stores, dagster_runs: DagsterRuns, *, slug: str | None = None, override: Keep | None = None, dry_run: bool = False
) -> Prune:
    """Say what goes (`dry_run`), or let it go, in the stores and in Dagster; `override` stands for every dataset's policy."""
    policy = keep_of(stores.settings, override)
    plan = plan_prune(stores, policy, slug)
    old = old_dagster_runs(dagster_runs.ended(slug), policy)
    if dry_run:
        return _document(plan, None, len(old))
    pruned = prune(stores, policy, slug)
    deleted = dagster_runs.delete(old) if old else 0
    compacted, waiting = compact_where_due(stores)
    return _document(plan, replace(pruned, skipped=[*pruned.skipped, *waiting]), deleted, compacted)


def old_dagster_runs(newest_first: Iterable[EndedRun], policy: KeepOf) -> list[str]:
    """Ids of ended runs that the policy does not keep: of each dataset the newest `nights` stay, and the last of each month."""
    by_dataset: dict[str, list[EndedRun]] = defaultdict(list)
    for one in newest_first:
        by_dataset[one.dataset or RUNS_OF_DATASET].append(one)
    now = datetime.now(UTC)
    old: list[str] = []
    for dataset, runs in by_dataset.items():
        keep = policy(dataset)
        successes = [one for one in runs if one.succeeded]
        kept = {one.run_id for one in [*runs[: keep.nights], *successes[:1]]}  # the last success says what the dataset's state is
        months: dict[str, str] = {}
        for one in successes:
            months.setdefault(f"{one.created_at:%Y-%m}", one.run_id)
        kept |= set(list(months.values())[: keep.months])
        old += [one.run_id for one in runs if one.run_id not in kept and now - one.created_at > YOUNG]
    return old


def upkeep_words(document: Prune) -> list[str]:
    """What an upkeep did, for people; nothing if nothing went and nothing had to stay."""
    simulations = sum(one.simulations for one in document.runs)
    went = f"retired by policy: {len(document.runs)} runs with {simulations} simulations, {document.files} files,"
    went += f" {document.models} models with their signals," if document.models else ""
    lines = [f"{went} {document.dagster_runs} Dagster runs; {byte_size(document.bytes)} of files freed"]
    something = document.runs or document.files or document.models or document.dagster_runs or document.bytes
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
        files=plan.files,
        bytes=plan.bytes if pruned is None else pruned.bytes,
        models=len(plan.models) if pruned is None else pruned.models,
        attempts=0 if pruned is None else pruned.attempts,
        compacted=[
            CompactedTable(table=one.before.table, rows_dropped=one.before.rows - one.after.rows, bytes_freed=one.bytes_freed)
            for one in compacted
        ],
        dagster_runs=dagster_runs,
        skipped=plan.waiting if pruned is None else stayed,
    )
