"""Folds on threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue

from chronos_assets.domain.learners import Learner
from chronos_assets.domain.selectors import Selector
from chronos_assets.learning.executors.base import AHEAD, failure
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec, train_fold
from chronos_assets.learning.versions import Versions, versions_here

# How long the end waits for a thread: one that trains stops at its next boosting round.
JOIN_SECONDS = 60.0


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


def _attempt(data: FoldData, spec: FoldSpec, stopped: Callable[[], bool]) -> FoldResult | FoldFailure:
    """The result of a fold, or why there is none."""
    try:
        return train_fold(data, spec, stopped)
    except Exception as error:
        return failure(spec, error)
