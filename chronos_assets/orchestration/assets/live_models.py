"""The live model: the fold that follows the last complete one, trained, promoted if the manifest's policy says so, and asked."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckExecutionContext, AssetExecutionContext, DataVersion, MaterializeResult, ResourceParam, asset

from chronos_assets.errors import ProfileError
from chronos_assets.orchestration.assets.files import CODE_VERSION, SOURCE_FILE, Metadata
from chronos_assets.orchestration.assets.walkforward import last_launch, request_of
from chronos_assets.orchestration.columns import of_signals
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import numbers, page_link, table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.domain.promotion import Decision
    from chronos_assets.pipeline.models.predict import LivePredictions
    from chronos_assets.pipeline.models.train import TrainedModel
    from chronos_assets.pipeline.walkforward.request import WalkforwardRequest

# A plan without a next fold is what its manifest asks for: nothing is wrong, and there is no live model.
NO_LIVE_FOLD = ("plan_closed", "window_not_begun")


@asset(
    partitions_def=DATASETS,
    deps=["trading_simulations", "walkforward_predictions", "indicator_datasets", SOURCE_FILE],
    group_name="research",
    kinds={"xgboost", "questdb", "postgres"},
    code_version=CODE_VERSION,
    pool="gpu",
    output_required=False,
    description=(
        "The model that predicts the newest bars: the fold that follows the last complete one of the walk-forward run, with the run and "
        "its simulations as its backtest. The manifest's `live` section says which profile it continues and when it is promoted."
    ),
)
def live_models(context: AssetExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[MaterializeResult[None]]:
    """Train the live fold, apply the policy, and predict the newest bars."""
    from chronos_assets.pipeline.models.predict import predict_live
    from chronos_assets.pipeline.models.promotion import apply_policy
    from chronos_assets.pipeline.models.train import train_request

    with user_facing_errors(context):
        manifest, stores = workplace.manifest(context.partition_key).manifest, workplace.stores
        request = live_request(context, workplace)
        if request is None:
            context.log.info("profile %s was not run: no live model continues it", manifest.live_profile_name)
            return
        by = f"dagster {context.run.run_id}"
        changed = bool(last_launch(context.instance, context.partition_key).changes)
        try:
            trained = train_request(
                request,
                stores,
                profile_name=None if changed else manifest.live_profile_name,
                requested_by=by,
                progress=workplace.progress(context),
            )
        except ProfileError as error:
            if error.code not in NO_LIVE_FOLD:
                raise
            context.log.info("no live model: %s", error)
            return
        decision = apply_policy(stores, manifest.live, trained.model, changed_by=by)
        found = predict_live(manifest.dataset, stores, model_id=trained.model.model_id)
        context.log.info("model %s: %s", trained.model.model_id, decision.reason)
        metadata = of_signals(request) | _metadata(workplace, trained, decision, found)
    yield MaterializeResult(data_version=DataVersion(trained.model.model_id), metadata=metadata)


def live_request(context: AssetExecutionContext | AssetCheckExecutionContext, workplace: Workplace) -> "WalkforwardRequest | None":
    """The request whose run the live model continues; None if the last launch ran other profiles only."""
    manifest = workplace.manifest(context.partition_key).manifest
    launch = last_launch(context.instance, context.partition_key)
    name = manifest.live_profile_name
    manifest.walkforward_profile(name)  # a profile that is not there is refused, whatever ran
    return request_of(workplace, manifest, name, launch) if name in launch.names(manifest) else None


def _metadata(workplace: Workplace, trained: "TrainedModel", decision: "Decision", found: "LivePredictions") -> Metadata:
    model, newest = trained.model, found.newest
    train, both = model.description["train"], model.backtest["run"].get("both") or {}
    return {
        "signal": "none: no bar of its window is there" if newest is None else newest["signal"],
        **({} if newest is None else {"signal_by": _origin(newest)}),
        **numbers({} if newest is None else {name: newest[name] for name in ("prediction", "long_threshold", "short_threshold")}),
        **numbers({f"model_{side}_threshold": model.thresholds[side] for side in ("long", "short")}),
        "newest_bars": table([_row(row) for row in found.signals.tail(10).iter_rows(named=True)]),
        "model_id": model.model_id,
        "run_id": model.description["run_id"],
        "promoted": decision.promote,
        "reason": decision.reason,
        "unchanged": trained.reused,
        "bars_of_its_window": trained.bars,
        "trained_on": f"{train['start']} to {train['end']}, {train['samples_fitted']:,} bars fitted",
        "valid_until": f"{model.valid_until_ts:%Y-%m-%dT%H:%M:%SZ} ({model.description['valid_until_is']})",
        "file_checksum": model.description["checksum"],
        "model_bytes": model.bytes,
        **numbers({name: both.get(name) for name in ("hit_rate", "profit_factor")}, "backtest_"),
        "dashboard": page_link(workplace.stores.settings, f"/models/{model.model_id}"),
    }


def _origin(newest: dict[str, Any]) -> str:
    """Whose prediction the signal is: the bar before the model's own window has that of the run's last fold."""
    return "the model" if newest["fold"] is None else f"fold {newest['fold']} of its run: the model's window begins with the next bar"


def _row(row: dict[str, Any]) -> dict[str, object]:
    """One bar with the thresholds that its signal comes from."""
    time = f"{datetime.fromtimestamp(row['timestamp_unix'], UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"bar": time, **{name: row[name] for name in ("prediction", "long_threshold", "short_threshold", "signal", "target_known")}}
