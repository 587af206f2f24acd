"""Run one dataset through the job in this process, on the instance that the UI shows; used by `chronos run`, `demo` and `backfill`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dagster import AssetCheckKey, AssetKey, DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, Definitions, RunsFilter

from chronos_assets.errors import ConflictError
from chronos_assets.orchestration.build import JOB, build_defs
from chronos_assets.orchestration.dagster_internals import (
    InMemoryJob,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    ReconstructableJob,
    ReconstructableRepository,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RunFailureReason,
    execute_run_iterator,
)
from chronos_assets.orchestration.liveness import UNDERWAY, WORKER_TAG, fail_dead_runs, run_under_way, this_worker
from chronos_assets.orchestration.nightly.nightly_summary import INTERRUPTS, failure_of
from chronos_assets.orchestration.partitions import add_partitions
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import PARTITION_TAG, WHY_TAG

CODE_LOCATION = "chronos_assets"
IN_PROGRESS = "run_underway"  # the code of the error if a dataset is in progress elsewhere
FOLLOW_SECONDS = 1.0
Listener = Callable[[DagsterEvent], None]


@dataclass(frozen=True)
class Step:
    """One step of a run: an asset, or the checks of one."""

    name: str
    seconds: float
    succeeded: bool


@dataclass(frozen=True)
class RunOutcome:
    """What a run did. `facts`: metadata by `asset`, and of each check by `asset:check`."""

    slug: str
    run_id: str
    succeeded: bool
    steps: list[Step]
    facts: dict[str, dict[str, Any]]
    failed_step: str = ""
    message: str = ""
    exit_code: int = 0
    checks: list[tuple[str, str, bool, str]] = field(default_factory=list)
    """(asset, check, passed, severity) of every evaluation."""


def run_partition(
    slug: str,
    workplace: Workplace,
    instance: DagsterInstance,
    *,
    tags: dict[str, str] | None = None,
    replace: bool = False,
    assets: Sequence[str] | None = None,
    checks: bool = True,
    check_of: str | None = None,
    multiprocess: bool = False,
    listener: Listener | None = None,
) -> RunOutcome:
    """Take `slug` all the way, or through `assets` only (with their checks, and those of `check_of`).

    `multiprocess`: each step in a process of its own, which reads its settings from the environment. Raises `ConflictError` if
    another run of the dataset is under way, `KeyboardInterrupt` if the run was interrupted (what was complete is kept).
    """
    with accepted():
        definitions = build_defs({"workplace": workplace})
        job = definitions.resolve_job_def(JOB)
        selection = _selection(definitions, assets, checks=checks, check_of=check_of)
        if selection is not None:
            job = job.get_subset(asset_selection=selection[0], asset_check_selection=selection[1])
    with _alone(slug, workplace, instance):
        add_partitions(instance, [slug])
        run = instance.create_run_for_job(
            job_def=job,
            run_config=_run_config(replace=replace, multiprocess=multiprocess),
            tags={**job.run_tags, PARTITION_TAG: slug, WORKER_TAG: this_worker(), "dagster/max_retries": "0", **(tags or {})},
            remote_job_origin=_origin(),
        )
        watch = _Watch(listener)
        for event in execute_run_iterator(_loadable_job() if multiprocess else InMemoryJob(job), run, instance):
            if watch.take(event):
                instance.report_run_canceling(run, message="Interrupted at the command line.")
    return watch.outcome(slug, instance, run)


def _selection(
    definitions: Definitions, assets: Sequence[str] | None, *, checks: bool, check_of: str | None
) -> tuple[set[AssetKey], set[AssetCheckKey]] | None:
    """Keys of the assets and checks that are asked for; None for all."""
    if assets is None:
        return None
    keys = {AssetKey(name) for name in assets}
    checked = (keys if checks else set()) | ({AssetKey(check_of)} if check_of else set())
    known = definitions.resolve_asset_graph().asset_check_keys
    return keys, {key for key in known if key.asset_key in checked}


def _loadable_job() -> ReconstructableJob:
    """The job as another process finds it."""
    return ReconstructableJob(ReconstructableRepository.for_module("chronos_assets.definitions", "defs"), JOB)


def _run_config(*, replace: bool, multiprocess: bool) -> dict[str, Any]:
    """Dagster's own console log stays quiet here: the command line shows progress in its own way."""
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if multiprocess:
        config["execution"] = {"config": {"multiprocess": {}}}
    if replace:
        config["ops"] = {"indicator_bars": {"config": {"replace": True}}}
    return config


def _origin() -> RemoteJobOrigin:
    """Where the UI finds the job of the run."""
    target = LoadableTargetOrigin(executable_path=None, module_name="chronos_assets.definitions", attribute="defs")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=CODE_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), JOB)


