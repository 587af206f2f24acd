"""How much each of the series that are read from QuestDB at the same time may hold: together they take about as much as one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chronos_assets.errors import ServiceUnavailableError

# Values of one piece while one series is read; the second one gets half as many, the third a third, and so on.
PIECE_CELLS = 500_000
LEAST_CELLS = 50_000
MOST_READS = 50


class OpenReads:
    """The series that are being read piece by piece, however slowly they are taken. Thread-safe."""

    def __init__(self) -> None:
        self._open = 0
        self._guard = threading.Lock()

    def require_room(self) -> None:
        """Raise `ServiceUnavailableError` (`downloads_full`) if as many are open as can be."""
        if self._open >= MOST_READS:
            raise ServiceUnavailableError(
                f"{MOST_READS} downloads of whole series are under way",
                code="downloads_full",
                hint="Ask again in a few seconds, or ask for `points`.",
            )

    @contextmanager
    def one(self) -> Iterator[int]:
        """One more, until the block ends: how many values a piece of it may have."""
        with self._guard:
            self._open += 1
            cells = max(LEAST_CELLS, PIECE_CELLS // self._open)
        try:
            yield cells
        finally:
            with self._guard:
                self._open -= 1
