"""`chronos selections`: the Local Feature Selections that there are, one with its table, shares over time and pairs, and how to stop one.

A selection goes with its dataset and cannot be retired by itself: how many were tried stays on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.workplace import open_for_reading, open_stores_of
from chronos_assets.storage.ids import full_id

if TYPE_CHECKING:
    from chronos_assets.views.documents import LfsSelection

PAIRS_SHOWN = 20
SLICES_SHOWN = 12


@click.group()
def selections() -> None:
    """List, show or cancel local feature selections (`chronos lfs` makes them)."""


@selections.command("list")
@slug_argument(required=False)
@click.option("--target", help="Only those of this target.")
@json_option
def list_command(slug: str | None, target: str | None, as_json: bool) -> None:
    """List selections (of dataset SLUG), newest first. One whose process is gone is shown as failed."""
    from chronos_assets.cli.selections_text import list_text
    from chronos_assets.views.selections import list_selections

    emit(list_selections(open_for_reading().postgres, slug, target=target), as_json, list_text)


@selections.command()
@click.argument("lfs_id", shell_complete=completion.selection_ids)
@click.option(
    "--view",
    type=click.Choice(["table", "over-time", "pairs", "manifest"]),
    default="table",
    show_default=True,
    help="What to show of the selection; manifest: a walk-forward profile of its features.",
)
@click.option("--slices", type=click.IntRange(1, 500), default=SLICES_SHOWN, show_default=True, help="Slices of time (over-time).")
@click.option("--max-p", type=click.FloatRange(0, 1), help="Only features whose unbiased p-value is at most this (manifest).")
@json_option
def show(lfs_id: str, view: str, slices: int, max_p: float | None, as_json: bool) -> None:
    """Show a selection: its table of features, their shares over time, pairs that cases chose together, or lines for a manifest."""
    from chronos_assets.cli import selections_text as text
    from chronos_assets.views.selections import read_pairs, read_selection, read_shares

    stores = open_for_reading()
    lfs_id = full_id(stores.postgres, "selection", lfs_id)
    if view == "over-time":
        emit(read_shares(stores, lfs_id, slices), as_json, text.over_time_text)
    elif view == "pairs":
        emit(read_pairs(stores, lfs_id, limit=None if as_json else PAIRS_SHOWN), as_json, text.pairs_text)
    else:
        selection = read_selection(stores.postgres, lfs_id)
        for warning in selection.warnings:
            say(f"warning {warning.code}: {warning.message}")
        emit(selection, as_json, lambda _: text.profile_text(selection, max_p) if view == "manifest" else _table_text(selection))


def _table_text(selection: LfsSelection) -> str:
    from chronos_assets.cli.selections_text import selection_text

    return selection_text(selection, [])


@selections.command()
@click.argument("lfs_id", shell_complete=completion.selection_ids)
@json_option
def cancel(lfs_id: str, as_json: bool) -> None:
    """Ask a selection to stop. It keeps the permutations done, and the same request goes on with it."""
    from chronos_assets.pipeline.selection.launch import cancel_lfs
    from chronos_assets.views.selections import read_selection

    stores = open_stores_of()
    record = cancel_lfs(full_id(stores.postgres, "selection", lfs_id), stores.postgres, stores.settings.dagster_url)
    selection = read_selection(stores.postgres, record.lfs_id)
    over = f"selection {record.lfs_id} is {selection.run.status}"
    said = f"selection {record.lfs_id} was asked to stop" if selection.run.status == "running" else over
    emit(selection, as_json, lambda _: said)
