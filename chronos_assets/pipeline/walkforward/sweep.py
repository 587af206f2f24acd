"""Many walk-forward runs over a grid of profile parameters, ranked, with a warning that grows with the number of trials.

Each point of the grid is a run of its own: it has a `run_id`, resumes, and can be simulated. The ranking is by pooled signal metrics
of the test rows; the best of many trials is flattered by chance, so the deflated Sharpe ratio stands beside it ([LP], `domain.selection`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chronos_assets.domain.metrics import SideReturns
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.statistics.deflation import MOST_TRIALS, DeflatedSharpe, deflated_sharpe, grid, merged, sharpe_per_signal
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import FoldsFailedError, ProfileError
from chronos_assets.learning.executor import FoldExecutor
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.run import HorizonOf, WalkforwardResult, open_executor, resolve_target, run_walkforward
from chronos_assets.pipeline.walkforward.summary import pooled_returns
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.stores import Stores

RANKINGS = ("profit_factor", "signal_sum", "mean", "hit_rate", "sharpe")


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
    """Trials, best first, and what to keep in mind about them."""

    ranked_by: str
    trials: list[Trial]
    warnings: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The form that `chronos sweep --json` prints."""
        return asdict(self)


def expand(profile: WalkforwardProfile, axes: Mapping[str, Sequence[Any]]) -> list[tuple[dict[str, Any], WalkforwardProfile]]:
    """Every point of the grid as changes and a whole profile, all validated before any is run; raises `ProfileError`."""
    count = 1
    for values in axes.values():
        count *= len(values)
    if not axes or not 0 < count <= MOST_TRIALS:
        raise ProfileError(
            "the grid cannot be run", code="grid_size", expected=f"1 to {MOST_TRIALS} combinations", found=count if axes else 0
        )
    base = profile.model_dump(exclude_unset=True)
    return [
        (changes, parse_strict(WalkforwardProfile, merged(base, changes), error=ProfileError, what="the grid")) for changes in grid(axes)
    ]


def change_profile(profile: WalkforwardProfile, changes: Mapping[str, Any]) -> WalkforwardProfile:
    """`profile` with `changes` put over it: nested (`{"model": {"eta": 0.1}}`) or by dotted key (`{"model.eta": 0.1}`).

    Raises `ProfileError` for what a manifest could not say either; a typo names the nearest key.
    """
    document = profile.model_dump(exclude_unset=True)
    for key, value in changes.items():
        (nested,) = grid({key: [value]})
        document = merged(document, nested)
    return parse_strict(WalkforwardProfile, document, error=ProfileError, what="the changed profile")


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
    executor = executor or open_executor(stores)
    record = get_dataset(stores.postgres, slug)
    trials, returns = [], {}
    with executor.session():
        for number, (changes, point) in enumerate(points):
            progress("trials", number, len(points), str(changes))
            horizon, assumed = horizon_of(resolve_target(record, point))
            try:
                result = run_walkforward(
                    slug, point, stores, horizon=horizon, horizon_assumed=assumed, requested_by=requested_by, executor=executor
                )
            except (ProfileError, FoldsFailedError) as error:
                if error.code == "target_horizon_undeclared":
                    raise  # the manifest is to be completed, whatever the point
                trials.append(Trial(changes, None, {}, None, error=str(error)))
                continue
            returns[result.run_id] = _returns(stores, result)
            trials.append(_trial(changes, result, returns[result.run_id]))
    progress("trials", len(points), len(points))
    return SweepResult(rank_by, _ranked(trials, returns, rank_by), _warnings(trials))


def _returns(stores: Stores, result: WalkforwardResult) -> SideReturns:
    return pooled_returns(read_predictions(stores, result.run_id), binary=bool(result.summary_metrics.get("binary_target")))


def _trial(changes: dict[str, Any], result: WalkforwardResult, returns: SideReturns) -> Trial:
    return Trial(changes, result.run_id, dict(result.summary_metrics.get("both", {})), sharpe_per_signal(returns.both))


def _ranked(trials: Sequence[Trial], returns: Mapping[str, SideReturns], rank_by: str) -> list[Trial]:
    """Best first; a trial without a value comes last, one without losses first."""
    sharpes = [trial.sharpe for trial in trials if trial.sharpe is not None]
    deflated = [
        trial if trial.run_id is None else Trial(**(vars(trial) | {"deflated": deflated_sharpe(returns[trial.run_id].both, sharpes)}))
        for trial in trials
    ]

    def merit(trial: Trial) -> float:
        if rank_by == "profit_factor" and trial.metrics.get("no_losses"):
            return float("inf")
        value = trial.sharpe if rank_by == "sharpe" else trial.metrics.get(rank_by)
        return float("-inf") if value is None else float(value)

    return sorted(deflated, key=merit, reverse=True)


def _warnings(trials: Sequence[Trial]) -> list[dict[str, str]]:
    ran = sum(trial.run_id is not None for trial in trials)
    if ran < 2:
        return []
    message = (
        f"{ran} trials were compared: the best of them is flattered by chance. Read its deflated probability, and judge it on bars that "
        "no trial has seen."
    )
    return [{"code": "many_trials", "message": message}]
