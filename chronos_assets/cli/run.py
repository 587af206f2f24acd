"""`chronos run`, `demo` and `backfill`: datasets all the way, through Dagster, on the instance that the UI shows."""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.compiling import Compiling
from chronos_assets.cli.page_line import page_line
from chronos_assets.cli.run_report import backfill_text, gate_text, run_text
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.errors import UsageError
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance

    from chronos_assets.orchestration.nightly.upkeep import DagsterRuns
    from chronos_assets.orchestration.resources import Workplace
    from chronos_assets.services import Connections
    from chronos_assets.views.documents import Morning

# What a run imports stays, and it ends soon: looking for garbage among it as often as usual is a tenth of the time of its imports.
OBJECTS_PER_COLLECTION = 500_000


@click.command()
@slug_argument()
@click.option("--force", is_flag=True, help="Write and verify all rows again under a new tag, even if nothing changed.")
@click.option("--follow", is_flag=True, help="If the dataset is in progress elsewhere, show how that run goes on, and how it ends.")
@json_option
def run(slug: str, force: bool, follow: bool, as_json: bool) -> int:
    """Take one manifest through the whole lineage."""
    return run_slug(slug, load_settings(), force=force, follow=follow, as_json=as_json)


@click.command()
@click.option("--force", is_flag=True, help="Write and verify all rows again under a new tag, even if nothing changed.")
@click.option(
    "--gate", is_flag=True, help="Show the gate instead: change one stored cell before the audit, and see that nothing is published."
)
@json_option
def demo(force: bool, gate: bool, as_json: bool) -> int:
    """Build a real dataset from daily S&P 500 bars and take it all the way."""
    from chronos_assets.pipeline.demo import build_demo

    settings = load_settings()
    manifest = build_demo(settings.exports_dir)
    if gate:
        return _show_gate(manifest, settings, as_json=as_json)
    return run_slug(manifest.stem, settings, force=force, as_json=as_json)


def _show_gate(manifest: Path, settings: Settings, *, as_json: bool) -> int:
    """Corrupt one stored cell between the write and the audit of a copy of the demonstration's dataset.

    Dagster keeps its records of that in memory: else its pages would show a failed run, of a dataset that is gone.
    """
    from chronos_assets.cli.run_progress import RunProgress
    from chronos_assets.orchestration.gate_demo import GATE_SLUG, copy_as_gate, run_through_gate
    from chronos_assets.orchestration.partitions import drop_partition
    from chronos_assets.orchestration.run_tags import WHY_TAG
    from chronos_assets.orchestration.summary import summary_of
    from chronos_assets.storage.datasets import find_dataset
    from chronos_assets.views.documents import GateDemo

    with (
        tempfile.TemporaryDirectory() as folder,  # not exports/, where the manifest sensor would take it for a dataset of yours
        _opened(copy_as_gate(manifest, Path(folder), settings), keep_records=False) as (workplace, instance),
        RunProgress(sys.stderr) as progress,
    ):
        workplace.report_to(progress.reporter)
        tags = {WHY_TAG: "the gate is shown"}
        sql, outcome = run_through_gate(GATE_SLUG, "RSI_14", workplace, instance, tags=tags, listener=progress.take)
        document = summary_of(outcome, workplace.stores)
        published = find_dataset(workplace.stores.postgres, GATE_SLUG) is not None
        removed = drop_partition(instance, GATE_SLUG)
    document |= {"corrupted_by": sql, "published": published, "found": outcome.message, "partition_removed": removed}
    emit(GateDemo(**document), as_json, lambda _: gate_text(document))
    return outcome.exit_code


def run_slug(slug: str, settings: Settings, *, force: bool, as_json: bool, follow: bool = False) -> int:
    """Run one dataset (or follow the run that works on it), print what happened, and give the exit code."""
    from chronos_assets.cli.workplace import require_manifests
    from chronos_assets.views.documents import LineageRun

    require_manifests(settings, [slug])
    with Compiling() as compiling, _opened(settings, meanwhile=_load_steps) as (workplace, instance):
        document, code, message = _run(slug, workplace, instance, compiling, force=force, follow=follow)
    document["next"] = f"{_next(document)}\n{page_line(settings, _page_of(document))}"
    emit(LineageRun(**document), as_json, lambda _: run_text(document))
    if code:
        say(f"error: {message}")
    return code


def _next(document: dict[str, Any]) -> str:
    """Commands that show more of what was made, ready to be typed."""
    if document["status"] == "failed":
        return f"next: mend what the error says, then chronos run {document['dataset']}"
    lines = [f"next: chronos runs show {run['run_id']}" for run in document["walkforward"][:1]]
    lines += [f"      chronos report {one['simulation_id']}" for one in document["simulations"][-1:]]
    lines += [f"      chronos model show {document['live']['model'].model_id}"] if "live" in document else []
    return "\n".join([*lines, "      chronos dev (dashboard and Dagster UI)"])


def _page_of(document: dict[str, Any]) -> str:
    """The page of what was made last: the run, else the dataset."""
    runs = document["walkforward"]
    return f"/runs/{runs[-1]['run_id']}" if runs else f"/datasets/{document['dataset']}"


