"""Run a Local Feature Selection: the selection itself, then one permutation after the other, each kept as soon as it is done.

The same request is the same run (`lfs_id`): it returns at once if it is complete and goes on with the missing permutations if not.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.lfs.cases import Cases, make_cases
from chronos_assets.domain.lfs.estimate import estimate_seconds, in_words
from chronos_assets.domain.lfs.permutations import PermutedClasses, lag_one_autocorrelation, p_values, require_permutations
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ChronosError, ConflictError, ProfileError, RunCancelledError
from chronos_assets.learning.selectors.lfs import LfsEngine, Selection
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.selection.request import LfsRequest, plan_lfs
from chronos_assets.pipeline.walkforward.run import HorizonOf
from chronos_assets.storage.datasets import get_dataset, read_bars
from chronos_assets.storage.lfs import LfsFeature, begin_lfs, declare_dead_lfs, end_lfs, find_lfs, lfs_lock, tell_progress, write_features
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.stores import Stores

Ints = npt.NDArray[np.int64]
LOCK_SECONDS = 2.0
TELL_SECONDS, FEATURES_SECONDS = 0.5, 5.0
CONSTANT = "constant"


@dataclass(frozen=True)
class LfsOutcome:
    """One call: the selection's id, whether it was there already, and how many permutations this call computed."""

    lfs_id: str
    reused: bool
    permutations_computed: int


@dataclass(frozen=True)
class LfsPreview:
    """What a request would do: its cases and classes, and about how long it would take."""

    request: LfsRequest
    cases: Cases
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """One document."""
        return {
            "lfs_id": self.request.lfs_id,
            "dataset": self.request.record.dataset_id,
            "target": self.request.target,
            "rows": [self.request.start_row, self.request.end_row],
            "first_test_row": self.request.first_test_row,
            "features": len(self.request.features),
            "constant": [self.request.features[v] for v in self.cases.constant],
            **case_facts(self.cases),
            "permutations": self.request.profile.permutations,
            "seconds": round(self.seconds, 1),
            "warnings": [*self.request.warnings, *case_warnings(self.request, self.cases)],
        }


def run_lfs(
    slug: str,
    profile: LfsProfile,
    stores: Stores,
    *,
    horizon_of: HorizonOf,
    walkforward: WalkforwardProfile | None = None,
    requested_by: str = "chronos",
    dagster_run_id: str | None = None,
    progress: Progress | None = None,
) -> LfsOutcome:
    """Select the features of one request, or return what is there.

    Raises `ProfileError` for what does not fit, `ConflictError` if another process works on the same selection, `RunCancelledError` if
    it was asked to stop (what is done is kept, and the same request goes on).
    """
    request = plan_lfs(slug, profile, stores, horizon_of=horizon_of, walkforward=walkforward or WalkforwardProfile())
    return run_request(request, stores, requested_by=requested_by, dagster_run_id=dagster_run_id, progress=progress)


def run_request(
    request: LfsRequest, stores: Stores, *, requested_by: str, dagster_run_id: str | None = None, progress: Progress | None = None
) -> LfsOutcome:
    """`run_lfs` of a request that is resolved already."""
    if _is_complete(request, stores):
        return LfsOutcome(request.lfs_id, reused=True, permutations_computed=0)
    declare_dead_lfs(stores.postgres)
    with lfs_lock(stores.postgres, request.lfs_id, wait_seconds=LOCK_SECONDS) as lock:
        if _is_complete(request, stores):
            return LfsOutcome(request.lfs_id, reused=True, permutations_computed=0)
        _remove_damaged(request, stores)
        with stores.postgres.wrapped():
            begin_lfs(lock, request.row(requested_by) | {"dagster_run_id": dagster_run_id})
        with _Attempt(stores, lock, request, progress or silent) as attempt:
            attempt.work()
    return LfsOutcome(request.lfs_id, reused=False, permutations_computed=attempt.computed)


def preview(request: LfsRequest, stores: Stores) -> LfsPreview:
    """Cases, classes and an estimate of the time; refuses what `run_lfs` would refuse."""
    cases = read_cases(request, stores)[0]
    return LfsPreview(request, cases, _estimate(request, cases))


def read_cases(request: LfsRequest, stores: Stores) -> tuple[Cases, Ints]:
    """The cases of a request and the times (int64 UTC seconds) of its rows; raises what `make_cases` raises, and `ConflictError`."""
    record = request.record
    rows = read_bars(stores, record, [*request.features, request.target], rows=(request.start_row, request.end_row))
    if get_dataset(stores.postgres, record.dataset_id).revision != record.revision:
        raise ConflictError(
            f"dataset {record.dataset_id} was published again while its bars were read", code="dataset_moved", hint="Run the command again."
        )
    doubles = rows.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in [request.target, *request.features])
    matrix = doubles.to_numpy()
    cases = make_cases(matrix[:, 1:], matrix[:, 0], request.features, request.target, bins=request.profile.bins)
    if cases.n > request.profile.max_cases:
        raise ProfileError(
            "there are more cases than max_cases",
            code="lfs_too_many_cases",
            expected=f"at most {request.profile.max_cases:,}",
            found=f"{cases.n:,}, which would take {in_words(_estimate(request, cases))} on {request.threads} threads",
            hint="Take fewer rows, or raise max_cases.",
            slug=record.dataset_id,
        )
    require_permutations(request.profile.permutations, request.profile.permutation, cases=cases.n, horizon=request.horizon)
    return cases, rows["timestamp_unix"].to_numpy()


