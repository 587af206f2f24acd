"""Checks of walk-forward runs: complete, the same in both stores, blind to the future, and with signals enough to judge."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckExecutionContext, AssetCheckResult, ResourceParam

from chronos_assets.orchestration.assets.walkforward import finished_run_id, last_launch
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.preview import dataset_checks
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.verdicts import Verdict, report_all

if TYPE_CHECKING:
    from chronos_assets.pipeline.walkforward.checks import Finding
    from chronos_assets.storage.stores import Stores

ASSET = "walkforward_predictions"
AUDITED_FOLDS = 2
FEW_SIGNALS = 30  # below it, a hit rate or profit factor says little

CHECKS = {
    "complete": ("Every planned fold is stored once, and every test bar predicted once.", True),
    "stores_agree": ("Thresholds in QuestDB equal those in Postgres, and metrics follow from the stored predictions.", True),
    "no_look_ahead": ("Folds trained again on bars with another future come out bit-equal.", True),
    "well_founded": ("Nearly all folds learned something, and their thresholds rest on enough cases.", False),
    "enough_signals": ("Both sides have enough signals to judge them by.", False),
}


@dataset_checks(ASSET, CHECKS, name="walkforward_checks")
def walkforward_checks(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Ask both stores about the run of each profile."""
    with user_facing_errors(context):
        manifest, stores = workplace.manifest(context.partition_key).manifest, workplace.stores
        launch = last_launch(context.instance, context.partition_key)
        runs = {name: finished_run_id(workplace, manifest, name, launch) for name in launch.names(manifest)}
        asked = {
            "complete": _complete,
            "stores_agree": _stores_agree,
            "no_look_ahead": _no_look_ahead,
            "well_founded": _well_founded,
            "enough_signals": _enough_signals,
        }
        selected = {key.name for key in context.selected_asset_check_keys}
        yield from report_all(ASSET, {name: ask(stores, runs) for name, ask in asked.items() if name in selected})


def _complete(stores: "Stores", runs: dict[str, str]) -> Verdict:
    from chronos_assets.pipeline.walkforward.checks import completeness

    found = {name: completeness(stores, run_id) for name, run_id in runs.items()}
    folds, bars = sum(f.folds_stored for f in found.values()), sum(f.bars_predicted for f in found.values())
    return _verdict(
        {name: f.findings for name, f in found.items()},
        good=f"{folds:,} folds and {bars:,} predicted bars, as planned",
        bad="folds or predictions are missing",
        meaning="A fold counts only if its row and all its predictions are stored. The next run trains the missing folds only.",
        command=f"validate_dataset --run {next(iter(runs.values()))}",
        numbers={"folds_stored": folds, "bars_predicted": bars},
    )


def _stores_agree(stores: "Stores", runs: dict[str, str]) -> Verdict:
    from chronos_assets.pipeline.walkforward.checks import recompute_run_metrics, thresholds_agree

    found = {name: [*thresholds_agree(stores, run_id), *recompute_run_metrics(stores, run_id)] for name, run_id in runs.items()}
    return _verdict(
        found,
        good="thresholds and metrics agree in both stores",
        bad="the stores disagree",
        meaning="Somebody changed rows after they were stored, or one store was restored without the other. The run cannot be trusted.",
        command=f"validate_dataset --run {next(iter(runs.values()))}",
    )


def _no_look_ahead(stores: "Stores", runs: dict[str, str]) -> Verdict:
    from chronos_assets.pipeline.walkforward.look_ahead import look_ahead_audit

    found = {name: look_ahead_audit(stores, run_id, AUDITED_FOLDS) for name, run_id in runs.items()}
    folds = sum(len(report.folds) for report in found.values())
    return _verdict(
        {name: report.findings for name, report in found.items()},
        good=f"{folds} folds trained again on another future came out bit-equal",
        bad="a fold noticed the future, or is not the one that is stored",
        meaning="A model that changes with bars it must not know of has looked ahead; its results cannot be had in trading.",
        command=f"validate_dataset --run {next(iter(runs.values()))}",
        numbers={"folds_audited": folds},
    )


