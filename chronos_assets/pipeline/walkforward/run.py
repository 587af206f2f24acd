"""Walk-forward: plan the folds of a request, take those already known, train the rest, store each as it finishes.

The same request is the same run (`run_id`): it resumes if folds are missing and returns at once if none are. The run's status is
true at every moment: `running` only while this process holds the run's lock, and how it ended afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronos_assets.domain.folds import Fold
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ChronosError, ConflictError, DeviceError, FoldsFailedError, ProfileError
from chronos_assets.learning.devices import read_table
from chronos_assets.learning.executors.base import AHEAD, FoldExecutor, checked, require_versions
from chronos_assets.learning.executors.catalogue import open_executor
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.training import FoldData, FoldFailure, FoldSpec, Recipe
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.walkforward.baseline import baseline_entry, baseline_name, baseline_profile
from chronos_assets.pipeline.walkforward.data import RunData, make_recipe, read_run_data
from chronos_assets.pipeline.walkforward.feature_origin import find_origin
from chronos_assets.pipeline.walkforward.horizon import refuse_undeclared
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest, resolve_request, resolve_target
from chronos_assets.pipeline.walkforward.reuse import copy_known_folds, find_known_folds
from chronos_assets.pipeline.walkforward.store import FoldWriter
from chronos_assets.pipeline.walkforward.summary import remarks, summarize
from chronos_assets.pipeline.walkforward.trials import keep_trial
from chronos_assets.storage.datasets import get_dataset, read_bars
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.runs import (
    begin_run,
    declare_dead_runs,
    end_run,
    files_lock,
    find_run,
    keep_in_summary,
    predictions_by_fold,
    read_predictions,
    request_as,
    run_lock,
    stored_fold_files,
)
from chronos_assets.storage.stores import Stores

# Somebody who only looks whether a run is dead holds its lock for a moment.
LOCK_SECONDS = 2.0
# Target -> bars it looks ahead, and whether that is assumed (as `Manifest.horizon` tells it).
HorizonOf = Callable[[str], tuple[int, bool]]

__all__ = ["HorizonOf", "WalkforwardResult", "plan_request", "resolve_target", "run_request", "run_walkforward"]


@dataclass(frozen=True)
class WalkforwardResult:
    """What one call did, and what the run holds now."""

    run_id: str
    status: str
    folds_planned: int
    folds_trained: int
    folds_copied: int
    folds_present: int
    summary_metrics: dict[str, Any]
    seconds: float
    warnings: list[dict[str, str]] = field(default_factory=list)
    device: str = "cpu"


def plan_request(
    slug: str, profile: WalkforwardProfile, stores: Stores, *, horizon: int, horizon_assumed: bool, executor: FoldExecutor | None = None
) -> WalkforwardRequest:
    """Resolve a request against the published dataset, without training anything.

    Raises `ProfileError` (`target_horizon_undeclared`) if the horizon is an assumption that the published bars contradict, and what
    `find_origin` raises for a selection that the features cannot come from.
    """
    record = get_dataset(stores.postgres, slug)
    if horizon_assumed:
        refuse_undeclared(stores, record, resolve_target(record, profile))

    def timestamps() -> NDArray[np.int64]:
        return read_bars(stores, record, [])["timestamp_unix"].to_numpy()

    request = resolve_request(
        record,
        profile,
        horizon=horizon,
        horizon_assumed=horizon_assumed,
        executor=executor or open_executor(stores.settings),
        default_device=stores.settings.device,
        timestamps=timestamps,
        device_table=read_table(stores.settings.device_table),
    )
    if profile.features_from is None:
        return request
    first_test_row = min(fold.test_start for fold in request.folds)
    origin = find_origin(stores, record, profile.features_from, request.features, first_test_row=first_test_row)
    return replace(request, origin=origin)


def run_walkforward(
    slug: str,
    profile: WalkforwardProfile,
    stores: Stores,
    *,
    horizon: int = 1,
    horizon_assumed: bool = True,
    profile_name: str | None = None,
    requested_by: str = "chronos",
    progress: Progress | None = None,
    executor: FoldExecutor | None = None,
) -> WalkforwardResult:
    """Train the missing folds of one request and store them, then those of the baseline that the profile names.

    `profile_name`: the profile of the manifest that asks for exactly this; its current run is then this one. None for a changed profile.
    Raises `FoldsFailedError` at the end if folds failed (the others are kept), `ConflictError` if another process works on the same run,
    and before anything is written `ProfileError`, `DeviceError`, and `VersionsDifferError` if workers would train with other versions.
    A baseline that cannot be run is a warning of the result.
    """
    executor = executor or open_executor(stores.settings)
    request = plan_request(slug, profile, stores, horizon=horizon, horizon_assumed=horizon_assumed, executor=executor)
    return run_request(
        request,
        stores,
        baseline=baseline_profile(profile),
        profile_name=profile_name,
        requested_by=requested_by,
        progress=progress,
        executor=executor,
    )


def run_request(
    request: WalkforwardRequest,
    stores: Stores,
    *,
    baseline: WalkforwardProfile | None,
    profile_name: str | None = None,
    requested_by: str = "chronos",
    progress: Progress | None = None,
    executor: FoldExecutor | None = None,
) -> WalkforwardResult:
    """Run a request that is resolved already, then the profile of its baseline; otherwise as `run_walkforward`."""
    executor, tell = executor or open_executor(stores.settings), progress or silent
    result = _run(request, stores, executor, requested_by, tell, profile_name)
    if baseline is None:
        return result

    def tell_baseline(stage: str, done: int, total: int | None, detail: str = "") -> None:
        tell(f"baseline {stage}", done, total, detail)

    try:
        slug, assumed = request.record.dataset_id, request.horizon_assumed
        beside = plan_request(slug, baseline, stores, horizon=request.horizon, horizon_assumed=assumed, executor=executor)
        name = None if profile_name is None else baseline_name(profile_name)
        other = _run(beside, stores, executor, f"{requested_by}, as baseline", tell_baseline, name)
    except (ProfileError, DeviceError, FoldsFailedError) as error:
        return replace(result, warnings=[*result.warnings, {"code": "baseline_failed", "message": f"the baseline cannot be run: {error}"}])
    entry = baseline_entry(baseline.model.name, other.run_id, other.summary_metrics)
    if result.summary_metrics.get("baseline") != entry:
        keep_in_summary(stores.postgres, result.run_id, {"baseline": entry})
    return replace(result, summary_metrics=result.summary_metrics | {"baseline": entry})


def _run(  # noqa: PLR0917 - one caller
    request: WalkforwardRequest, stores: Stores, executor: FoldExecutor, requested_by: str, progress: Progress, profile_name: str | None
) -> WalkforwardResult:
    started = time.monotonic()
    finished = _finished(request, stores, started, profile_name)
    if finished is not None:
        return finished
    declare_dead_runs(stores.postgres)
    with run_lock(stores.postgres, request.run_id, wait_seconds=LOCK_SECONDS) as lock:
        finished = _finished(request, stores, started, profile_name)
        if finished is not None:
            return finished
        with executor.session():
            require_versions(executor, request.profile.model, request.profile.features)  # before anything is written
            begin_run(stores.postgres, request.row(requested_by))
            if profile_name is not None:
                request_as(stores.postgres, request.run_id, profile_name)
            with _Attempt(stores, lock, request, started) as attempt:
                attempt.work(executor, progress)
    return attempt.result()


def _finished(request: WalkforwardRequest, stores: Stores, started: float, profile_name: str | None) -> WalkforwardResult | None:
    """The result of a run that has nothing left to do."""
    run = find_run(stores.postgres, request.run_id)
    planned = len(request.folds)
    if run is None or run.status != "completed" or len(whole_folds(stores, request)) != planned:
        return None
    if profile_name is not None:
        request_as(stores.postgres, request.run_id, profile_name)
    seconds = time.monotonic() - started
    summary = run.summary_metrics or {}
    return WalkforwardResult(
        run_id=request.run_id,
        status="completed",
        folds_planned=planned,
        folds_trained=0,
        folds_copied=0,
        folds_present=planned,
        summary_metrics=summary,
        seconds=seconds,
        warnings=summary.get("warnings", request.warnings),
        device=request.device,
    )


def whole_folds(stores: Stores, request: WalkforwardRequest) -> set[int]:
    """Planned folds whose row is stored, whose predictions are all there and whose files are what was stored.

    QuestDB may have lost rows in a power cut, and the disk files.
    """
    stored = stored_fold_files(stores.postgres, request.run_id)
    held = predictions_by_fold(stores, request.run_id) if stored else {}
    predicted = [f.number for f in request.folds if f.number in stored and held.get(f.number) == f.test_end - f.test_start]
    states = FoldArtifacts(stores.artifacts).states(stored[number] for number in predicted)
    return {number for number, state in zip(predicted, states, strict=True) if state == "whole"}


def _remove_abandoned_files(stores: Stores) -> None:
    """Remove what a killed writer left half-written, unless somebody stores folds right now: then another run does."""
    with suppress(ConflictError), files_lock(stores.postgres, wait_seconds=0):
        FoldArtifacts(stores.artifacts).remove_abandoned()


class _Attempt:
    """One attempt at a run, under its lock. Leaving it writes the status that is true then."""

    def __init__(self, stores: Stores, lock: Connection, request: WalkforwardRequest, started: float) -> None:
        self.stores, self.lock, self.request, self.started = stores, lock, request, started
        self.to_train = self.trained = self.copied = self.present = 0
        self.failures: list[FoldFailure] = []
        self.summary: dict[str, Any] = {}
        self.warnings = request.warnings

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        summary = self.summary
        if kind is None:
            status = "failed" if self.failures else "completed"
        elif issubclass(kind, Exception):
            status, summary = "failed", summary | {"error": _reason(error)}
        else:
            status, summary = "cancelled", summary | {"error": {"code": "cancelled", "message": "interrupted; finished folds are kept"}}
        try:
            with self.stores.postgres.wrapped():
                end_run(self.lock, self.request.run_id, status, seconds=time.monotonic() - self.started, summary=summary or None)
        except ChronosError:
            if kind is None:
                raise  # otherwise the first error is the one to hear; a run without lock and end is recognised as dead

    def work(self, executor: FoldExecutor, progress: Progress) -> None:
        """Copy what is known, train the rest, and summarize."""
        request, planned = self.request, len(self.request.folds)
        progress("read", 0, planned, f"{request.record.row_count} bars, {len(request.features)} features")
        data = read_run_data(self.stores, request)
        recipe = make_recipe(request, data)
        missing = self._missing(data, recipe)
        _remove_abandoned_files(self.stores)
        with FoldWriter(self.stores, self.lock, request, data, recipe.binary) as writer:
            specs = self._to_train(missing, recipe, writer, progress)
            first = next(specs, None)
            if first is not None:  # otherwise no executor starts
                self._train(executor, data.arrays, chain([first], specs), writer, progress)
        self._summarize(recipe)

    def _missing(self, data: RunData, recipe: Recipe) -> dict[int, tuple[Fold, str]]:
        """Planned folds that the run does not hold yet, with their keys."""
        keys = FoldKeys(data.arrays, recipe)
        stored = whole_folds(self.stores, self.request)
        self.present = len(stored)
        ratio = self.request.profile.val_split_ratio
        return {f.number: (f, keys.key(f, f.split(ratio))) for f in self.request.folds if f.number not in stored}

    def _to_train(
        self, missing: Mapping[int, tuple[Fold, str]], recipe: Recipe, writer: FoldWriter, progress: Progress
    ) -> Iterator[FoldSpec]:
        """The folds to train. What earlier runs know is copied on the way, while the workers are busy with the first ones."""
        ratio = self.request.profile.val_split_ratio
        specs = {n: FoldSpec(fold, fold.split(ratio), key, recipe) for n, (fold, key) in missing.items()}
        known = find_known_folds(writer, missing)
        new = [spec for n, spec in specs.items() if n not in known]
        self.to_train = len(new)
        yield from new[:AHEAD]
        copied = copy_known_folds(writer, known)
        gone = [specs[n] for n in known if n not in copied]
        self.to_train, self.copied, self.present = len(new) + len(gone), len(copied), self.present + len(copied)
        progress("folds", self.present, len(self.request.folds), f"{self.copied} copied")
        yield from new[AHEAD:]
        yield from gone

    def _train(self, executor: FoldExecutor, arrays: FoldData, specs: Iterable[FoldSpec], writer: FoldWriter, progress: Progress) -> None:
        began = time.monotonic()
        with closing(executor.map(arrays, specs)) as results:
            for trained in results:
                result = checked(trained, self.request.versions)
                if isinstance(result, FoldFailure):
                    self.failures.append(result)
                else:
                    writer.add_result(result)
                    self.trained += 1
                    self.present += 1
                progress("folds", self.present, len(self.request.folds), self._detail(began))

    def _detail(self, began: float) -> str:
        """What was done, and how long the rest takes at the speed so far."""
        done = self.trained + len(self.failures)
        left = (self.to_train - done) * (time.monotonic() - began) / done
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self.trained} trained, {self.copied} copied{failed}, about {left:.0f} s left"

    def _summarize(self, recipe: Recipe) -> None:
        predictions = read_predictions(self.stores, self.request.run_id)
        keep_trial(self.stores, self.request.run_id, predictions, binary=recipe.binary)
        summary = summarize(self.stores, self.request.run_id, self.request.features, predictions, binary=recipe.binary)
        self.present = summary["folds_present"]
        self.warnings = [*self.request.warnings, *remarks(summary)]
        about = {"folds_planned": len(self.request.folds), "learner": recipe.learner.name, "warnings": self.warnings}
        about |= {"objective": recipe.learner.objective} if hasattr(recipe.learner, "objective") else {}
        self.summary = about | summary
        if self.failures:
            self.summary["failures"] = _failure_rows(self.failures)
            self.summary["error"] = {"code": "folds_failed", "message": f"{len(self.failures)} folds failed"}
        elif self.present != len(self.request.folds):
            raise ChronosError("folds of the run are missing", code="run_incomplete", expected=len(self.request.folds), found=self.present)

    def result(self) -> WalkforwardResult:
        """The result; raises `FoldsFailedError` if folds failed."""
        if self.failures:
            first = min(self.failures, key=lambda failure: failure.fold.number)
            raise FoldsFailedError(
                f"{len(self.failures)} of {len(self.request.folds)} folds failed; {self.present} are kept",
                code="folds_failed",
                found=f"fold {first.fold.number}: {first.reason.removesuffix('.')}",
                hint="Run the same command again: only the missing folds are trained.",
                run_id=self.request.run_id,
            )
        return WalkforwardResult(
            run_id=self.request.run_id,
            status="completed",
            folds_planned=len(self.request.folds),
            folds_trained=self.trained,
            folds_copied=self.copied,
            folds_present=self.present,
            summary_metrics=self.summary,
            seconds=time.monotonic() - self.started,
            warnings=self.warnings,
            device=self.request.device,
        )


def _reason(error: BaseException | None) -> dict[str, Any]:
    if isinstance(error, ChronosError):
        return {"code": error.code, "message": str(error)}
    return {"code": "error", "message": f"{type(error).__name__}: {error}"[:500]}


def _failure_rows(failures: Sequence[FoldFailure]) -> list[dict[str, Any]]:
    """The failures as they are kept in the summary: at most 100."""
    ordered = sorted(failures, key=lambda failure: failure.fold.number)[:100]
    return [{"fold": failure.fold.number, "code": failure.code, "reason": failure.reason} for failure in ordered]
