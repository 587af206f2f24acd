"""Checks of live models: what was said live is what the plan's folds say of the same bars, and it was right as often as promised."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import AssetCheckExecutionContext, AssetCheckResult, ResourceParam

from chronos_assets.orchestration.assets.live_models import live_request
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import numbers
from chronos_assets.orchestration.preview import dataset_checks
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.verdicts import Verdict, report_all

if TYPE_CHECKING:
    from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
    from chronos_assets.storage.stores import Stores

ASSET = "live_models"
CHECKS = {
    "live_parity": ("Signals given live equal what the walk-forward folds say of the same bars, bit for bit.", False),
    "live_drift": ("The hit rate of live signals agrees with the backtest's.", False),
}


@dataset_checks(ASSET, CHECKS, name="live_model_checks")
def live_model_checks(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Compare live signals with the folds that cover their bars by now."""
    with user_facing_errors(context):
        request = live_request(context, workplace)
        asked = {"live_parity": _parity, "live_drift": _drift}
        selected = {key.name for key in context.selected_asset_check_keys}
        yield from report_all(context, ASSET, {name: ask(workplace.stores, request) for name, ask in asked.items() if name in selected})


def _parity(stores: "Stores", request: "WalkforwardRequest | None") -> Verdict:
    from chronos_assets.pipeline.models.live_checks import parity

    if request is None:
        return _nothing()
    found = parity(stores, request)
    return Verdict(
        passed=not found.differing,
        message=f"{len(found.differing)} of {found.compared} live signals differ from what the folds say of the same bars"
        if found.differing
        else f"{found.compared} live signals equal what the folds say of the same bars",
        rows=found.differing[:10],
        meaning="The model that spoke live is not the one that the backtest describes: bars, code or a stored row changed in between.",
        command=f"chronos model list {request.record.dataset_id}",
        metadata={"compared": found.compared, "differing": len(found.differing)},
        warn_only=True,
    )


def _drift(stores: "Stores", request: "WalkforwardRequest | None") -> Verdict:
    from chronos_assets.pipeline.models.live_checks import CONFIDENCE, FEW_SIGNALS, drift

    if request is None:
        return _nothing()
    found = drift(stores, request)
    if found.within is None:
        message = f"{found.signals} live signals with a known target: fewer than {FEW_SIGNALS} say little"
    else:
        message = (
            f"live signals were right in {100 * (found.hit_rate or 0):.1f} % of {found.signals} "
            f"({100 * CONFIDENCE:.0f} % interval {100 * (found.low or 0):.1f} to {100 * (found.high or 0):.1f} %), "
            f"the backtest in {100 * (found.backtest or 0):.1f} %"
        )
    shown = numbers({"live_hit_rate": found.hit_rate, "low": found.low, "high": found.high, "backtest_hit_rate": found.backtest})
    return Verdict(
        passed=found.within is not False,
        message=message,
        meaning="The market or the features may have changed. Look at the signals over time before you trade the next one.",
        command=f"chronos predict {request.record.dataset_id}",
        metadata={"live_signals": found.signals, **shown},
        warn_only=True,
    )


def _nothing() -> Verdict:
    return Verdict(passed=True, message="the profile of the live model was not run", warn_only=True)
