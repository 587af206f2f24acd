"""`chronos runs`: what walk-forward runs there are, what they take in space, and how an old one goes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.walkforward import open_stores_of


@click.group()
def runs() -> None:
    """List, show or retire walk-forward runs."""


@runs.command("list")
@click.argument("slug", required=False)
@json_option
def list_command(slug: str | None, as_json: bool) -> None:
    """List runs (of dataset SLUG), newest first, and what they take in space. A run whose process is gone is shown as failed."""
    from chronos_assets.pipeline.upkeep.retire import run_spaces
    from chronos_assets.storage.runs import declare_dead_runs, list_runs

    stores = open_stores_of()
    declare_dead_runs(stores.postgres)
    found = list_runs(stores.postgres, slug)
    spaces = run_spaces(stores, [run.run_id for run in found])
    rows = [asdict(run) | {"space": asdict(spaces[run.run_id])} for run in found]
    emit(rows, as_json, _list_text)


@runs.command()
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show a run: its request, its results, and what it takes in space."""
    from chronos_assets.pipeline.upkeep.retire import run_space
    from chronos_assets.storage.runs import declare_dead_runs, get_run

    stores = open_stores_of()
    declare_dead_runs(stores.postgres)
    document = asdict(get_run(stores.postgres, run_id)) | {"space": asdict(run_space(stores, run_id))}
    emit(document, as_json, _show_text)


@runs.command()
@click.argument("run_id")
@json_option
def retire(run_id: str, as_json: bool) -> None:
    """Delete a run and the files that only it uses. Predictions in QuestDB stay, found by nobody: it has no row delete."""
    from chronos_assets.pipeline.upkeep.retire import retire_run

    space = retire_run(open_stores_of(), run_id)
    emit(
        asdict(space),
        as_json,
        lambda _: (
            f"retired {run_id}: {space.folds} folds, {size(space.own_artifact_bytes)} of files freed; "
            f"{space.prediction_rows} rows stay in QuestDB unused"
        ),
    )


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _list_text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no walk-forward runs"
    lines = [
        f"{'run_id':<36} {'dataset':<20} {'target':<16} {'status':<10} {'folds':>11} {'created':<16} {'files':>9} {'own':>9} {'rows':>9}"
    ]
    for row in rows:
        folds = f"{row['folds_present']}/{row['walk_config'].get('folds_planned', '?')}"
        created = f"{row['created_at']:%Y-%m-%d %H:%M}"
        space = row["space"]
        taken = f"{size(space['artifact_bytes']):>9} {size(space['own_artifact_bytes']):>9} {space['prediction_rows']:>9,}"
        lines.append(
            f"{row['run_id']} {row['dataset_id']:<20} {row['target_column']:<16} {row['status']:<10} {folds:>11} {created} {taken}"
        )
    lines.append("files: models and validation cases; own: of which used by no other run, freed by `chronos runs retire`; rows: in QuestDB")
    return "\n".join(lines)


def _show_text(document: dict[str, Any]) -> str:
    space, error = document["space"], (document["summary_metrics"] or {}).get("error")
    lines = [
        f"run {document['run_id']} of {document['dataset_id']}: {document['status']}",
        f"target {document['target_column']}, {len(document['feature_columns'])} features, device {document['device']}",
        f"{space['folds']} of {document['walk_config'].get('folds_planned', '?')} folds, {space['prediction_rows']} predictions",
        f"files {size(space['artifact_bytes'])}, of which {size(space['own_artifact_bytes'])} are used by no other run",
        f"simulations: {', '.join(space['simulations']) or 'none'}",
    ]
    return "\n".join([*lines, f"error {error['code']}: {error['message']}"] if error else lines)
