"""Local Feature Selections as text: the list, the table of features, shares over time, pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronos_assets.cli.runs_text import over_time_head, over_time_row

if TYPE_CHECKING:
    from chronos_assets.views.documents import LfsPair, LfsRun, LfsSelection, LfsShares

MARKS = {"strong": "***", "good": "**", "weak": "*", "noise": "", None: ""}
FEATURES_SHOWN = 20


def list_text(selections: Sequence[LfsRun]) -> str:
    """One line per selection, the newest first."""
    if not selections:
        return "no feature selections; `chronos lfs SLUG` makes one"
    lines = [f"{'lfs_id':<36} {'dataset':<20} {'target':<16} {'status':<10} {'rows':>13} {'features':>8} {'permutations':>12} created"]
    for one in selections:
        progress, config = one.progress or {}, one.config
        done = f"{progress.get('permutations_done', 0)}/{config.get('permutations', '?')}"
        rows = f"{config['start_row']}:{config['end_row']}"
        which = f"{one.lfs_id} {one.dataset_id:<20} {one.target_column:<16} {one.status:<10}"
        lines.append(f"{which} {rows:>13} {len(one.feature_columns):>8} {done:>12} {one.created_at:%Y-%m-%d %H:%M}")
    lines.append("`chronos selections show LFS_ID` shows one (the first characters of the id are enough)")
    return "\n".join(lines)


def over_time_text(shares: LfsShares) -> str:
    """Share of the cases of each slice that chose each feature, in percent."""
    more = len(shares.features) - FEATURES_SHOWN
    lines = [f"share of the cases that chose each feature, in percent; {len(shares.slices)} slices of about {_size(shares)} cases"]
    lines.append(over_time_head([one.first_unix for one in shares.slices], width=32))
    lines += [f"{one.feature:<32}{over_time_row(one.shares)}" for one in shares.features[:FEATURES_SHOWN]]
    return "\n".join([*lines, *([f"and {more} more (`--json` has all)"] if more > 0 else [])])


def pairs_text(pairs: Sequence[LfsPair]) -> str:
    """Pairs that cases chose together."""
    if not pairs:
        return "no case chose two features"
    lines = [f"{'first':<32} {'second':<32} {'cases':>6} {'pct':>6} {'lift':>6}"]
    lines += [f"{one.first:<32} {one.second:<32} {one.together:>6,} {one.pct:>6.1f} {one.lift:>6.2f}" for one in pairs]
    return "\n".join([*lines, "lift: how often both were chosen against independent choices (1: as often)"])


def _size(shares: LfsShares) -> int:
    return round(sum(one.cases for one in shares.slices) / max(len(shares.slices), 1))


def selection_text(selection: LfsSelection, together: Sequence[LfsPair], *, reused: bool = False) -> str:
    """The table of features, and the pairs that cases chose together most often."""
    run, config = selection.run, selection.run.config
    state = " (already there)" if reused else "" if run.status == "completed" else f": {run.status}"
    lines = [
        f"selection {run.lfs_id} of {run.dataset_id}, target {run.target_column}{state}",
        f"rows {config['start_row']:,} to {config['end_row']:,}{_cases(run)}",
        f"{run.tries} selections were made on this dataset and target",
    ]
    if not selection.features:
        return "\n".join([*lines, "no case has chosen yet"])
    lines.append(f"{'rank':>4} {'':<3} {'feature':<32} {'pct':>6} {'solo p':>7} {'unbiased p':>10}")
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


def profile_text(selection: LfsSelection, max_p: float | None) -> str:
    """A walk-forward profile of the features for a manifest; features that were left out are not in it."""
    from chronos_assets.views.selections import choose_features
    from chronos_assets.views.snippets import profile_of_selection

    names = [one.feature for _, one in choose_features(selection, max_p=max_p) if one.excluded is None]
    if not names:
        return "# no feature" + ("" if max_p is None else f" has an unbiased p-value of at most {max_p:g}")
    return profile_of_selection(selection.run, names).rstrip()


def _cases(run: LfsRun) -> str:
    """What is known of a selection's cases by now."""
    summary, progress = run.summary_metrics or {}, run.progress or {}
    if error := summary.get("error"):
        return f": {error.get('message', 'failed')}"
    if "mean_kept" not in summary:
        return f": {progress.get('permutations_done', 0)} of {run.config['permutations']} permutations are done"
    return (
        f": {summary['cases']:,} cases in {len(summary['classes'])} classes, {summary['mean_kept']:.2f} features kept on average, "
        f"{summary['permutations_done']} {run.config['permutation']} permutations"
    )


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
