"""Work ahead: in threads, while the caller is busy, the next item of an iterator is made, or the next items are worked on side by side."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(items: Iterator[Item], stack: contextlib.ExitStack) -> Iterator[Item]:
    """The same items: the first one is made here and now, each later one by a thread that ends with `stack`, one step early."""

    def following() -> list[Item]:
        # A list of one or none: StopIteration cannot travel through a future.
        return list(itertools.islice(items, 1))

    found = following()
    if not found:
        return
    pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
    while found:
        coming = pool.submit(following)
        yield found[0]
        found = coming.result()


def side_by_side(work: Callable[[Item], Made], items: Iterator[Item], workers: int, stack: contextlib.ExitStack) -> Iterator[Made]:
    """`work(item)` of each item, in order, `workers` at once and one more waiting; the threads end with `stack`."""
    pool = stack.enter_context(ThreadPoolExecutor(max_workers=workers))
    started: deque[Future[Made]] = deque()
    for item in items:
        started.append(pool.submit(work, item))
        if len(started) > workers:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()