@contextmanager
def _alone(slug: str, workplace: Workplace, instance: DagsterInstance) -> Iterator[None]:
    """Hold the dataset for one run: two runs of one slug never overlap."""
    with _locked(slug, workplace, instance):
        fail_dead_runs(instance, partition=slug)
        if instance.get_runs(RunsFilter(tags={PARTITION_TAG: slug}, statuses=UNDERWAY), limit=1):
            raise _in_progress(slug, instance)
        yield


@contextmanager
def _locked(slug: str, workplace: Workplace, instance: DagsterInstance) -> Iterator[None]:
    """The lock of a dataset's runs; whoever else holds it, is a run that is in progress."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(workplace.stores.postgres.session_lock(f"dagster-run:{slug}", what=f"a run of {slug}"))
        except ConflictError:
            raise _in_progress(slug, instance) from None
        yield


def _in_progress(slug: str, instance: DagsterInstance) -> ConflictError:
    """The error that says which run is in the way, and how to watch it."""
    run = run_under_way(instance, slug)
    why = "" if run is None else f": {run.tags.get(WHY_TAG) or 'launched in the UI'}"
    return ConflictError(
        f"{slug} is in progress elsewhere{why}",
        code=IN_PROGRESS,
        run_id=None if run is None else run.run_id,
        hint=f"`chronos run {slug} --follow` shows how it goes on. To stop it, end its command, or the run in the Dagster UI.",
    )


def follow_run(slug: str, instance: DagsterInstance, *, listener: Listener | None = None) -> RunOutcome | None:
    """Hand on the events of the run of `slug` that is in progress until it ends; what it did, None if there is none.

    Raises `KeyboardInterrupt` if that run was interrupted.
    """
    run = run_under_way(instance, slug)
    if run is None:
        return None
    watch, cursor = _Watch(listener), None
    while True:
        fail_dead_runs(instance, partition=slug)
        current = instance.get_run_by_id(run.run_id)
        ended = current is None or current.is_finished
        page = instance.get_records_for_run(run.run_id, cursor)
        cursor = page.cursor
        for record in page.records:
            if record.event_log_entry.dagster_event is not None:
                watch.take(record.event_log_entry.dagster_event, at=record.event_log_entry.timestamp)
        if ended and not page.has_more:
            return watch.outcome(slug, instance, run)
        time.sleep(FOLLOW_SECONDS)


class _Watch:
    """Collects what the events of a run say."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._started: dict[str, float] = {}
        self._steps: list[Step] = []
        self._facts: dict[str, dict[str, Any]] = {}
        self._checks: list[tuple[str, str, bool, str]] = []
        self._exit_code = 0
        self._interrupted = False

    def take(self, event: DagsterEvent, *, at: float | None = None) -> bool:
        """Note one event (of now, or of time `at`), then hand it on; True if it is the first that says "interrupted"."""
        key, now = event.step_key or "", time.time() if at is None else at
        if event.event_type is DagsterEventType.STEP_START:
            self._started[key] = now
        elif event.event_type in (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE):
            seconds = now - self._started.get(key, now)
            self._steps.append(Step(key, seconds, event.event_type is DagsterEventType.STEP_SUCCESS))
            self._exit_code = self._exit_code or _exit_code(event)
        elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            self._facts[materialization.asset_key.to_user_string()] = {k: v.value for k, v in materialization.metadata.items()}
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            asset = check.asset_key.to_user_string()
            self._checks.append((asset, check.check_name, check.passed, check.severity.value))
            self._facts[f"{asset}:{check.check_name}"] = {k: v.value for k, v in check.metadata.items()}
        if self._listener is not None:
            self._listener(event)
        first = not self._interrupted and is_interrupt(event)
        self._interrupted = self._interrupted or first
        return first

    def outcome(self, slug: str, instance: DagsterInstance, run: DagsterRun) -> RunOutcome:
        """All of it, with the reason if the run failed."""
        if self._interrupted:
            raise KeyboardInterrupt
        ended = instance.get_run_by_id(run.run_id)
        succeeded = ended is not None and ended.is_success
        step, message = ("", "") if succeeded else failure_of(instance, run.run_id)
        code = 0 if succeeded else self._exit_code or 1
        return RunOutcome(slug, run.run_id, succeeded, self._steps, self._facts, step, message, code, self._checks)


def is_interrupt(event: DagsterEvent) -> bool:
    """Whether a step failed because somebody pressed Ctrl-C, or the run because of it between two steps."""
    if event.event_type is DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
        return error is not None and error.cls_name in INTERRUPTS
    failed = event.event_type is DagsterEventType.RUN_FAILURE
    return failed and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION


def _exit_code(event: DagsterEvent) -> int:
    """The exit code of the error behind a failed step."""
    if event.event_type is not DagsterEventType.STEP_FAILURE:
        return 0
    data = event.step_failure_data.user_failure_data
    value = data.metadata.get("exit_code") if data is not None else None
    return value.value if value is not None and isinstance(value.value, int) else 1
