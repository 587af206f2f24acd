"""Walk-forward predictions of a published dataset: every profile of its manifest, folds trained inside this one step."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetRecordsFilter,
    Config,
    DagsterInstance,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    asset,
)
from pydantic import Field

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import NotPublishedError, UsageError
from chronos_assets.orchestration.assets.files import CODE_VERSION, SOURCE_FILE, Metadata
from chronos_assets.orchestration.columns import of_predictions
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import console_link, fold_strip, numbers, page_link, sparkline, table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.domain.manifest import Manifest
    from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
    from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
    from chronos_assets.pipeline.walkforward.run import WalkforwardResult
    from chronos_assets.storage.run_standings import RunStanding
    from chronos_assets.storage.runs import FoldRecord
    from chronos_assets.storage.stores import Stores

LAUNCH = "launch"


class WalkforwardConfig(Config):
    """What a launch may choose, and change; the profiles themselves stand in the manifest."""

    profiles: list[str] = Field(default_factory=list, description="Names of walk-forward profiles to run; if empty, all of the manifest.")
    changes: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters that this launch changes in each of them, as a manifest writes them or by dotted key: "
        "`{train_size: 500, model: {eta: 0.05}}`, `{model.eta: 0.05}`. Checks and simulations follow what was launched last.",
    )


@dataclass(frozen=True)
class ProfileRun:
    """One profile and the run that it made."""

    profile: str
    request: "WalkforwardRequest"
    result: "WalkforwardResult"


@dataclass(frozen=True)
class Launch:
    """What the materialization of a partition ran: profiles, and the parameters changed in them."""

    profiles: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)

    def profile(self, manifest: "Manifest", name: str) -> "WalkforwardProfile":
        """The manifest's profile, changed where it was launched so; raises `ProfileError` for what is no parameter or out of range."""
        from chronos_assets.domain.profiles.variants import change_profile

        profile = manifest.walkforward_profile(name)
        return change_profile(profile, self.changes) if self.changes and name in self.profiles else profile

    def names(self, manifest: "Manifest") -> list[str]:
        """The profiles launched, as far as the manifest still has them; all of the manifest's if nothing is recorded."""
        known = profile_names(manifest)
        return [name for name in self.profiles if name in known] or known

    def as_metadata(self) -> Metadata:
        """What `last_launch` reads again."""
        return {LAUNCH: MetadataValue.json({"profiles": list(self.profiles), "changes": dict(self.changes)})}


def last_launch(instance: DagsterInstance, slug: str) -> Launch:
    """The launch that the newest materialization of the partition recorded."""
    wanted = AssetRecordsFilter(AssetKey("walkforward_predictions"), asset_partitions=[slug])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        materialization = record.asset_materialization
        recorded = None if materialization is None else materialization.metadata.get(LAUNCH)
        if recorded is not None and isinstance(recorded.value, dict):
            return Launch(tuple(recorded.value.get("profiles", ())), recorded.value.get("changes", {}))
    return Launch()


@asset(
    partitions_def=DATASETS,
    deps=["indicator_datasets", "walkforward_profiles", SOURCE_FILE],
    group_name="research",
    kinds={"xgboost", "questdb", "postgres"},
    code_version=CODE_VERSION,
    pool="gpu",
    description=(
        "Out-of-sample predictions, fold after fold, with the thresholds that each fold chose. A run is named by what determines it: the "
        "same request trains nothing again, a changed one copies the folds that stayed the same."
    ),
)
def walkforward_predictions(
    context: AssetExecutionContext, config: WalkforwardConfig, workplace: ResourceParam[Workplace]
) -> MaterializeResult[None]:
    """Train the missing folds of each profile."""
    with user_facing_errors(context):
        manifest, stores = workplace.manifest(context.partition_key).manifest, workplace.stores
        names = chosen(profile_names(manifest), config.profiles, "walk-forward profile")
        launch = Launch(tuple(names), config.changes)
        for name in names:
            launch.profile(manifest, name)  # all of them are valid before the first is trained
        runs = [_run(context, workplace, launch, name) for name in names]
        for run in runs:
            for warning in run.result.warnings:
                context.log.warning("%s: %s", warning["code"], warning["message"])
        version = hashlib.sha256(" ".join(sorted(run.result.run_id for run in runs)).encode()).hexdigest()
        return MaterializeResult(data_version=DataVersion(version), metadata=_metadata(stores, runs) | launch.as_metadata())


