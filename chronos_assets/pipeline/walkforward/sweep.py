"""Many walk-forward runs over a grid of profile parameters, ranked, with what the number of trials does to the best of them.

Each point of the grid is a run of its own: it has a `run_id`, resumes, and can be simulated. The sweep is a record before its first run
starts. The ranking is by pooled signal metrics of the test rows. The best of many is flattered by chance, so three numbers stand beside it:
the deflated Sharpe ratio among all trials ever made on the lineage and target, the probability of backtest overfitting and Hansen's test of
superior ability over the runs of this sweep ([LP], `domain.statistics`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chronos_assets.domain.profiles.variants import expand
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.statistics.deflation import DeflatedSharpe, chance_among, deflated_sharpe
from chronos_assets.domain.statistics.ranking import RANKINGS, merit
from chronos_assets.domain.statistics.trials import Signals, sharpe_per_signal
from chronos_assets.errors import FoldsFailedError, ProfileError
from chronos_assets.learning.executors.base import FoldExecutor
from chronos_assets.learning.executors.catalogue import open_executor
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.overfitting import Overfitting, RunSignals, overfitting, read_signals
from chronos_assets.pipeline.walkforward.run import HorizonOf, WalkforwardResult, resolve_target, run_walkforward
from chronos_assets.pipeline.walkforward.trials import all_trials
from chronos_assets.storage.datasets import DatasetRecord, get_dataset
from chronos_assets.storage.runs import get_run
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import begin_sweep, link_sweep

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/sweep")


@dataclass(frozen=True)
class Trial:
    """One point of the grid: what was changed, its run, and how its signals did."""

    changes: dict[str, Any]
    run_id: str | None
    metrics: dict[str, Any]
    sharpe: float | None
    deflated: DeflatedSharpe | None = None
    error: str | None = None


@dataclass(frozen=True)
class SweepResult:
    """Trials, best first, and what to keep in mind about them. `trials_on_record`: all ever made on the lineage and target."""

    ranked_by: str
    trials: list[Trial]
    warnings: list[dict[str, str]] = field(default_factory=list)
    sweep_id: str | None = None
    overfitting: Overfitting | None = None
    trials_on_record: int = 0

    def as_json(self) -> dict[str, Any]:
        """The form that `chronos sweep --json` prints."""
        return asdict(self)


def run_sweep(
    slug: str,
    profile: WalkforwardProfile,
    axes: Mapping[str, Sequence[Any]],
    stores: Stores,
    *,
    horizon_of: HorizonOf,
    rank_by: str = "profit_factor",
    requested_by: str = "chronos sweep",
    progress: Progress = silent,
    executor: FoldExecutor | None = None,
) -> SweepResult:
    """Run every point of the grid (finished ones return at once) and rank them by `rank_by` over both sides.

    `horizon_of(target)` tells bars looked ahead and whether they are assumed. A point that cannot be run keeps its reason.
    """
    if rank_by not in RANKINGS:
        raise ProfileError(f"trials cannot be ranked by {rank_by!r}", code="ranking_unknown", expected=f"one of {', '.join(RANKINGS)}")
    points = expand(profile, axes)
    executor = executor or open_executor(stores.settings)
    record = get_dataset(stores.postgres, slug)
    target = resolve_target(record, profile)
    sweep_id = sweep_id_of(record, target, profile, axes)
    begin_sweep(stores.postgres, sweep_id, dataset_id=record.dataset_id, target=target, grid=axes)
    trials: list[Trial] = []
    made: dict[str, RunSignals] = {}
    with executor.session():
        for number, (changes, point) in enumerate(points):
            progress("trials", number, len(points), str(changes))
            own_target = resolve_target(record, point)
            horizon, assumed = horizon_of(own_target)
            try:
                result = run_walkforward(
                    slug, point, stores, horizon=horizon, horizon_assumed=assumed, requested_by=requested_by, executor=executor
                )
            except (ProfileError, FoldsFailedError) as error:
                if error.code == "target_horizon_undeclared":
                    raise  # the manifest is to be completed, whatever the point
                trials.append(Trial(changes, None, {}, None, error=str(error)))
                continue
            link_sweep(stores.postgres, sweep_id, result.run_id, changes)
            made[result.run_id] = read_signals(get_run(stores.postgres, result.run_id), stores)
            trials.append(_trial(changes, result, made[result.run_id].signals))
    progress("trials", len(points), len(points))
    judged, on_record = _deflated(stores, record.dataset_id, trials, made)
    return SweepResult(rank_by, _ranked(judged, rank_by), _warnings(trials, on_record), sweep_id, overfitting(made), on_record)


def sweep_id_of(record: DatasetRecord, target: str, profile: WalkforwardProfile, axes: Mapping[str, Sequence[Any]]) -> str:
    """UUIDv5 of dataset and content, target, profile and grid: the same request is the same sweep."""
    parts = {
        "dataset": record.dataset_id,
        "content": record.content_hash,
        "target": target,
        "profile": profile.model_dump(mode="json", exclude_defaults=True),
        "grid": {key: list(values) for key, values in axes.items()},
    }
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts, sort_keys=True)))


def _trial(changes: dict[str, Any], result: WalkforwardResult, signals: Signals) -> Trial:
    return Trial(changes, result.run_id, dict(result.summary_metrics.get("both", {})), sharpe_per_signal(signals.returns))


def _deflated(stores: Stores, dataset_id: str, trials: Sequence[Trial], made: Mapping[str, RunSignals]) -> tuple[list[Trial], int]:
    """Trials with their deflated Sharpe ratios among all on record for their target, and how many those are (the most of any target)."""
    known = {target: all_trials(stores, dataset_id, target) for target in {run.target for run in made.values()}}
    chances = {target: chance_among(list(others.values())) for target, others in known.items()}
    judged = []
    for trial in trials:
        if trial.run_id is None:
            judged.append(trial)
            continue
        run = made[trial.run_id]
        deflated = deflated_sharpe(run.signals.returns, known[run.target][trial.run_id].effective_signals, chances[run.target])
        judged.append(Trial(**(vars(trial) | {"deflated": deflated})))
    return judged, max(map(len, known.values()), default=0)


def _ranked(trials: Sequence[Trial], rank_by: str) -> list[Trial]:
    """Best first; a trial without a value comes last, one without losses first."""
    return sorted(trials, key=lambda trial: merit(trial.metrics, trial.sharpe, rank_by), reverse=True)


def _warnings(trials: Sequence[Trial], on_record: int) -> list[dict[str, str]]:
    ran = sum(trial.run_id is not None for trial in trials)
    if max(ran, on_record) < 2:
        return []
    message = (
        f"{ran} trials were compared here and {on_record} are on record for this data and target: the best of them is flattered by chance. "
        "Read its deflated probability, and judge it on bars that no trial has seen."
    )
    return [{"code": "many_trials", "message": message}]
