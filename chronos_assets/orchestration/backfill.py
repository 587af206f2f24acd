"""A night by hand: every dataset whose manifest or file changed runs, and the morning's summary is made and kept.

`chronos backfill` is this and a text, or `nightly.quiet` if there is nothing to do; the schedule `nightly` asks Dagster's daemon for the
same runs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance

from chronos_assets.orchestration.nightly.morning import ended_of
from chronos_assets.orchestration.nightly.night import backfill_name, fields_of
from chronos_assets.orchestration.nightly.nightly_summary import materialization, report_quiet_nights, summarize
from chronos_assets.orchestration.nightly.retry_policy import was_refused
from chronos_assets.orchestration.nightly.schedules import covered
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.upkeep.changes import Request, decide, settled_survey
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.views.nights import record_night

if TYPE_CHECKING:
    from chronos_assets.orchestration.backfill_workers import Done
    from chronos_assets.views.documents import Morning

Say = Callable[[str], None]


def run_backfill(
    workplace: Workplace,
    instance: DagsterInstance,
    wanted: Sequence[str] | None = None,
    *,
    force: bool = False,
    workers: int = 1,
    say: Say = lambda _: None,
    now: datetime | None = None,
) -> tuple[dict[str, Any], Morning]:
    """Run what changed (of `wanted`, or of all manifests); gives the fields of the document `Night` but its morning, and the morning.

    `now` names the night; `say` is told how each dataset ended. Raises `ManifestError` if there is no manifest of a dataset in `wanted`.
    """
    settings, started_at = workplace.settings, now or datetime.now(UTC)
    for slug in wanted or []:
        load_manifest(manifest_path(settings.exports_dir, slug), data_roots=settings.data_roots)  # asked for by name: it must be there
    found = settled_survey(settings, wanted)
    decision = decide(found, covered(instance, [one.slug for one in found]), force=force)
    name = backfill_name(started_at)
    for report in decision.reports:
        say(report)
    done = _run_all(decision.requests, workplace, instance, name=name, workers=workers, say=say) if decision.requests else []
    runs = [run for one in done if (run := instance.get_run_by_id(one.run_id))] if done else []
    night = summarize(instance, name, runs, decision.reports)
    elsewhere = {one.slug: one.message for one in done if one.code in {"run_underway", "locked"}}
    failed = {one.slug: one.message for one in done if one.code and one.slug not in elsewhere}
    ended = ended_of(night, found, was_refused=partial(was_refused, instance), elsewhere=elsewhere, failed=failed)
    report_quiet_nights(instance, workplace.stores.postgres)
    morning = record_night(workplace.stores, name, started_at, ended)
    instance.report_runless_asset_event(materialization(night, morning))
    fields = fields_of(
        night,
        manifests=len(found),
        unchanged=len(found) - len(decision.requests) - len([one for one in found if one.content is None]),
        in_progress=sum(one.in_progress for one in done),
        datasets=[_without_code(asdict(one)) for one in sorted(done, key=lambda one: one.slug)],
    )
    return fields, morning


def _run_all(
    requests: Sequence[Request], workplace: Workplace, instance: DagsterInstance, *, name: str, workers: int, say: Say
) -> list[Done]:
    """Run what a backfill asks for, and say of each dataset how it ended."""
    from chronos_assets.orchestration.backfill_workers import run_requests  # loads all assets: a night without work has no use for them

    done: list[Done] = []

    def tell(working: str) -> None:
        say(f"       {len(done)} of {len(requests)} ended, working on {working}")

    for one in run_requests(requests, workplace, instance, name=name, workers=workers, waiting=tell):
        done.append(one)
        result = "ok    " if one.succeeded else "busy  " if one.in_progress else "FAILED"
        say(f"{result} {one.seconds:7.2f} s  {one.slug} ({one.why}){'' if one.succeeded else f': {one.message}'}")
    return done


def _without_code(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "code"}
