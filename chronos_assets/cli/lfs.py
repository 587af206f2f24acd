"""`chronos lfs`: which indicators separate the target's classes near each bar, and whether chance could do as much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.page_line import page_line
from chronos_assets.cli.selections_text import selection_text
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.errors import UsageError
from chronos_assets.settings import load_settings

PAIRS_SHOWN = 5
COLUMNS_SHOWN = 5


@click.command()
@slug_argument()
@click.option("--profile", "profile_name", default="default", show_default=True, help="`lfs` profile of the manifest.")
@click.option("--manifest", "manifest_file", type=click.Path(path_type=Path), help="Manifest to use instead of the dataset's.")
@click.option("--target", help="Target column.")
@click.option("--horizon", type=click.IntRange(min=1), help="Bars that the target looks ahead; default: as the manifest declares.")
@click.option("--features", multiple=True, metavar="PATTERN", help="Features, for example RSI* or !VOL* (repeatable; default: all).")
@click.option("--rows", metavar="A:B", help="Rows A to B, half-open; `A:` for all from A on. Default: before the first walk-forward test.")
@click.option("--bins", type=int, help="Classes of the target.")
@click.option("--max-kept", type=int, help="Most features that one case keeps.")
@click.option("--iterations", type=int, help="Passes.")
@click.option("--beta-trials", type=int, help="Most candidate sets of a case.")
@click.option("--max-cases", type=int, help="Refuse more cases than this.")
@click.option("--permutations", type=int, help="Permutations of the classes; 0: no p-values.")
@click.option("--permutation", type=click.Choice(["cyclic", "complete"]), help="How classes are permuted.")
@click.option("--seed", type=int, help="Seed of the permutations.")
@click.option("--threads", type=int, help="Threads; they change no result.")
@click.option("--dry-run", is_flag=True, help="Say cases, classes and about how long it would take, and compute nothing.")
@json_option
def lfs(
    *,
    slug: str,
    profile_name: str,
    manifest_file: Path | None,
    features: tuple[str, ...],
    rows: str | None,
    horizon: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Select features of SLUG locally. The same request is the same selection: a complete one returns at once, others go on."""
    from chronos_assets.cli.progress import Reporter
    from chronos_assets.cli.workplace import find_manifest, open_stores_of
    from chronos_assets.pipeline.selection.profiles import lfs_setup
    from chronos_assets.pipeline.selection.run import preview, run_request
    from chronos_assets.views.documents import LfsPreview
    from chronos_assets.views.selections import read_pairs, read_selection

    changes = {name: value for name, value in options.items() if value is not None} | parse_rows(rows)
    if features:
        changes["features"] = [pattern for text in features for pattern in text.split(",") if pattern]
    settings = load_settings()
    setup = lfs_setup(find_manifest(settings, slug, manifest_file), slug, changes, name=profile_name, horizon=horizon)
    stores = open_stores_of(settings)  # what the manifest refuses is refused before anything is started
    request = setup.plan(slug, stores)
    if dry_run:
        found = preview(request, stores).as_json()
        emit(LfsPreview(**found), as_json, lambda _: _preview_text(found))
        return
    with Reporter(slug) as progress:
        outcome = run_request(request, stores, requested_by="chronos lfs", progress=progress)
    selection = read_selection(stores.postgres, outcome.lfs_id)
    for warning in selection.warnings:
        say(f"warning {warning.code}: {warning.message}")
    together = read_pairs(stores, outcome.lfs_id, limit=PAIRS_SHOWN)
    page = page_line(stores.settings, f"/lfs/{outcome.lfs_id}")
    emit(selection, as_json, lambda _: f"{selection_text(selection, together, reused=outcome.reused)}\n{page}")


def parse_rows(text: str | None) -> dict[str, Any]:
    """`A:B` -> start_row and end_row; an empty A is 0, an empty B all rows."""
    if text is None:
        return {}
    start, colon, end = text.partition(":")
    if not colon or not all(part.strip().isdigit() for part in (start, end) if part.strip()):
        raise UsageError("rows cannot be read", code="rows_invalid", expected="A:B, for example 0:2000 or 500:", found=text)
    return {"start_row": int(start) if start.strip() else 0, "end_row": int(end) if end.strip() else "all"}


def _preview_text(d: dict[str, Any]) -> str:
    from chronos_assets.domain.lfs.estimate import in_words

    costliest = sorted(d["left_out_by_column"].items(), key=lambda item: -item[1])[:COLUMNS_SHOWN]
    lost = ", ".join(f"{name} {n:,}" for name, n in costliest)
    lines = [
        f"selection {d['lfs_id']} of {d['dataset']}, target {d['target']}",
        f"rows      {d['rows'][0]:,} to {d['rows'][1]:,}; {d['cases']:,} cases, {d['left_out']:,} left out{lost and f' (most by {lost})'}",
        f"features  {d['features']}" + (f", constant: {', '.join(d['constant'])}" if d["constant"] else ""),
        *(f"class     {c['low']:.6g} to {c['high']:.6g}: {c['n']:,} cases" for c in d["classes"]),
        f"time      {in_words(d['seconds'])} with {d['permutations']} permutations",
    ]
    return "\n".join([*lines, *(f"warning   {w['message']}" for w in d["warnings"])])
