"""The night in one look: a materialization that says how many datasets ran, what they added, what failed and why.

A night also counts the runs that ended since the night before: a file that came in the evening was taken by the manifest sensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetSpec,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    EventLogEntry,
    MetadataValue,
    RunsFilter,
)
from dagster_shared.error import SerializableErrorInfo

from chronos_assets.orchestration.metadata import markdown_table, table
from chronos_assets.orchestration.partitions import NIGHT_TAG, PARTITION_TAG, WHY_TAG

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
MOST_RUNS = 2_000
INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")  # classes of the error of a step that was stopped
SUMMED = ("rows_written", "folds_trained", "folds_reused", "trades")

night_summary = AssetSpec(
    "night_summary",
    group_name="operations",
    kinds={"dagster"},
    owners=["team:research"],
    description="One materialization per night or backfill: datasets that ran, rows added, folds trained and reused, failures in words.",
)


@dataclass(frozen=True)
class Night:
    """What one night or backfill did."""

    name: str
    rows: list[dict[str, Any]]
    totals: dict[str, int]
    failures: list[dict[str, str]]
    problems: Sequence[str] = ()
    """Manifests and files that were not taken, each by name and reason."""

    def sentence(self) -> str:
        """All of it in one line."""
        untaken = f"{len(self.problems)} not taken" if self.problems else ""
        if not self.rows:
            return f"nothing to do, {untaken}" if untaken else "nothing to do"
        done = len(self.rows) - len(self.failures)
        return (
            f"{done} of {len(self.rows)} datasets done, {self.totals['rows_written']:,} rows added, {self.totals['folds_trained']:,} folds "
            f"trained, {self.totals['folds_reused']:,} reused, {len(self.failures)} failed{', ' if untaken else ''}{untaken}"
        )

    def materialization(self) -> AssetMaterialization:
        """What the page of `night_summary` shows."""
        told = [*self.failures, *({"dataset": "", "step": "not taken", "reason": words} for words in self.problems)]
        failures = f"**{self.sentence()}**\n\n{markdown_table(told)}"
        return AssetMaterialization(
            "night_summary",
            description=self.sentence(),
            metadata={
                "night": self.name,
                "summary": MetadataValue.md(failures[:990]),
                "datasets": len(self.rows),
                "failed": len(self.failures),
                **self.totals,
                "not_taken": len(self.problems),
                "failures": table(told),
                "runs": table(self.rows),
            },
        )


def runs_of_night(instance: DagsterInstance, name: str) -> list[DagsterRun]:
    """The runs of night `name`, and those that ended since the night before it (or within a day) and belong to no other."""
    since = _latest_summary(instance) or datetime.now(UTC) - timedelta(days=1)
    own = instance.get_runs(RunsFilter(tags={NIGHT_TAG: name}))
    ended = instance.get_runs(RunsFilter(statuses=ENDED, updated_after=since), limit=MOST_RUNS)
    by_day = [run for run in ended if PARTITION_TAG in run.tags and NIGHT_TAG not in run.tags]
    return [*own, *by_day]


def _latest_summary(instance: DagsterInstance) -> datetime | None:
    """When the latest night (not a backfill of the command line) was summed up."""
    for record in instance.fetch_materializations(AssetKey("night_summary"), limit=100).records:
        materialization = record.asset_materialization
        if materialization is not None and not str(materialization.metadata["night"].value).startswith("backfill"):
            return datetime.fromtimestamp(record.timestamp, UTC)
    return None


def summarize(instance: DagsterInstance, name: str, runs: Sequence[DagsterRun], problems: Sequence[str] = ()) -> Night:
    """Collect what `runs` recorded."""
    rows, failures = [], []
    totals = dict.fromkeys(SUMMED, 0)
    for run in runs:
        counts = run_counts(instance, run.run_id)
        for key in SUMMED:
            totals[key] += counts.get(key, 0)
        slug = run.tags.get(PARTITION_TAG, "")
        rows.append({"dataset": slug, "status": run.status.value.lower(), "why": run.tags.get(WHY_TAG, ""), **counts})
        if run.status is not DagsterRunStatus.SUCCESS:
            step, sentence = failure_of(instance, run.run_id)
            failures.append({"dataset": slug, "step": step, "reason": sentence or run.status.value.lower()})
    rows.sort(key=lambda row: (row["status"] == "success", row["dataset"]))  # what failed comes first: the table is bounded
    return Night(name, rows, totals, failures, problems)


def run_counts(instance: DagsterInstance, run_id: str) -> dict[str, int]:
    """The summed numbers of one run, from the metadata of its materializations."""
    counts = dict.fromkeys(SUMMED, 0)
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.asset_materialization
        for key, value in materialization.metadata.items() if materialization else ():
            if key in SUMMED and isinstance(value.value, int):
                counts[key] += value.value
    return counts


def failure_of(instance: DagsterInstance, run_id: str) -> tuple[str, str]:
    """(step, sentence) of the first failed step of a run, or what the run itself says where no step failed."""
    return first_failure(
        instance.all_logs(run_id, of_type={DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED})
    )


def first_failure(entries: Iterable[EventLogEntry]) -> tuple[str, str]:
    """(step, sentence) of the first failure among `entries`; empty where there is none."""
    last = ("", "")
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return event.step_key or "", data.user_failure_data.description
            return event.step_key or "", _deepest(data.error) if data.error else event.message or ""
        last = ("", event.message or "")
    return last


def _deepest(error: SerializableErrorInfo) -> str:
    """First line of what really happened, below what wraps it."""
    while error.cause is not None:
        error = error.cause
    return next(iter(error.message.strip().splitlines()), "")


def is_summarized(instance: DagsterInstance, name: str) -> bool:
    """Whether the latest nights on record include `name`."""
    records = instance.fetch_materializations(AssetKey("night_summary"), limit=20).records
    return any(m is not None and m.metadata["night"].value == name for m in (r.asset_materialization for r in records))
