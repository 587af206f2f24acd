"""`chronos runs`: what walk-forward runs there are, what they take in space, and how an old one goes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.metrics_table import metrics_table
from chronos_assets.cli.workplace import open_for_reading, open_stores_of
from chronos_assets.domain.byte_size import byte_size

if TYPE_CHECKING:
    from chronos_assets.views.documents import RunWithSpace


@click.group()
def runs() -> None:
    """List, show or retire walk-forward runs."""


@runs.command("list")
@click.argument("slug", required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Runs to show.")
@click.option("--before", metavar="RUN_ID", help="Only runs older than this one: the next page.")
@json_option
def list_command(slug: str | None, limit: int, before: str | None, as_json: bool) -> None:
    """List runs (of dataset SLUG), newest first, and what they take in space. A run whose process is gone is shown as failed."""
    from chronos_assets.views.runs import list_runs_with_space

    emit(list_runs_with_space(open_for_reading(), slug, limit=limit, before=before), as_json, lambda found: _list_text(found, limit))


@runs.command()
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show a run: its request, its results, and what it takes in space."""
    from chronos_assets.views.runs import run_with_space

    emit(run_with_space(open_for_reading(), run_id), as_json, _show_text)


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
            f"retired {run_id}: {space.folds} folds, {byte_size(space.own_artifact_bytes)} of files freed; "
            f"{space.prediction_rows} rows stay in QuestDB unused"
        ),
    )


def _list_text(runs: list[RunWithSpace], limit: int) -> str:
    if not runs:
        return "no walk-forward runs"
    columns = f"{'run_id':<36} {'dataset':<20} {'target':<16} {'status':<10} {'folds':>11} {'created':<16}"
    lines = [f"{columns} {'files':>9} {'own':>9} {'rows':>9} {'cases':>9} {'learned 0':>9}"]
    for run in runs:
        space, folds = run.space, f"{run.folds_present}/{_planned(run)}"
        taken = f"{byte_size(space.artifact_bytes):>9} {byte_size(space.own_artifact_bytes):>9} {space.prediction_rows:>9,}"
        created = f"{run.created_at:%Y-%m-%d %H:%M}"
        lines.append(
            f"{run.run_id} {run.dataset_id:<20} {run.target_column:<16} {run.status:<10} {folds:>11} {created} {taken} {_basis(run)}"
        )
    lines.append("files: models and validation cases; own: of which used by no other run, freed by `chronos runs retire`; rows: in QuestDB")
    lines.append("cases: median number that long and short thresholds rest on; learned 0: folds that learned nothing")
    if len(runs) == limit:
        lines.append(f"older runs: `chronos runs list --before {runs[-1].run_id}`")
    return "\n".join(lines)


def _basis(run: RunWithSpace) -> str:
    """What the run's numbers rest on, in two columns."""
    summary = run.summary_metrics or {}
    medians = [cases["median"] for cases in summary.get("threshold_cases", {}).values()]
    cases = "/".join("-" if median is None else f"{median:g}" for median in medians) or "-"
    return f"{cases:>9} {summary.get('folds_learned_nothing', '-'):>9}"


def _show_text(run: RunWithSpace) -> str:
    from chronos_assets.pipeline.walkforward.summary import basis_lines

    space, error = run.space, (run.summary_metrics or {}).get("error")
    lines = [
        f"run {run.run_id} of {run.dataset_id}: {run.status}",
        f"target {run.target_column}, {len(run.feature_columns)} features, device {run.device}",
        f"{space.folds} of {_planned(run)} folds, {space.prediction_rows} predictions",
        f"files {byte_size(space.artifact_bytes)}, of which {byte_size(space.own_artifact_bytes)} are used by no other run",
        f"simulations: {', '.join(space.simulations) or 'none'}",
        *_signal_lines(run.summary_metrics or {}),
        *basis_lines(run.summary_metrics or {}),
    ]
    lines += metrics_table(run.summary_metrics or {})
    if chosen := (run.summary_metrics or {}).get("features_chosen"):
        lines.append(f"features that folds selected, of {space.folds} folds:")
        lines += [f"{folds:>6}  {name}" for name, folds in chosen.items()]
    return "\n".join([*lines, f"error {error['code']}: {error['message']}"] if error else lines)


def _signal_lines(summary: dict[str, Any]) -> list[str]:
    """Signals and profit factor of each side."""
    lines = []
    for side in ("long", "short", "both"):
        if metrics := summary.get(side):
            factor = "no losses" if metrics["no_losses"] else "-" if metrics["profit_factor"] is None else f"{metrics['profit_factor']:.3f}"
            lines.append(f"{side}: {metrics['n_signals']} signals, profit factor {factor}")
    return lines


def _planned(run: RunWithSpace) -> str:
    return "?" if run.folds_planned is None else str(run.folds_planned)
