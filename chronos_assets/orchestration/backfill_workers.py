"""The datasets of a backfill: one after the other in this process, or side by side in a few, each running one after the other.

One process is the cheapest: it loads the libraries once, and folds are trained on all cores in any case. Several end sooner if datasets
are many and small.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING

from chronos_assets.errors import ChronosError
from chronos_assets.orchestration.execute import IN_PROGRESS, run_partition
from chronos_assets.orchestration.executors import PRELOAD
from chronos_assets.orchestration.instance import open_instance, pinned_environment
from chronos_assets.orchestration.parent_watch import end_with_parent
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, NIGHT_TAG, WHY_TAG
from chronos_assets.pipeline.upkeep.changes import Request
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

WAITING_SECONDS = 5.0


@dataclass(frozen=True)
class Done:
    """How one dataset of a backfill ended. `sentence` says why if it failed."""

    slug: str
    why: str
    run_id: str
    succeeded: bool
    exit_code: int
    message: str
    seconds: float
    in_progress: bool = False
    """Somebody else's run works on the dataset: neither done nor failed here."""
    code: str = ""
    """Of the error that kept it from a run."""


def run_requests(
    requests: Sequence[Request],
    workplace: Workplace,
    instance: DagsterInstance,
    *,
    name: str,
    workers: int = 1,
    waiting: Callable[[str], None] | None = None,
) -> Iterator[Done]:
    """Run each request, at most `workers` at a time; yields as they end. One that fails stops none of the others.

    `waiting` is told every few seconds what is being worked on.
    """
    if min(workers, len(requests)) > 1:
        yield from _side_by_side(requests, workplace.settings, name, workers, waiting)
        return
    if waiting is not None:
        workplace.report_to(partial(_Working, waiting))
    for request in requests:
        yield _run(request, name, workplace, instance)


def _side_by_side(
    requests: Sequence[Request], settings: Settings, name: str, workers: int, waiting: Callable[[str], None] | None
) -> Iterator[Done]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOAD])
    with pinned_environment(settings), _pool(context, min(workers, len(requests))) as pool:
        left = {pool.submit(_run_in_pool, request, name): request.slug for request in requests}
        try:
            while left:
                ended, _ = wait(left, WAITING_SECONDS, FIRST_COMPLETED)
                for future in ended:
                    del left[future]
                    yield future.result()
                if not ended and waiting is not None:
                    waiting(", ".join(list(left.values())[:workers]))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Working:
    """What a dataset's run in this process is at, told every few seconds."""

    def __init__(self, tell: Callable[[str], None], slug: str) -> None:
        self._tell, self._slug, self._last = tell, slug, time.monotonic()

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        if time.monotonic() - self._last >= WAITING_SECONDS:
            self._last = time.monotonic()
            self._tell(" ".join([f"{self._slug}: {stage} {done:,}{f' of {total:,}' if total else ''}", detail]).strip())


def _pool(context: ForkServerContext, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)


def _run_in_pool(request: Request, name: str) -> Done:
    """One dataset, in a process of the pool."""
    return _run(request, name, *_opened())


def _run(request: Request, name: str, workplace: Workplace, instance: DagsterInstance) -> Done:
    tags = {NIGHT_TAG: name, WHY_TAG: f"backfill: {request.why}", CONTENT_TAG: request.content}
    try:
        outcome = run_partition(request.slug, workplace, instance, tags=tags)
    except ChronosError as error:
        elsewhere = error.code == IN_PROGRESS
        code = 0 if elsewhere else error.exit_code
        done = Done(request.slug, request.why, "", succeeded=False, exit_code=code, message=str(error), seconds=0.0, code=error.code)
        return replace(done, in_progress=elsewhere)
    seconds = sum(step.seconds for step in outcome.steps)
    return Done(
        request.slug,
        request.why,
        outcome.run_id,
        succeeded=outcome.succeeded,
        exit_code=outcome.exit_code,
        message=outcome.message,
        seconds=seconds,
    )


@cache
def _opened() -> tuple[Workplace, DagsterInstance]:
    """Stores and instance of this process, opened once and closed with it."""
    settings = load_settings()
    opening = open_instance(settings, captured_output=False)
    _KEPT.append(opening)
    return Workplace(settings), opening.__enter__()


_KEPT: list[object] = []
