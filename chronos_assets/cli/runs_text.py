"""`chronos runs list` and `show` as text: what a person compares runs by, and where to go from there."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chronos_assets.cli.metrics_table import metrics_table
from chronos_assets.domain.byte_size import byte_size

if TYPE_CHECKING:
    from chronos_assets.storage.runs import FoldRecord
    from chronos_assets.views.documents import ChosenFeatures, Importance, Run, RunWithSpace, Simulation, Warn

FEATURES_SHOWN = 20
_NOT_CHOSEN = frozenset(
    {"rows", "folds_planned", "horizon", "horizon_assumed", "identity", "selector", "baseline", "selection", "features_from"}
)
_SIZES = ("train", "test", "train_size", "test_size", "gap", "fold_step", "step", "initial_offset", "start_fold", "end_fold")


def list_text(runs: Sequence[RunWithSpace], limit: int) -> str:
    """One line per run, then what differs from the defaults, then the next page."""
    if not runs:
        return "no walk-forward runs; `chronos walkforward SLUG` makes one"
    head = f"{'run_id':<36} {'dataset':<20} {'profile':<14} {'bars':>8} {'target':<16} {'status':<10} {'folds':>9} {'PF':>6}"
    head += f" {'off L/S':>9} {'cases':>9}"
    lines = [f"{head} {'created':<16} {'own':>9}"]
    for run in runs:
        summary = run.summary_metrics or {}
        off = f"{summary['folds_without_long']}/{summary['folds_without_short']}" if "folds_without_long" in summary else "-"
        lines.append(
            f"{run.run_id} {run.dataset_id:<20} {profile_words(run):<14} {bar_words(run):>8} {run.target_column:<16} {run.status:<10} "
            f"{f'{run.folds_present}/{planned(run)}':>9} {_factor(summary.get('both') or {}):>6} {off:>9} {_cases(summary):>9} "
            f"{run.created_at:%Y-%m-%d %H:%M} {byte_size(run.space.own_artifact_bytes):>9}"
        )
        standing = f"{words}; " if (words := standing_words(run)) else ""
        lines.append(f"  {standing}{_windows(run)}{''.join(f', {name} {value}' for name, value in differences(run).items())}")
    lines.append("PF: profit factor of both sides; off: folds without a long or short threshold; own: files that no other run uses")
    lines.append("cases: median number that long and short thresholds rest on")
    lines.append("`chronos runs show RUN_ID` shows one (the first characters of the id are enough)")
    if len(runs) == limit:
        lines.append(f"older runs: `chronos runs list --before {runs[-1].run_id}`")
    return "\n".join(lines)


def show_text(
    run: RunWithSpace,
    folds: Sequence[FoldRecord],
    importance: Sequence[Importance],
    simulations: Sequence[Simulation],
    warnings: Sequence[Warn],
    *,
    chosen: ChosenFeatures,
) -> str:
    """A run's request, results and what was made from it, and the next command."""
    from chronos_assets.pipeline.walkforward.summary import basis_lines

    space = run.space
    lines = [
        f"run {run.run_id} of {run.dataset_id}: {run.status}",
        f"profile {profile_words(run)}, {bar_words(run)} bars{f', {words}' if (words := standing_words(run)) else ''}",
        f"target {run.target_column}, {len(run.feature_columns)} features, "
        f"horizon {run.walk_config.get('horizon', '?')}, device {run.device}",
        *([f"features taken from selection {source}"] if (source := run.walk_config.get("features_from")) else []),
        f"{_windows(run)}; {space.folds} of {planned(run)} folds, {space.prediction_rows} predictions",
        f"files {byte_size(space.artifact_bytes)}, of which {byte_size(space.own_artifact_bytes)} are used by no other run",
        "parameters" + "".join(f"  {name} {value}" for name, value in _flat(run.hyperparameters).items()),
        "differs from the defaults: " + (", ".join(f"{name} {value}" for name, value in differences(run).items()) or "nothing"),
        *metrics_table(run.summary_metrics or {}),
        *basis_lines(run.summary_metrics or {}),
        *(_threshold(folds, side) for side in ("long", "short") if folds),
    ]
    if importance:
        more = f" of {len(importance)}" if len(importance) > FEATURES_SHOWN else ""
        lines.append(f"features by mean |SHAP|{f' (the first {FEATURES_SHOWN}{more})' if more else ''}")
        lines += [f"  {one.rank:>3}  {one.feature:<32} {one.shap:>10.4g}  gain {one.gain:.4g}" for one in importance[:FEATURES_SHOWN]]
    lines += _chosen_lines(chosen)
    lines += [f"warning {one.code}: {one.message}" for one in warnings]
    lines += [_simulation(one) for one in simulations]
    if run.status == "completed":
        following = f"chronos report {simulations[0].simulation_id}" if simulations else f"chronos simulate {run.run_id}"
        lines.append(f"next: {following}")
    elif run.status in ("failed", "cancelled"):
        lines.append(f"next: call the same walk-forward again (`chronos run {run.dataset_id}`); finished folds are kept")
    return "\n".join(lines)


