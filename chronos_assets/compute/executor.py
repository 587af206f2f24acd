"""Where folds run: one method, `map`, that yields results as they finish. Threads here; Ray in `compute.ray_executor`.

A fold that fails is yielded as a `FoldFailure` and stops nobody else. Closing the iterator early (an interrupt, an error in the store)
cancels what has not begun and stops what has at its next boosting round.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from chronos_assets.compute.training import FoldData, FoldFailure, FoldResult, FoldSpec, train_fold
from chronos_assets.errors import ChronosError

# Folds handed out beyond those being trained: workers stay busy while the caller stores results, and memory stays bounded.
AHEAD = 64


class FoldExecutor(Protocol):
    """Trains folds somewhere."""

    name: str

    def gpus(self) -> int:
        """Cuda devices that folds could use."""

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Results of `specs` as they finish, in no order; `data` is given to the workers once."""


class ThreadExecutor:
    """Folds on threads of this process, one XGBoost thread each (`xgb.train` releases the GIL)."""

    name = "threads"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def gpus(self) -> int:
        from chronos_assets.compute.devices import count_cuda_devices

        return count_cuda_devices()

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Train `specs` on `workers` threads."""
        stopped = threading.Event()
        pending: dict[Future[FoldResult], FoldSpec] = {}
        finished: deque[Future[FoldResult]] = deque()
        waiting = iter(specs)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="fold") as pool:
            try:
                while True:
                    while len(pending) < self.workers + AHEAD and (spec := next(waiting, None)) is not None:
                        pending[pool.submit(train_fold, data, spec, stopped.is_set)] = spec
                    if not pending:
                        return
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    finished.extend(sorted(done, key=lambda future: pending[future].fold.number))
                    while finished:
                        future = finished.popleft()
                        yield outcome(pending.pop(future), future)
            finally:
                stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)


def outcome(spec: FoldSpec, future: Future[FoldResult]) -> FoldResult | FoldFailure:
    """The result of a finished future, or why there is none."""
    error = future.exception()
    return future.result() if error is None else failure(spec, error)


def failure(spec: FoldSpec, error: BaseException) -> FoldFailure:
    """A fold's failure as one line; an error that is none of ours keeps its class name."""
    if isinstance(error, ChronosError):
        return FoldFailure(spec.fold, error.code, str(error))
    first = (str(error).strip().splitlines() or [""])[0]
    return FoldFailure(spec.fold, "training_failed", f"{type(error).__name__}: {first}"[:500])


def make_executor(name: str, workers: int, *, ray_address: str | None = None, gpu_fraction: float = 1.0) -> FoldExecutor:
    """The executor that the settings name."""
    if name == "ray":
        from chronos_assets.compute.ray_executor import RayExecutor

        return RayExecutor(workers, address=ray_address, gpu_fraction=gpu_fraction)
    return ThreadExecutor(workers)
