"""Local Feature Selection on given cases: passes over all cases, on as many threads as asked for, to the same bits.

The algorithm is described in docs/LFS.md. A pass computes the set of every case from the sets of the pass before; cases are handed to
threads in small pieces, and whoever asked looks on from outside. So progress is told every fraction of a second and a stop takes effect as
soon, however long one case takes.

Another device would take the place of `LfsEngine` behind `select`; there is none yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt

from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs_kernel import run_cases

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Told the cases done and the cases of all passes; what it raises stops the selection.
Watch = Callable[[int, int], None]

# Part of every lfs_id and of the fold keys of a recipe that selects: raise it if the same cases would give other sets.
LFS_CODE_VERSION = "1"
PIECE_SECONDS, MOST_PIECE_CASES = 0.1, 256
WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Selection:
    """The final set of each case: `chosen` (N, K) feature numbers in ascending order, padded with -1, and `sizes` (N,)."""

    chosen: Ints
    sizes: Ints
    distinct_sets: int
    evaluations: int

    def counts(self, features: int) -> Ints:
        """Cases whose set holds each feature, shape (features,)."""
        return np.bincount(self.chosen[self.chosen >= 0], minlength=features).astype(np.int64)


class LfsEngine:
    """Selections on the same features `z` (N, V), for one target after the other. A context: it may hold threads."""

    def __init__(self, z: Floats, parameters: LfsParameters, *, threads: int = 1) -> None:
        self._zr = np.ascontiguousarray(z, dtype=np.float64)
        self._zt = np.ascontiguousarray(self._zr.T)
        self._k = min(parameters.max_kept, z.shape[1])
        self._parameters = parameters
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lfs")

    def __enter__(self) -> LfsEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # After an error nobody needs the threads any more. They end by themselves; one that still compiles would keep us waiting.
        self._pool.shutdown(wait=kind is None)

    def select(self, classes: Ints, watch: Watch | None = None) -> Selection:
        """The sets that all passes end with under `classes` (N,)."""
        cases, passes = len(self._zr), self._parameters.iterations
        sets, sizes, times = np.empty((0, self._k), np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
        for number in range(passes):
            work = _Pass(self, np.ascontiguousarray(classes, dtype=np.int64), sets, sizes, times)
            evaluations = self._run(work, watch, before=number * cases, total=passes * cases)
            sets, multiplicity = np.unique(work.chosen, axis=0, return_counts=True)
            sizes, times = (sets >= 0).sum(axis=1), multiplicity.astype(np.float64)
        return Selection(work.chosen, work.chosen_sizes, len(sets), evaluations)

    def _run(self, work: _Pass, watch: Watch | None, *, before: int, total: int) -> int:
        def worker() -> int:
            return sum(work.pieces(self._threads))

        futures: set[Future[int]] = {self._pool.submit(worker) for _ in range(self._threads)}
        pending = futures
        try:
            while pending:
                _, pending = wait(pending, timeout=WATCH_SECONDS, return_when=FIRST_COMPLETED)
                if watch is not None:
                    watch(before + work.finished, total)
        except BaseException:
            work.stop()
            raise
        return sum(future.result() for future in futures)

    def run_piece(self, work: _Pass, start: int, end: int) -> int:
        """Compute cases [start, end) of a pass."""
        trials = self._parameters.beta_trials
        return int(
            run_cases(
                self._zt, self._zr, work.classes, work.sets, work.sizes, work.times, self._k, trials, start, end, work.chosen,
                work.chosen_sizes, work.stopped,
            )
        )  # fmt: skip


def select(z: Floats, classes: Ints, parameters: LfsParameters, *, threads: int = 1, watch: Watch | None = None) -> Selection:
    """The sets that the cases `z` (N, V) choose under `classes` (N,)."""
    with LfsEngine(z, parameters, threads=threads) as engine:
        return engine.select(classes, watch)


@dataclass
class _Pass:
    """One pass: what its cases read, what they write, and which pieces of it are still to be taken."""

    engine: LfsEngine
    classes: Ints
    sets: Ints
    sizes: Ints
    times: Floats
    finished: int = 0
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        cases = len(self.classes)
        self.chosen = np.full((cases, self.sets.shape[1]), -1, dtype=np.int64)
        self.chosen_sizes = np.zeros(cases, dtype=np.int64)
        self.stopped = np.zeros(1, dtype=np.uint8)

    def pieces(self, threads: int) -> Iterator[int]:
        """Take and compute one piece after the other; yields the evaluations of each. A piece takes about 0.1 s, or one case."""
        size = 1
        while True:
            start, end = self._take(size, threads)
            if start == end:
                return
            began = time.perf_counter()
            evaluations = self.engine.run_piece(self, start, end)
            per_case = (time.perf_counter() - began) / (end - start)
            size = max(1, min(MOST_PIECE_CASES, int(PIECE_SECONDS / max(per_case, 1e-9)), 2 * (end - start)))
            with self._lock:
                self.finished += end - start
            yield evaluations

    def stop(self) -> None:
        """Hand out no further piece, and leave the cases at work unfinished."""
        self.stopped[0] = 1
        with self._lock:
            self._next = len(self.classes)

    def _take(self, size: int, threads: int) -> tuple[int, int]:
        with self._lock:
            left = len(self.classes) - self._next
            start = self._next
            self._next += min(size, max(1, left // (2 * threads)), left)
            return start, self._next