def case_facts(cases: Cases) -> dict[str, Any]:
    """Cases and classes, as the summary keeps them."""
    return {
        "cases": cases.n,
        "left_out": cases.left_out,
        "left_out_by_column": cases.left_out_by_column,
        "classes": [vars(bounds) for bounds in cases.bounds],
    }


def case_warnings(request: LfsRequest, cases: Cases) -> list[dict[str, str]]:
    """What only the cases tell."""
    found = []
    if request.profile.permutation == "complete" and request.profile.permutations:
        along = lag_one_autocorrelation(cases.classes)
        if request.horizon > 1 or request.horizon_assumed or along > 2 / math.sqrt(cases.n):
            message = (
                "complete permutations treat bars as independent, but the classes depend on their past (autocorrelation "
                f"{along:.2f}, horizon {request.horizon}{' assumed' if request.horizon_assumed else ''}): p-values are too small; "
                "use `permutation: cyclic`"
            )
            found.append({"code": "dependent_target", "message": message})
    if len(cases.bounds) < request.profile.bins:
        message = f"{len(cases.bounds)} classes instead of {request.profile.bins}: equal values of the target stay in one class"
        found.append({"code": "fewer_classes", "message": message})
    return found


def _estimate(request: LfsRequest, cases: Cases) -> float:
    profile = request.profile
    return estimate_seconds(profile, cases=cases.n, features=cases.z.shape[1], permutations=profile.permutations, threads=request.threads)


def _is_complete(request: LfsRequest, stores: Stores) -> bool:
    """Whether the selection is there with its files as it left them. Files that are gone or damaged are made again."""
    run = find_lfs(stores.postgres, request.lfs_id)
    if run is None or run.status != "completed":
        return False
    found = LfsArtifacts(stores.artifacts, request.lfs_id, len(request.features)).digests()
    kept = (run.summary_metrics or {}).get("files")  # selections of older programs noted none
    return len(found) == 2 if kept is None else found == kept


def _remove_damaged(request: LfsRequest, stores: Stores) -> None:
    """Remove the files of a complete selection that are not as it left them."""
    run = find_lfs(stores.postgres, request.lfs_id)
    if run is not None and run.status == "completed" and (kept := (run.summary_metrics or {}).get("files")) is not None:
        LfsArtifacts(stores.artifacts, request.lfs_id, len(request.features)).remove_damaged(kept)


