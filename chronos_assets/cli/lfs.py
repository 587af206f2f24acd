"""`chronos lfs`: which indicators separate the target's classes near each bar, and whether chance could do as much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.errors import UsageError

if TYPE_CHECKING:
    from chronos_assets.views.documents import LfsPair, LfsSelection

MARKS = {"strong": "***", "good": "**", "weak": "*", "noise": "", None: ""}
PAIRS_SHOWN = 5
COLUMNS_SHOWN = 5


@click.command()
@click.argument("slug")
@click.option("--profile", "profile_name", default="default", show_default=True, help="`lfs` profile of the manifest.")
@click.option("--manifest", "manifest_file", type=click.Path(path_type=Path), help="Manifest to use instead of the dataset's.")
@click.option("--target", help="Target column.")
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
    stores = open_stores_of()
    loaded = find_manifest(stores.settings, slug, manifest_file)
    request = lfs_setup(loaded, slug, changes, name=profile_name).plan(slug, stores)
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
    emit(selection, as_json, lambda _: _text(selection, together, reused=outcome.reused))


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


def _text(selection: LfsSelection, together: list[LfsPair], *, reused: bool) -> str:
    run, summary, config = selection.run, selection.run.summary_metrics or {}, selection.run.config
    lines = [
        f"selection {run.lfs_id} of {run.dataset_id}, target {run.target_column}" + (" (already there)" if reused else ""),
        f"rows {config['start_row']:,} to {config['end_row']:,}: {summary['cases']:,} cases in {len(summary['classes'])} classes, "
        f"{summary['mean_kept']:.2f} features kept on average, {summary['permutations_done']} {config['permutation']} permutations",
        f"{run.tries} selections were made on this dataset and target",
        f"{'rank':>4} {'':<3} {'feature':<32} {'pct':>6} {'solo p':>7} {'unbiased p':>10}",
    ]
    for rank, f in enumerate((f for f in selection.features if f.excluded is None), start=1):
        lines.append(
            f"{rank:>4} {MARKS[f.mark]:<3} {f.feature:<32} {f.pct:>6.1f} {_p(f.p_solo):>7} {_p(f.p_unbiased):>10}"
            + ("  caution: chance does as much" if f.caution else "")
        )
    left_out = [f"{f.feature} ({f.excluded})" for f in selection.features if f.excluded is not None]
    lines += [f"left out: {', '.join(left_out)}"] if left_out else []
    lines.append("*** unbiased p <= 0.01, ** <= 0.05, * <= 0.20. LFS does not predict; docs/LFS.md says what it cannot find.")
    lines += [f"together: {p.first} and {p.second}, {p.pct:.1f} % of the cases, lift {p.lift:.2f}" for p in together]
    return "\n".join(lines)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
