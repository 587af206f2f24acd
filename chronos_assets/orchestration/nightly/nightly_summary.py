"""The night in one look: a materialization that says how many datasets ran, what they added, what failed and why.

A night also counts the runs that ended since the night before: a file that came in the evening was taken by the manifest sensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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

from chronos_assets.orchestration.dagster_internals import SerializableErrorInfo
from chronos_assets.orchestration.liveness import ACTIVE
from chronos_assets.orchestration.metadata import plain, table
from chronos_assets.orchestration.nightly.night import ADDED, BACKFILL, SUMMED, Night, quiet_night
from chronos_assets.orchestration.partitions import launched_in_ui
from chronos_assets.orchestration.run_tags import NIGHT_TAG, PARTITION_TAG, WHY_TAG
from chronos_assets.storage.nights import quiet_nights

if TYPE_CHECKING:
    from chronos_assets.storage.postgres import Postgres
    from chronos_assets.views.documents import Morning

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
MOST_RUNS = 2_000
MOST_QUIET = 20  # nights without work that are handed on at a time
HAND_ON_WITHIN = timedelta(days=7)
SHOWN_INLINE = 990  # characters of Markdown; above a thousand the page shows a link instead
INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")  # classes of the error of a step that was stopped
FROM_OUTSIDE = {  # beginning of what Dagster says -> what it means
    "This run has been marked as failed from outside": "its process could not be started: Dagster's code server did not answer",
    "Run dequeue failed to reach the user code server": "its process could not be started: Dagster's code server did not answer",
    "Run timed out due to taking longer than": "its process did not start in time: a busy machine, or Dagster's code server ended",
    "Detected run worker status": "its process is gone: it was killed, or the machine ran out of memory",
}

night_summary = AssetSpec(
    "night_summary",
    group_name="operations",
    kinds={"dagster"},
    description="One materialization per night or backfill: datasets that ran, rows added, folds trained and reused, failures in words.",
)


def materialization(night: Night, morning: Morning | None = None) -> AssetMaterialization:
    """What the page of `night_summary` shows: the line and what failed first, then the runs, then the numbers that plot.

    With `morning`, each dataset's state too, as `chronos night` and `/api/nights` show it.
    """
    untaken = [problem.partition(": ") for problem in night.problems]
    told = [*night.failures, *({"dataset": slug, "step": "not taken", "reason": words, "run": ""} for slug, _, words in untaken)]
    return AssetMaterialization(
        "night_summary",
        description=night.headline(),
        metadata={
            "night": night.name,
            "summary": MetadataValue.md(_markdown(night)),
            **({"failures": table([{**row, "run": row["run"][:8]} for row in told])} if told else {}),
            **({"runs": table(night.rows)} if night.rows else {}),
            **({} if morning is None else _morning(morning)),
            "datasets": night.datasets,
            "failed": len(night.failures),
            "in_progress": night.in_progress,
            **night.totals,
            "not_taken": len(night.problems),
        },
    )


def _markdown(night: Night) -> str:
    """The line, and links to the runs: those of the night, and each that failed as long as there is room."""
    text = f"**{plain(night.headline())}**"
    if any(row["run"] for row in night.rows):
        text += f"\n\n[runs of the night](/runs?q%5B0%5D={quote(f'tag:{NIGHT_TAG}={night.name}', safe='')})"
    for failure in night.failures:
        link = f" · [{failure['dataset']} failed](/runs/{failure['run']})"
        text += link if len(text) + len(link) <= SHOWN_INLINE else ""
    return text


def _morning(morning: Morning) -> dict[str, MetadataValue]:
    """The document of the morning, whole, and its datasets as a table."""
    rows = [
        {
            "dataset": one.dataset,
            "outcome": one.outcome,
            "nights": one.nights,
            "last bar": "" if one.last_bar is None else f"{one.last_bar:%Y-%m-%d %H:%M}",
            "bars added": one.bars_added,
            "folds trained": one.folds_trained,
            "signals": ", ".join(f"{profile.profile}: {profile.signal or '-'}" for profile in one.profiles),
            "equity change": ", ".join(
                f"{profile.profile} {equity.mode}: {equity.change:+,.2f}"
                for profile in one.profiles
                for equity in profile.equity
                if equity.change is not None
            ),
            "reason": one.reason[:300],
        }
        for one in morning.datasets
    ]
    return {**({"datasets_in_the_morning": table(rows)} if rows else {}), "morning": MetadataValue.json(morning.model_dump(mode="json"))}


def runs_of_night(instance: DagsterInstance, name: str) -> list[DagsterRun]:
    """The runs of night `name`, and others that run now or ended since the night before (or within a day); the oldest first."""
    since = _latest_summary(instance) or datetime.now(UTC) - timedelta(days=1)
    own = instance.get_run_records(RunsFilter(tags={NIGHT_TAG: name}))
    busy = instance.get_run_records(RunsFilter(statuses=ACTIVE), limit=MOST_RUNS)
    ended = instance.get_run_records(RunsFilter(statuses=ENDED, updated_after=since), limit=MOST_RUNS)
    by_day = [one for one in [*busy, *ended] if PARTITION_TAG in one.dagster_run.tags and NIGHT_TAG not in one.dagster_run.tags]
    return [one.dagster_run for one in sorted([*own, *by_day], key=lambda one: one.create_timestamp)]


def _latest_summary(instance: DagsterInstance) -> datetime | None:
    """When the latest night (not a backfill of the command line) was summed up."""
    for record in instance.fetch_materializations(AssetKey("night_summary"), limit=100).records:
        materialization = record.asset_materialization
        if materialization is not None and not str(materialization.metadata["night"].value).startswith(BACKFILL):
            return datetime.fromtimestamp(record.timestamp, UTC)
    return None


def report_quiet_nights(instance: DagsterInstance, postgres: Postgres, *, within: timedelta = HAND_ON_WITHIN) -> list[str]:
    """Show Dagster the nights that found nothing to do, and so were recorded without it; returns their names, the oldest first."""
    quiet = quiet_nights(postgres, BACKFILL, since=datetime.now(UTC) - within, limit=MOST_QUIET)
    if not quiet:
        return []
    records = instance.fetch_materializations(AssetKey("night_summary"), limit=100).records
    told = {one.metadata["night"].value for one in (record.asset_materialization for record in records) if one is not None}
    from chronos_assets.views.documents import Morning

    new = [one for one in reversed(quiet) if one.night not in told]
    for one in new:
        instance.report_runless_asset_event(materialization(quiet_night(one.night), Morning.model_validate(one.document)))
    return [one.night for one in new]


def summarize(instance: DagsterInstance, name: str, runs: Sequence[DagsterRun], problems: Sequence[str] = ()) -> Night:
    """Collect what `runs` (the oldest first) recorded. A dataset failed where its last run did; it traded as its last run says."""
    rows: list[dict[str, Any]] = []
    last: dict[str, DagsterRun] = {}
    totals, trades = dict.fromkeys(ADDED, 0), {}
    for run in runs:
        slug, counts = run.tags.get(PARTITION_TAG, ""), run_counts(instance, run.run_id)
        why = run.tags.get(WHY_TAG) or launched_in_ui(run.tags)
        rows.append({"dataset": slug, "status": run.status.value.lower(), "why": why, **counts, "run": run.run_id[:8]})
        last[slug], trades[slug] = run, counts["trades"]
        for key in ADDED:
            totals[key] += counts[key]
    totals["trades"] = sum(trades.values())
    failures = [_failure(instance, run) for run in last.values() if run.status in ENDED and not run.is_success]
    busy = sum(run.status not in ENDED for run in last.values())
    rows.sort(key=lambda row: (row["status"] == "success", row["dataset"]))  # what failed comes first: the table is bounded
    return Night(name, rows, totals, sorted(failures, key=lambda row: row["dataset"]), problems, busy)


def _failure(instance: DagsterInstance, run: DagsterRun) -> dict[str, str]:
    """Where and why a run ended that did not succeed."""
    step, message = failure_of(instance, run.run_id)
    return {"dataset": run.tags.get(PARTITION_TAG, ""), "step": step, "reason": message or run.status.value.lower(), "run": run.run_id}


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
    """(step, sentence) of the first failure among `entries`; empty if there is none.

    A step that was stopped says nothing of its own: what stopped the run is told (a limit, somebody in the UI).
    """
    stopped, of_run = "", []
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            continue
        if not event.is_step_failure:
            of_run.append(event.message or "")
            continue
        data, step = event.step_failure_data, event.step_key or ""
        if data.user_failure_data is not None and data.user_failure_data.description:
            return step, data.user_failure_data.description
        if data.error is None or data.error.cls_name not in INTERRUPTS:
            return step, _deepest(data.error) if data.error else event.message or ""
        stopped = stopped or step
    return stopped, _in_words((of_run[0] if stopped else of_run[-1]) if of_run else "")


def _in_words(message: str) -> str:
    """What Dagster says of a run that ended outside its steps, as a sentence with the next step; other messages as they are."""
    why = next((words for beginning, words in FROM_OUTSIDE.items() if message.startswith(beginning)), "")
    return f"{why}. What was complete is kept: run it again to go on." if why else message


def _deepest(error: SerializableErrorInfo) -> str:
    """First line of what really happened, below what wraps it."""
    while error.cause is not None:
        error = error.cause
    return next(iter(error.message.strip().splitlines()), "")


def is_summarized(instance: DagsterInstance, name: str) -> bool:
    """Whether the latest nights on record include `name`."""
    records = instance.fetch_materializations(AssetKey("night_summary"), limit=20).records
    return any(m is not None and m.metadata["night"].value == name for m in (r.asset_materialization for r in records))
