"""Work ahead: the next item of an iterator is made in a thread while the caller is busy with this one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], stack: contextlib.ExitStack) -> Iterator[Item]:
    """The same items, each asked for one step early; the thread ends with `stack`."""
    pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))

    def following() -> list[Item]:
        # A list of one or none: StopIteration cannot travel through a future.
        return list(itertools.islice(items, 1))

    coming = pool.submit(following)
    while found := coming.result():
        coming = pool.submit(following)
        yield found[0]
