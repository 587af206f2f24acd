"""`chronos night`: what the last night came to, as `night_summary` in Dagster and `/api/nights` tell it."""

from __future__ import annotations

import click

from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.workplace import open_for_reading


@click.command()
@click.option("--nights", "limit", type=click.IntRange(1, 100), default=1, show_default=True, help="Nights to show, the newest first.")
@json_option
def night(limit: int, as_json: bool) -> None:
    """Show what the last night (or backfill) came to: per dataset bars, folds, signal, equity, and what did not run and why."""
    from chronos_assets.views.nights import list_mornings, morning_lines

    found = list_mornings(open_for_reading().postgres, limit=limit)
    none = "no night yet: the schedule `nightly` or `chronos backfill --all` makes one"
    emit(found, as_json, lambda mornings: "\n\n".join("\n".join(morning_lines(one)) for one in mornings) or none)
