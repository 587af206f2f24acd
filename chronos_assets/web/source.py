"""Where requests get the stores from: opened when the first request needs them, found again after servers came back elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.storage.reading import ReadingPostgres
from chronos_assets.storage.stores import Stores

# How long an address that could not be found is not looked for again: a request must not wait for what has just failed.
RETRY_SECONDS = 1.0


class StoreSource:
    """The stores of a process. `open_stores` finds their addresses; it raises `ServiceUnavailableError` while they do not run."""

    def __init__(self, open_stores: Callable[[], Stores]) -> None:
        self._open = open_stores
        self._guard = threading.Lock()
        self._stores: Stores | None = None
        self._failure: tuple[float, ServiceUnavailableError] | None = None

    def get(self) -> Stores:
        """The stores; raises `ServiceUnavailableError` at once if they were not there a moment ago."""
        with self._guard:
            if self._stores is not None:
                return self._stores
            if self._failure is not None and time.monotonic() - self._failure[0] < RETRY_SECONDS:
                raise self._failure[1]
            try:
                self._stores = self._open()
            except ServiceUnavailableError as error:
                self._failure = (time.monotonic(), error)
                raise
            self._failure = None
            return self._stores

    def forget(self) -> None:
        """Look for the servers again at the next request: embedded ones may have been started again, on other ports."""
        with self._guard:
            stores, self._stores = self._stores, None
        if stores is not None and isinstance(stores.postgres, ReadingPostgres):
            stores.postgres.close()
