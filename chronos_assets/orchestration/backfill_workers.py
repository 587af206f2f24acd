"""Datasets side by side: a few processes, each running one dataset after the other on the shared instance."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING

from chronos_assets.errors import ChronosError
from chronos_assets.orchestration.execute import run_partition
from chronos_assets.orchestration.executors import PRELOAD
from chronos_assets.orchestration.instance import open_instance, pinned_environment
from chronos_assets.orchestration.parent_watch import end_with_parent
from chronos_assets.orchestration.partitions import CONTENT_TAG, NIGHT_TAG, WHY_TAG
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.upkeep.changes import Request
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

SIDE_BY_SIDE = 2


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
    code: str = ""
    """Of the error that kept it from a run."""


def run_side_by_side(requests: Sequence[Request], settings: Settings, *, name: str, workers: int = SIDE_BY_SIDE) -> Iterator[Done]:
    """Run each request, at most `workers` at a time; yields as they end. One that fails stops none of the others."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOAD])
    with pinned_environment(settings), _pool(context, max(1, min(workers, len(requests)))) as pool:
        futures = [pool.submit(_run, request, name) for request in requests]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(context: ForkServerContext, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)


def _run(request: Request, name: str) -> Done:
    """One dataset, in a process of the pool."""
    workplace, instance = _opened()
    tags = {NIGHT_TAG: name, WHY_TAG: f"backfill: {request.why}", CONTENT_TAG: request.content}
    try:
        outcome = run_partition(request.slug, workplace, instance, tags=tags)
    except ChronosError as error:
        return Done(
            request.slug, request.why, "", succeeded=False, exit_code=error.exit_code, message=str(error), seconds=0.0, code=error.code
        )
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
