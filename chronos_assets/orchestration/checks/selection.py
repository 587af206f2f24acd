"""Checks of feature selections: enough cases, everything kept and in agreement, and no look at rows that are tested later."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import AssetCheckExecutionContext, AssetCheckResult, ResourceParam

from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.preview import dataset_checks
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.verdicts import Verdict, report_all

if TYPE_CHECKING:
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import LfsSelection

ASSET = "feature_selection"
FEW_PER_CLASS = 100  # below it, shares and p-values say little

CHECKS = {
    "enough_cases": ("Every class of the target has enough cases to judge features by.", False),
    "permutations_done": ("All permutations are kept, and counts and p-values follow from the kept sets and permutations.", True),
    "sees_no_test_rows": ("Features are chosen on rows that no walk-forward fold tests.", False),
}


@dataset_checks(ASSET, CHECKS, name="selection_checks")
def selection_checks(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Ask about the selection of each profile."""
    with user_facing_errors(context):
        found = _selections(context.partition_key, workplace)
        asked = {"enough_cases": _enough_cases, "permutations_done": _permutations_done, "sees_no_test_rows": _sees_no_test_rows}
        selected = {key.name for key in context.selected_asset_check_keys}
        yield from report_all(context, ASSET, {name: ask(workplace.stores, found) for name, ask in asked.items() if name in selected})


def _selections(slug: str, workplace: Workplace) -> dict[str, "LfsSelection"]:
    from chronos_assets.pipeline.selection.request import plan_lfs
    from chronos_assets.views.selections import read_selection

    manifest, stores = workplace.manifest(slug).manifest, workplace.stores
    found = {}
    for name in manifest.lfs:
        request = plan_lfs(
            slug, manifest.lfs_profile(name), stores, horizon_of=manifest.horizon, walkforward=manifest.walkforward_profile()
        )
        found[name] = read_selection(stores.postgres, request.lfs_id)
    return found


def _enough_cases(stores: "Stores", found: dict[str, "LfsSelection"]) -> Verdict:
    rows = [
        {"profile": name, "class": f"{c['low']:.6g} to {c['high']:.6g}", "cases": c["n"]}
        for name, selection in found.items()
        for c in (selection.run.summary_metrics or {})["classes"]
    ]
    few = [row for row in rows if row["cases"] < FEW_PER_CLASS]
    least = min((row["cases"] for row in rows), default=0)
    return Verdict(
        passed=not few,
        message=f"the smallest class has {least:,} cases" + ("" if not few else f" (fewer than {FEW_PER_CLASS} say little)"),
        rows=few,
        meaning="Take more rows, or fewer `bins`.",
        metadata={"least_cases": least},
        warn_only=True,
    )


def _permutations_done(stores: "Stores", found: dict[str, "LfsSelection"]) -> Verdict:
    from chronos_assets.pipeline.selection.checks import recount

    wrong = [{"profile": name, "what": what} for name, one in found.items() for what in recount(stores, one.run.lfs_id)]
    done = sum((selection.run.summary_metrics or {}).get("permutations_done", 0) for selection in found.values())
    return Verdict(
        passed=not wrong,
        message=f"{done:,} permutations, and every count and p-value follows from the files" if not wrong else str(wrong[0]["what"])[:400],
        rows=wrong,
        meaning="Rows or files were changed after they were stored. Delete the selection's files: the same request computes it again.",
        metadata={"permutations": done},
    )


def _sees_no_test_rows(stores: "Stores", found: dict[str, "LfsSelection"]) -> Verdict:
    rows = [
        {"profile": name, "rows to": selection.run.config["end_row"], "tests begin at": selection.run.config["first_test_row"]}
        for name, selection in found.items()
        if any(warning.code == "lfs_sees_test_rows" for warning in selection.warnings)
    ]
    return Verdict(
        passed=not rows,
        message="features are chosen before the first test row" if not rows else "features are chosen on rows that are tested later",
        rows=rows,
        meaning="A walk-forward with these features was told a part of the answer. Leave `end_row` out, or select inside the folds.",
        warn_only=True,
    )