def profile_names(manifest: "Manifest") -> list[str]:
    """Names of the walk-forward profiles, `default` if the manifest names none, and those that its simulations ask for."""
    asked = [profile.walkforward for profile in manifest.simulation.values()]
    return list(dict.fromkeys([*(manifest.walkforward or ["default"]), *asked]))


def chosen(names: list[str], wanted: list[str], what: str) -> list[str]:
    """`wanted` (all if empty); raises `UsageError` that names the nearest known one."""
    for name in wanted:
        if name not in names:
            close = nearest(name, names)
            hint = f"Did you mean {close!r}?" if close else f"There are {', '.join(names)}."
            raise UsageError(f"the manifest has no {what} {name!r}", code="profile_unknown", hint=hint)
    return wanted or names


def request_of(workplace: Workplace, manifest: "Manifest", profile: str, launch: Launch) -> "WalkforwardRequest":
    """The resolved request of a profile; raises `NotPublishedError` if its dataset is not in the registry.

    Steps that share a process share what was resolved: same dataset as published, same profile, same horizon, same request.
    """
    from chronos_assets.pipeline.walkforward.run import plan_request, resolve_target
    from chronos_assets.storage.datasets import get_dataset

    stores = workplace.stores
    record, asked = get_dataset(stores.postgres, manifest.dataset), launch.profile(manifest, profile)
    horizon, assumed = manifest.horizon(resolve_target(record, asked))
    known = (record, asked.model_dump_json(), horizon, assumed)
    return workplace.resolved(known, lambda: plan_request(manifest.dataset, asked, stores, horizon=horizon, horizon_assumed=assumed))


def finished_run_id(workplace: Workplace, manifest: "Manifest", profile: str, launch: Launch) -> str:
    """`run_id` of a profile's completed run; raises `NotPublishedError` if it is not there."""
    from chronos_assets.storage.runs import find_run

    request = request_of(workplace, manifest, profile, launch)
    run = find_run(workplace.stores.postgres, request.run_id)
    if run is None or run.status != "completed":
        raise NotPublishedError(
            f"not published: {manifest.dataset} has no completed walk-forward run of profile {profile!r}",
            code="run_missing",
            found=None if run is None else f"run {run.run_id} is {run.status}",
            hint="Materialize walkforward_predictions first.",
        )
    return run.run_id


def _run(context: AssetExecutionContext, workplace: Workplace, launch: Launch, profile: str) -> ProfileRun:
    from chronos_assets.pipeline.walkforward.baseline import baseline_profile
    from chronos_assets.pipeline.walkforward.run import run_request

    manifest = workplace.manifest(context.partition_key).manifest
    request = request_of(workplace, manifest, profile, launch)
    result = run_request(
        request,
        workplace.stores,
        baseline=baseline_profile(request.profile),
        profile_name=None if launch.changes else profile,
        requested_by=f"dagster {context.run.run_id}",
        progress=workplace.progress(context),
    )
    context.log.info("profile %s: run %s, %s", profile, result.run_id, fold_words(result))
    return ProfileRun(profile, request, result)


def fold_words(result: "WalkforwardResult") -> str:
    """How many folds there are and where they came from."""
    if not result.folds_trained and not result.folds_copied:
        return f"{result.folds_planned} folds, unchanged"
    return f"{result.folds_planned} folds, {result.folds_trained} trained, {result.folds_planned - result.folds_trained} reused"


