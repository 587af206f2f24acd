"""Seconds that a run spends in its stores: every read and write of QuestDB, of Postgres and of artifacts, on the calling thread.

The calls are timed where they leave the house (HTTP, ILP with the wait until rows are visible, psycopg, files), so nothing of the run's
own work counts as a store's, and a run cannot say of itself what it likes.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_http import HttpReader

TIMED: dict[Any, dict[str, str]] = {
    HttpReader: {"exec": "questdb_read", "parquet": "questdb_read"},
    QuestDB: {"write": "questdb_write", "wait_applied": "questdb_wait"},
    psycopg: {"connect": "postgres"},
    psycopg.Connection: {"execute": "postgres", "close": "postgres"},
    psycopg.Cursor: {"execute": "postgres", "executemany": "postgres", "fetchone": "postgres", "fetchall": "postgres"},
    psycopg.Transaction: {"__enter__": "postgres", "__exit__": "postgres"},
    FoldArtifacts: {"save": "artifacts", "states": "artifacts"},
}


class StoreClock:
    """Seconds by kind of call. A call made inside another one counts for the outer one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._thread = threading.get_ident()
        self._inside = False

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def timed(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if self._inside or threading.get_ident() != self._thread:
                return call(*arguments, **options)
            self._inside, started = True, time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds[kind] = self.seconds.get(kind, 0.0) + time.perf_counter() - started
                self._inside = False

        return wrapper


@contextmanager
def store_clock() -> Iterator[StoreClock]:
    """Time the calls of this thread to the stores while the context is open."""
    clock = StoreClock()
    before = [(owner, name, getattr(owner, name)) for owner, names in TIMED.items() for name in names]
    try:
        for owner, names in TIMED.items():
            for name, kind in names.items():
                setattr(owner, name, clock.timed(kind, getattr(owner, name)))
        yield clock
    finally:
        for owner, name, own in before:
            setattr(owner, name, own)