def _run(
    slug: str, workplace: Workplace, instance: DagsterInstance, compiling: Compiling, *, force: bool, follow: bool
) -> tuple[dict[str, Any], int, str]:
    from chronos_assets.cli.run_progress import RunProgress
    from chronos_assets.orchestration.execute import follow_run, is_interrupt, run_partition
    from chronos_assets.orchestration.run_tags import WHY_TAG
    from chronos_assets.orchestration.summary import summary_of

    with RunProgress(sys.stderr) as progress:
        workplace.report_to(progress.reporter)
        why = "asked for by hand, all rows again" if force else "asked for by hand"

        def listen(event: DagsterEvent) -> None:
            progress.take(event, stopped=is_interrupt(event))
            if event.is_step_start and event.step_key == "trading_simulations":
                compiling.wait(progress)

        outcome = follow_run(slug, instance, listener=progress.take) if follow else None
        if outcome is None:
            outcome = run_partition(slug, workplace, instance, tags={WHY_TAG: why}, replace=force, listener=listen)
    return summary_of(outcome, workplace.stores), outcome.exit_code, outcome.message


def _load_steps() -> None:
    """Import what the steps of a run use: seconds of work for one core, while the servers boot on the other."""
    import_module("chronos_assets.orchestration.preload")


@contextmanager
def _opened(
    settings: Settings,
    connections: Connections | None = None,
    *,
    meanwhile: Callable[[], object] | None = None,
    keep_records: bool = True,
) -> Iterator[tuple[Workplace, DagsterInstance]]:
    """The servers (started if they do not run; `meanwhile` is called while they boot), and Dagster's records (or such as end with us)."""
    from chronos_assets import services

    gc.set_threshold(OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])
    connections = connections or services.connect(settings, progress=say, meanwhile=meanwhile)
    from chronos_assets.orchestration.instance import open_instance, passing_instance  # Dagster is loaded once the servers boot
    from chronos_assets.orchestration.resources import Workplace

    with open_instance(settings, captured_output=False) if keep_records else passing_instance() as instance:
        yield Workplace(settings, connections=connections), instance


@click.command()
@slug_argument(name="slugs", required=False, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every manifest in exports/.")
@click.option("--force", is_flag=True, help="Run datasets too that did not change since their last successful run.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Datasets side by side, each in a process.")
@json_option
def backfill(slugs: tuple[str, ...], everything: bool, force: bool, workers: int, as_json: bool) -> int:
    """Run datasets whose manifest or file changed, through Dagster."""
    from chronos_assets import services
    from chronos_assets.cli.workplace import require_manifests

    if everything == bool(slugs):
        raise UsageError("name datasets, or ask for --all of them", code="backfill_target")
    settings = load_settings()
    wanted = None if everything else list(slugs)
    require_manifests(settings, wanted or [])
    connections = services.connect(settings, progress=say)
    recorded = None if force else _nothing_to_do(settings, connections, wanted, prune=everything and settings.nightly_prune)
    if recorded is None:
        from chronos_assets.orchestration.backfill import run_backfill
        from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns

        with _opened(settings, connections) as (workplace, instance):
            recorded = run_backfill(workplace, instance, wanted, force=force, workers=workers, say=say)
            if everything and settings.nightly_prune:
                _let_go(workplace, InstanceRuns(instance, settings))
    document, morning = recorded
    from chronos_assets.views.documents import Night
    from chronos_assets.views.nights import morning_lines

    emit(Night(**document, morning=morning), as_json, lambda _: "\n".join([backfill_text(document), *morning_lines(morning)[1:]]))
    failed = [one for one in document["datasets"] if not (one["succeeded"] or one["in_progress"])]
    codes = {one["exit_code"] for one in failed} | ({3} if document["problems"] else set())
    return 0 if not codes else min(codes) if len(codes) == 1 else 1


def _nothing_to_do(
    settings: Settings, connections: Connections, wanted: list[str] | None, *, prune: bool
) -> tuple[dict[str, Any], Morning] | None:
    """What a night records that has nothing to do, without loading Dagster; None if there is, or may be, something."""
    from chronos_assets.orchestration.nightly.quiet import RecordedRuns, find_nothing_to_do
    from chronos_assets.orchestration.resources import Workplace
    from chronos_assets.services import dagster_postgres_url
    from chronos_assets.storage.postgres import Postgres

    workplace, records = Workplace(settings, connections=connections), Postgres(dagster_postgres_url(connections, settings))
    recorded = find_nothing_to_do(workplace, records, wanted)
    if recorded is not None and prune:
        _let_go(workplace, RecordedRuns(records, settings))
    return recorded


def _let_go(workplace: Workplace, dagster_runs: DagsterRuns) -> None:
    """The upkeep at the end of a night. What it cannot do now, the next night does."""
    from chronos_assets.errors import ChronosError
    from chronos_assets.orchestration.nightly.upkeep import run_upkeep, upkeep_words

    try:
        words = upkeep_words(run_upkeep(workplace.stores, dagster_runs))
    except ChronosError as error:
        words = [f"what the retention policy does not keep stays for now: {error}"]
    for line in words:
        say(line)