def _metadata(stores: "Stores", runs: list[ProfileRun]) -> Metadata:
    from chronos_assets.storage.console import predictions_of
    from chronos_assets.storage.run_standings import RunStanding, run_standings
    from chronos_assets.storage.runs import get_folds

    first = runs[0]
    folds = get_folds(stores.postgres, first.result.run_id)
    trained = sum(run.result.folds_trained for run in runs)
    planned = sum(run.result.folds_planned for run in runs)
    sums = cumulative_sums(folds)
    caption = f"folds of profile {first.profile}\n\n{' to '.join(_dates(folds))}"
    standings = run_standings(stores.postgres, [run.result.run_id for run in runs])
    return {
        **of_predictions(first.request),
        "folds": fold_strip([(fold.metrics.get("both") or {}).get("signal_sum") or 0.0 for fold in folds], caption),
        "signal_sum": sparkline(sums, f"signal sum over {len(folds)} folds of profile {first.profile}", dates=_dates(folds)),
        "folds_planned": planned,
        "folds_trained": trained,
        "folds_reused": planned - trained,
        "unchanged": trained == 0 and all(run.result.folds_copied == 0 for run in runs),
        **{key: value for run in runs for key, value in pooled_numbers(run.profile, run.result.summary_metrics).items()},
        "dashboard": page_link(stores.settings, f"/runs/{first.result.run_id}"),
        "runs": table([_row(run, standings.get(run.result.run_id, RunStanding())) for run in runs]),
        "predictions": console_link(
            stores.questdb.http.base, predictions_of(first.result.run_id), f"the first 1,000 predictions of profile {first.profile}"
        ),
        f"thresholds_of_the_last_{len(folds[-10:])}_folds_of_{first.profile}": table([_fold_row(fold) for fold in folds[-10:]]),
        "run_ids": {run.profile: run.result.run_id for run in runs},
    }


def pooled_numbers(profile: str, summary: dict[str, Any]) -> dict[str, int | float]:
    """Pooled metrics of a run and of its baseline by side, named so that each plots by itself; those of `default` without a prefix."""
    prefix = "" if profile == "default" else f"{profile}_"
    names = ("n_signals", "hit_rate", "signal_sum", "profit_factor")
    sides = {side: summary.get(side) or {} for side in ("long", "short", "both")}
    sides |= {f"baseline_{side}": (summary.get("baseline") or {}).get(side) or {} for side in sides}
    pooled = {k: v for side, m in sides.items() for k, v in numbers({n: m.get(n) for n in names}, f"{prefix}{side}_").items()}
    basis = {f"{side}_threshold_cases": cases["median"] for side, cases in summary.get("threshold_cases", {}).items()}
    return pooled | numbers(basis | {"folds_learned_nothing": summary.get("folds_learned_nothing")}, prefix)


def _dates(folds: "list[FoldRecord]") -> tuple[str, str]:
    """The first and the last day that the folds predict."""
    return (str(folds[0].test_start_ts)[:10], str(folds[-1].test_end_ts)[:10]) if folds else ("", "")


def cumulative_sums(folds: "list[FoldRecord]") -> list[float | None]:
    """Running sum of the folds' signal sums."""
    total, line = 0.0, []
    for fold in folds:
        total += (fold.metrics.get("both") or {}).get("signal_sum") or 0.0
        line.append(total)
    return list(line)


def _row(run: ProfileRun, standing: "RunStanding") -> dict[str, object]:
    both, baseline = run.result.summary_metrics.get("both") or {}, run.result.summary_metrics.get("baseline") or {}
    return {
        "profile": run.profile,
        "target": run.request.target,
        "run_id": run.result.run_id,
        "current": run.profile in standing.current_of,
        "bars": run.request.record.row_count,
        "folds": run.result.folds_planned,
        "trained": run.result.folds_trained,
        "signals": both.get("n_signals"),
        "hit_rate": both.get("hit_rate"),
        "profit_factor": both.get("profit_factor"),
        "learned_nothing": run.result.summary_metrics.get("folds_learned_nothing"),
        **{f"{side}_cases": cases["median"] for side, cases in (run.result.summary_metrics.get("threshold_cases") or {}).items()},
        "baseline": baseline.get("learner"),
        "baseline profit_factor": (baseline.get("both") or {}).get("profit_factor"),
    }


def _fold_row(fold: "FoldRecord") -> dict[str, object]:
    both = fold.metrics.get("both") or {}
    return {
        "fold": fold.fold_number,
        "test from": str(fold.test_start_ts)[:16],
        "long from": fold.thresholds.get("long"),
        "short to": fold.thresholds.get("short"),
        "cases": " / ".join(str(n or "-") for n in (fold.metrics.get("threshold_cases") or {}).values()) or None,
        "signals": both.get("n_signals"),
        "signal sum": both.get("signal_sum"),
    }