def _enough_signals(stores: "Stores", runs: dict[str, str]) -> Verdict:
    from chronos_assets.pipeline.walkforward.checks import signal_counts

    counts = {name: signal_counts(stores, run_id) for name, run_id in runs.items()}
    rows = [
        {"profile": name, "side": side, "signals": getattr(c, side), "folds off": getattr(c, f"folds_without_{side}"), "folds": c.folds}
        for name, c in counts.items()
        for side in ("long", "short")
    ]
    few = [row for row in rows if row["signals"] < FEW_SIGNALS]
    total = sum(row["signals"] for row in rows)
    named = ", ".join(f"{row['profile']} {row['side']} has {row['signals']}" for row in few[:4])
    return Verdict(
        passed=not few,
        message=f"{total:,} signals" if not few else f"few signals: {named} (fewer than {FEW_SIGNALS} say little)",
        rows=few,
        meaning="A side is off in a fold whose best profit factor on the validation cases is 1 or less. More data or a smaller "
        "min_fraction gives more signals; fewer, better ones may be what you want.",
        command=f"chronos runs show {next(iter(runs.values()))}",
        metadata={"signals": total},
        warn_only=True,
    )


def _well_founded(stores: "Stores", runs: dict[str, str]) -> Verdict:
    from chronos_assets.pipeline.walkforward.store import LEARNED_NOTHING
    from chronos_assets.pipeline.walkforward.summary import FEW_CASES, WARN_SHARE, threshold_cases
    from chronos_assets.storage.runs import get_folds

    rows: list[dict[str, Any]] = []
    total = 0
    for name, run_id in runs.items():
        folds = get_folds(stores.postgres, run_id)
        nothing = sum(LEARNED_NOTHING in fold.metrics.get("notes", []) for fold in folds)
        total += nothing
        rows.append({"profile": name, "what": "folds that learned nothing", "folds": nothing, "of": len(folds)})
        for side, cases in threshold_cases(folds).items():
            what = f"{side} thresholds on fewer than {FEW_CASES} cases"
            rows.append({"profile": name, "what": what, "folds": cases["few"], "of": cases["folds"]})
    many = [row for row in rows if row["of"] and row["folds"] > WARN_SHARE * row["of"]]
    named = "; ".join(f"{row['profile']}: {row['folds']} of {row['of']} {row['what']}" for row in many[:4])
    return Verdict(
        passed=not many,
        message=f"{total} folds learned nothing, and thresholds rest on {FEW_CASES} cases or more" if not many else f"weak folds: {named}",
        rows=many,
        meaning="A fold whose model stops at its first round, or predicts a constant, adds luck to the run. A threshold on a handful of "
        "cases is their luck. Longer training windows, other features or a larger thresholds.min_fraction help.",
        command=f"chronos runs show {next(iter(runs.values()))}",
        metadata={"folds_learned_nothing": total},
        warn_only=True,
    )


def _verdict(
    found: "Mapping[str, Sequence[Finding]]", *, good: str, bad: str, meaning: str, command: str, numbers: dict[str, int] | None = None
) -> Verdict:
    rows = [
        {"profile": name, "fold": one.fold, "what": one.what, "expected": one.expected, "found": one.found}
        for name, all_ in found.items()
        for one in all_
    ]
    first = f": fold {rows[0]['fold']}, {rows[0]['what']}, expected {rows[0]['expected']}, found {rows[0]['found']}" if rows else ""
    return Verdict(
        passed=not rows,
        message=good if not rows else f"{bad}{first}"[:400],
        rows=rows,
        meaning=meaning,
        command=command,
        metadata={"findings": len(rows), **(numbers or {})},
    )
