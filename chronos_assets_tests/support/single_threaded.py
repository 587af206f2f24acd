"""An exporter all of whose work is done by one thread, for strace: its counts are per thread, and would not reach into the senders'.

python -m chronos_assets_tests.support.single_threaded SLUG [arguments of chronosflow_export]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from chronos_assets.cli.export import main
from chronos_assets.pipeline.export import audit, write
from chronos_assets.storage import questdb_write


class Inline:
    """A pool that does at once what it is given."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done


def send_here(job: Any, parts: questdb_write.Parts, senders: int) -> None:
    """What each sender does, without a thread around it."""
    questdb_write._send_all(job, parts.of_one_sender())


@contextmanager
def nothing_beside() -> Iterator[None]:
    yield


if __name__ == "__main__":
    audit.ThreadPoolExecutor = Inline  # type: ignore[assignment,misc]
    write.warming_up = nothing_beside
    questdb_write._send_in_threads = send_here
    main()