def _chosen_lines(chosen: ChosenFeatures) -> list[str]:
    """How often folds chose each feature, in all and over time."""
    if not chosen.features:
        return []
    lines = [f"features that {chosen.folds} folds chose (folds, then their share in percent over time):"]
    lines.append(over_time_head([slice_.first_unix for slice_ in chosen.slices], width=38))
    lines += [f"{one.folds:>5} {one.feature:<32}{over_time_row(one.shares)}" for one in chosen.features]
    return lines


def over_time_head(starts_unix: Sequence[int], *, width: int) -> str:
    """The head of a table of shares: when each slice begins, after `width` characters. Year and month; month and day within a year."""
    starts = [datetime.fromtimestamp(start, UTC) for start in starts_unix]
    form = "%m-%d" if starts and starts[-1] - starts[0] < timedelta(days=365) else "%y-%m"
    return " " * width + "".join(f"{start.strftime(form):>6}" for start in starts)


def over_time_row(shares: Sequence[float]) -> str:
    """Shares (0..1) as whole percents; nothing for none, so that the eye finds the others."""
    return "".join(f"{100 * share:>6.0f}" if share else "     ." for share in shares)


def _cases(summary: Mapping[str, Any]) -> str:
    medians = [cases["median"] for cases in summary.get("threshold_cases", {}).values()]
    return "/".join("-" if median is None else f"{median:g}" for median in medians) or "-"


def profile_words(run: Run) -> str:
    """The profiles that asked for the run; a dash if none did (a changed profile, or a sweep)."""
    return ", ".join(run.profiles) or "-"


def bar_words(run: Run) -> str:
    """How many bars the run saw."""
    return "-" if run.bars is None else f"{run.bars:,}"


def standing_words(run: Run) -> str:
    """Whether the run is the current one of its profile, or which one replaced it, and whether it is pinned."""
    standing = "current" if run.current else f"superseded by {run.superseded_by}" if run.superseded_by else ""
    return ", ".join(filter(None, (standing, "pinned" if run.pinned_at else "")))


def planned(run: RunWithSpace) -> str:
    """Planned folds, as far as they are known."""
    return "?" if run.folds_planned is None else str(run.folds_planned)


def differences(run: RunWithSpace) -> dict[str, Any]:
    """Parameters of the run that are not the defaults of its learner, windows left out."""
    from chronos_assets.domain.profiles.walkforward import WalkforwardProfile

    usual = WalkforwardProfile().model_dump(mode="json")
    model = _flat(usual.pop("model"))
    found = _flat({key: value for key, value in run.walk_config.items() if key not in _NOT_CHOSEN and key not in _SIZES})
    usual_flat = _flat({key: value for key, value in usual.items() if key not in _SIZES})
    changed = {key: value for key, value in found.items() if key in usual_flat and value != usual_flat[key] and key != "device"}
    own = {key: value for key, value in _flat(run.hyperparameters).items() if value != model.get(key) and key != "objective"}
    return {**changed, **{f"model.{key}": value for key, value in own.items()}}


def _windows(run: RunWithSpace) -> str:
    config = run.walk_config
    train, test = (config.get(name) or config.get(f"{name}_size") for name in ("train", "test"))
    return f"{config.get('window', 'rolling')} {train}/{test}, gap {config.get('gap', '?')}"


def _threshold(folds: Sequence[FoldRecord], side: str) -> str:
    values = [fold.thresholds[side] for fold in folds if fold.thresholds.get(side) is not None]
    latest = folds[-1].thresholds.get(side)
    sign, middle = (">=" if side == "long" else "<="), statistics.median(values) if values else None
    shown = "off everywhere" if middle is None else f"{sign} {middle:.6g} (median)"
    now = "off" if latest is None else f"{sign} {latest:.6g}"
    return f"threshold {side:<5} {shown}, off in {len(folds) - len(values)} of {len(folds)} folds; in use now: {now}"


def _simulation(one: Simulation) -> str:
    metrics: Mapping[str, Any] = one.summary_metrics or {}
    result: str = one.status
    if metrics.get("total_return_pct") is not None:
        result = f"{metrics.get('trade_count', 0)} trades, return {metrics['total_return_pct']:.2f} %"
    return f"simulation {one.simulation_id} {one.mode:<5} {result}"


def _factor(metrics: Mapping[str, Any]) -> str:
    if metrics.get("no_losses"):
        return "inf"
    return "-" if metrics.get("profit_factor") is None else f"{metrics['profit_factor']:.2f}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat
