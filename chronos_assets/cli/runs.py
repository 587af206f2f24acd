"""`chronos runs`: what walk-forward runs there are, what they take in space, and how an old one goes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.runs_text import list_text, show_text
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.workplace import open_for_reading, open_stores_of
from chronos_assets.domain.byte_size import byte_size
from chronos_assets.storage.ids import full_id

if TYPE_CHECKING:
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import RunWithSpace


SLICES_SHOWN = 12


@click.group()
def runs() -> None:
    """List, show, pin or retire walk-forward runs."""


@runs.command("list")
@slug_argument(required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Runs to show.")
@click.option("--before", metavar="RUN_ID", help="Only runs older than this one: the next page.")
@click.option("--current", is_flag=True, help="Only the current run of each profile.")
@json_option
def list_command(slug: str | None, limit: int, before: str | None, current: bool, as_json: bool) -> None:
    """List runs (of dataset SLUG), newest first, and what they take in space. A run whose process is gone is shown as failed."""
    from chronos_assets.views.runs import list_runs_with_space

    stores = open_for_reading()
    older = None if before is None else full_id(stores.postgres, "run", before)
    found = list_runs_with_space(stores, slug, limit=limit, before=older, current=current or None)
    emit(found, as_json, lambda found: list_text(found, limit))


@runs.command()
@click.argument("run_id", shell_complete=completion.run_ids)
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show a run: its parameters, results, thresholds, importance, simulations, and what it takes in space."""
    from chronos_assets.views.runs import run_with_space

    stores = open_for_reading()
    run = run_with_space(stores, full_id(stores.postgres, "run", run_id))
    emit(run, as_json, lambda _: _show_text(stores, run))


def _show_text(stores: Stores, run: RunWithSpace) -> str:
    from chronos_assets.storage.runs import get_folds
    from chronos_assets.views.runs import read_chosen_features, read_importance, warnings_of
    from chronos_assets.views.simulations import list_simulations

    postgres = stores.postgres
    made = list_simulations(postgres, {"run": run.run_id}).items
    chosen = read_chosen_features(postgres, run.run_id, SLICES_SHOWN)
    return show_text(run, get_folds(postgres, run.run_id), read_importance(postgres, run.run_id), made, warnings_of(run), chosen=chosen)


@runs.command()
@click.argument("run_id", shell_complete=completion.run_ids)
@json_option
def pin(run_id: str, as_json: bool) -> None:
    """Keep a run, with its simulations, whatever the retention policy says."""
    _pin(run_id, as_json, pinned=True)


@runs.command()
@click.argument("run_id", shell_complete=completion.run_ids)
@json_option
def unpin(run_id: str, as_json: bool) -> None:
    """Leave a pinned run to the retention policy again."""
    _pin(run_id, as_json, pinned=False)


def _pin(run_id: str, as_json: bool, *, pinned: bool) -> None:
    from chronos_assets.storage.runs import get_run, pin_run
    from chronos_assets.views.documents import PinnedRun

    stores = open_stores_of()
    run_id = full_id(stores.postgres, "run", run_id)
    pin_run(stores.postgres, get_run(stores.postgres, run_id).run_id, pinned=pinned)
    words = f"{run_id} is pinned: no policy retires it" if pinned else f"{run_id} is not pinned"
    emit(PinnedRun(run_id=run_id, pinned=pinned), as_json, lambda _: words)


@runs.command()
@click.argument("run_id", shell_complete=completion.run_ids)
@json_option
def retire(run_id: str, as_json: bool) -> None:
    """Delete a run with its simulations and reports, and the files that only it uses. That it was tried stays on record."""
    from chronos_assets.pipeline.upkeep.retire import retire_run
    from chronos_assets.views.documents import RunSpace

    stores = open_stores_of()
    run_id = full_id(stores.postgres, "run", run_id)
    space = retire_run(stores, run_id)
    emit(
        RunSpace(**asdict(space)),
        as_json,
        lambda _: (
            f"retired {run_id}: {space.folds} folds, {len(space.simulations)} simulations, "
            f"{byte_size(space.own_artifact_bytes)} of files freed; {space.prediction_rows} predictions in QuestDB are dead rows now, "
            "which go when its table is compacted"
        ),
    )