class _Attempt:
    """One attempt at a selection, under its lock. Leaving it writes the status that is true then."""

    def __init__(self, stores: Stores, lock: Connection, request: LfsRequest, progress: Progress) -> None:
        self.stores, self.lock, self.request, self.progress = stores, lock, request, progress
        self.artifacts = LfsArtifacts(stores.artifacts, request.lfs_id, len(request.features))
        self.computed, self.started = 0, time.monotonic()
        self.summary: dict[str, Any] = {}
        self._cases: Cases | None = None
        self._counts: Ints | None = None
        self._null: dict[int, Ints] = {}
        self._phase, self._told, self._written = "read", 0.0, 0.0
        self._permutations_began = 0.0

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._end("completed", self.summary)
            return
        if issubclass(kind, Exception) and not issubclass(kind, RunCancelledError):
            status, reason = "failed", _reason(error)
        else:
            status, reason = "cancelled", {"code": "cancelled", "message": "stopped; finished permutations are kept"}
        try:
            if status == "cancelled" and self._null and find_lfs(self.stores.postgres, self.request.lfs_id) is not None:
                self._keep_results()
            self._end(status, self.summary | {"error": reason})
        except ChronosError:
            pass  # the first error is the one to hear; a selection without lock and end is recognised as dead

    def work(self) -> None:
        """Select, permute, and keep everything."""
        self._tell(force=True)
        cases, times = read_cases(self.request, self.stores)
        self._cases = cases
        warnings = [*self.request.warnings, *case_warnings(self.request, cases)]
        self.summary = case_facts(cases) | {"warnings": warnings, "permutations_done": 0}
        self._phase = "select"
        self._tell(force=True)
        with LfsEngine(cases.z, self.request.profile, threads=self.request.threads) as engine:
            self._select(engine, cases, times)
            self._permute(engine, cases)
        self._keep_results()

    def _select(self, engine: LfsEngine, cases: Cases, times: Ints) -> None:
        """The selection itself; taken from its file if an earlier attempt has kept it."""
        if not self.artifacts.has_sets():
            found = engine.select(cases.classes, self._watch_cases)
            self.artifacts.save_sets(self._sets_frame(found, cases, times))
        selected = self.artifacts.sets()["selected"]
        members = selected.explode().drop_nulls().to_numpy()
        self._counts = np.bincount(members, minlength=len(self.request.features)).astype(np.int64)
        self.summary |= {"mean_kept": len(members) / cases.n, "distinct_sets": selected.n_unique()}
        self._write_features()

    def _sets_frame(self, found: Selection, cases: Cases, times: Ints) -> pl.DataFrame:
        sets = [cases.features[row[:size]].tolist() for row, size in zip(found.chosen, found.sizes, strict=True)]
        return pl.DataFrame(
            {
                "row": cases.rows + self.request.start_row,
                "timestamp_unix": times[cases.rows],
                "class": cases.classes,
                "selected": pl.Series(sets, dtype=pl.List(pl.Int64)),
            }
        )

    def _permute(self, engine: LfsEngine, cases: Cases) -> None:
        profile = self.request.profile
        permuted = PermutedClasses(cases.classes, profile.permutation, profile.seed, self.request.horizon)
        self._null = self.artifacts.resume()
        self._phase, self._permutations_began = "permute", time.monotonic()
        for r in range(1, profile.permutations + 1):
            if r in self._null:
                continue
            found = engine.select(permuted(r), self._watch_permutations)
            wide = np.zeros(len(self.request.features), dtype=np.int64)
            wide[cases.features] = found.counts(len(cases.features))
            self.artifacts.append(r, wide)
            self._null[r] = wide
            self.computed += 1
            if time.monotonic() - self._written >= FEATURES_SECONDS:
                self._write_features()

    def _watch_cases(self, done: int, total: int) -> None:
        self.progress("cases", done, total, self._left_in_words())
        self._tell()

    def _watch_permutations(self, done: int, total: int) -> None:
        self.progress("permutations", len(self._null), self.request.profile.permutations, self._left_in_words())
        self._tell()

    def _tell(self, *, force: bool = False) -> None:
        """Write how far the selection is, at most every half second; raises `RunCancelledError` if it was asked to stop."""
        now = time.monotonic()
        if not force and now - self._told < TELL_SECONDS:
            return
        self._told = now
        with self.stores.postgres.wrapped():
            stop = tell_progress(self.lock, self.request.lfs_id, self._progress())
        if stop:
            gone = find_lfs(self.stores.postgres, self.request.lfs_id) is None
            raise RunCancelledError(
                "the dataset was retired, and the feature selection with it" if gone else "the feature selection was cancelled",
                code="cancelled",
                hint="" if gone else "The same request goes on with it.",
                lfs_id=self.request.lfs_id,
            )

    def _progress(self) -> dict[str, Any]:
        return {
            "phase": self._phase,
            "permutations_done": len(self._null),
            "permutations": self.request.profile.permutations,
            "seconds_left": self._seconds_left(),
        }

    def _seconds_left(self) -> float | None:
        if self._cases is None:
            return None
        left = self.request.profile.permutations - len(self._null)
        if self.computed:
            return round(left * (time.monotonic() - self._permutations_began) / self.computed, 1)
        return round(_estimate(self.request, self._cases), 1)

    def _left_in_words(self) -> str:
        seconds = self._seconds_left()
        return "" if seconds is None else f"{in_words(seconds)} left"

    def _write_features(self) -> None:
        """The table of features as it is now: p-values are those of the permutations done so far."""
        assert self._counts is not None
        assert self._cases is not None
        self._written = time.monotonic()
        null = np.stack([self._null[r] for r in sorted(self._null)]) if self._null else np.empty((0, len(self._counts)), np.int64)
        p = p_values(self._counts, null)
        excluded = set(self._cases.constant)
        rows = [
            LfsFeature(name, v, None, None, excluded=CONSTANT)
            if v in excluded
            else LfsFeature(
                name,
                v,
                int(self._counts[v]),
                100 * int(self._counts[v]) / self._cases.n,
                *((None, None) if p is None else (float(p[0][v]), float(p[1][v]))),
            )
            for v, name in enumerate(self.request.features)
        ]
        with self.stores.postgres.wrapped():
            write_features(self.lock, self.request.lfs_id, rows)

    def _keep_results(self) -> None:
        self.summary["permutations_done"] = len(self._null)
        self.artifacts.finish(self._null)
        self.summary["files"] = self.artifacts.digests()
        self._write_features()

    def _end(self, status: str, summary: dict[str, Any]) -> None:
        self._phase = status
        seconds = time.monotonic() - self.started
        with self.stores.postgres.wrapped():
            known = end_lfs(self.lock, self.request.lfs_id, status, seconds=seconds, summary=summary, progress=self._progress())
        if not known:
            self.artifacts.remove()


def _reason(error: BaseException | None) -> dict[str, Any]:
    if isinstance(error, ChronosError):
        return {"code": error.code, "message": str(error)}
    return {"code": "error", "message": f"{type(error).__name__}: {error}"[:500]}
