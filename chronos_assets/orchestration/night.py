"""The night in one look: a materialization that says how many datasets ran, what they added, what failed and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
)
from dagster_shared.error import SerializableErrorInfo

from chronos_assets.orchestration.metadata import markdown_table, table
from chronos_assets.orchestration.partitions import PARTITION_TAG

NIGHT_TAG = "chronos/night"
WHY_TAG = "chronos/why"
CONTENT_TAG = "chronos/content"
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

    def sentence(self) -> str:
        """All of it in one line."""
        if not self.rows:
            return "nothing to do"
        done = len(self.rows) - len(self.failures)
        return (
            f"{done} of {len(self.rows)} datasets done, {self.totals['rows_written']:,} rows added, {self.totals['folds_trained']:,} folds "
            f"trained, {self.totals['folds_reused']:,} reused, {len(self.failures)} failed"
        )

    def materialization(self) -> AssetMaterialization:
        """What the page of `night_summary` shows."""
        failures = f"**{self.sentence()}**\n\n{markdown_table(self.failures)}"
        return AssetMaterialization(
            "night_summary",
            description=self.sentence(),
            metadata={
                "night": self.name,
                "summary": MetadataValue.md(failures[:990]),
                "datasets": len(self.rows),
                "failed": len(self.failures),
                **self.totals,
                "failures": table(self.failures),
                "runs": table(self.rows),
            },
        )


def summarize(instance: DagsterInstance, name: str, runs: Sequence[DagsterRun]) -> Night:
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
    return Night(name, rows, totals, failures)


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
