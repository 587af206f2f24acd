"""Where folds run: one method, `map`, that yields results as they finish. Threads here; Ray in `compute.ray_executor`.

A fold that fails is yielded as a `FoldFailure` and stops nobody else. Closing the iterator early (an interrupt, an error in the store)
cancels what has not begun and stops what has at its next boosting round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from typing import Protocol

from chronos_assets.domain.learners import Learner
from chronos_assets.domain.selectors import Selector
from chronos_assets.errors import ChronosError, VersionsDifferError
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec, train_fold
from chronos_assets.learning.versions import Versions, differing, told, versions_here

# Folds handed out beyond those being trained: workers stay busy while the caller stores results, and memory stays bounded.
AHEAD = 64
# How long the end waits for a thread: one that trains stops at its next boosting round.
JOIN_SECONDS = 60.0


class FoldExecutor(Protocol):
    """Trains folds somewhere."""

    name: str

    def gpus(self) -> int:
        """Cuda devices that folds could use."""

    def session(self) -> AbstractContextManager[None]:
        """Holds what `map` needs open, so that many of them start it once."""

    def versions(self, learner: Learner, selector: Selector) -> dict[str, Versions]:
        """What the processes that would train say of themselves (`versions_here`), by place; asked before a fold is trained."""

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Results of `specs` as they finish, in no order; `data` is given to the workers once."""


class ThreadExecutor:
    """Folds on threads of this process, one XGBoost thread each (`xgb.train` releases the GIL)."""

    name = "threads"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def gpus(self) -> int:
        from chronos_assets.learning.devices import count_cuda_devices

        return count_cuda_devices()

    def session(self) -> AbstractContextManager[None]:
        """Nothing to hold: threads start with each `map`."""
        return nullcontext()

    def versions(self, learner: Learner, selector: Selector) -> dict[str, Versions]:
        """This process's own."""
        return {"this process": versions_here(learner, selector)}

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Train `specs` on `workers` threads.

        Both ways lead through a `SimpleQueue`, which is one step for a signal: `concurrent.futures.wait` takes the locks of all
        futures one after the other, and a Ctrl-C between two of them leaves workers waiting for locks that nobody gives back.
        """
        stopped = threading.Event()
        work: SimpleQueue[FoldSpec | None] = SimpleQueue()
        done: SimpleQueue[FoldResult | FoldFailure] = SimpleQueue()

        def train() -> None:
            while (spec := work.get()) is not None and not stopped.is_set():
                done.put(_attempt(data, spec, stopped.is_set))

        threads = [threading.Thread(target=train, name=f"fold_{n}", daemon=True) for n in range(self.workers)]
        waiting, underway = iter(specs), 0
        try:
            for thread in threads:
                thread.start()
            while True:
                while underway < self.workers + AHEAD and (spec := next(waiting, None)) is not None:
                    work.put(spec)
                    underway += 1
                if not underway:
                    return
                yield done.get()
                underway -= 1
        finally:
            stopped.set()
            for _ in threads:
                work.put(None)
            for thread in threads:
                if thread.ident is not None:
                    thread.join(JOIN_SECONDS)


def require_versions(executor: FoldExecutor, learner: Learner, selector: Selector) -> None:
    """Raise `VersionsDifferError` if a worker would train with other versions than this process, which names runs and folds by its own."""
    due = versions_here(learner, selector)
    for place, found in executor.versions(learner, selector).items():
        differences = differing(due, found)
        if differences:
            expected, seen = told(differences)
            raise VersionsDifferError(
                f"a worker on {place} would train with other versions than this process",
                code="versions_differ",
                expected=expected,
                found=seen,
                hint="Install the same chronos-assets and the same libraries there, or set CHRONOS_EXECUTOR=threads.",
            )


def checked(result: FoldResult | FoldFailure, due: Versions) -> FoldResult | FoldFailure:
    """`result`, or a failure if other versions trained it than `due`: a worker may join after the first look."""
    differences = {} if isinstance(result, FoldFailure) else differing(due, result.versions)
    if not differences:
        return result
    expected, seen = told(differences)
    return FoldFailure(result.fold, "versions_differ", f"its worker trains with {seen}; expected {expected}")


def _attempt(data: FoldData, spec: FoldSpec, stopped: Callable[[], bool]) -> FoldResult | FoldFailure:
    """The result of a fold, or why there is none."""
    try:
        return train_fold(data, spec, stopped)
    except Exception as error:
        return failure(spec, error)


def failure(spec: FoldSpec, error: BaseException) -> FoldFailure:
    """A fold's failure as one line; an error that is none of ours keeps its class name."""
    if isinstance(error, ChronosError):
        return FoldFailure(spec.fold, error.code, str(error))
    return FoldFailure(spec.fold, "training_failed", failure_reason(error))


def failure_reason(error: BaseException) -> str:
    """An error in one line, after its class."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]


def make_executor(name: str, workers: int, *, ray_address: str | None = None, gpu_fraction: float = 1.0) -> FoldExecutor:
    """The executor that the settings name."""
    if name == "ray":
        from chronos_assets.learning.ray_executor import RayExecutor

        return RayExecutor(workers, address=ray_address, gpu_fraction=gpu_fraction)
    return ThreadExecutor(workers)
