"""The last bars of a file, kept as it streams by: contiguous, so that what comes after a bar can be held against it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

TAIL_BARS = 1_280


class Tail:
    """The last 1,280 bars of the named columns. Keeps slices of the batches they came in, so it copies nothing."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._parts: deque[pl.DataFrame] = deque()
        self._bars = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next batch: Float64 columns, of which `names` are kept."""
        part = frame.select(self.names).tail(TAIL_BARS)
        self._parts.append(part)
        self._bars += part.height
        while self._bars - self._parts[0].height >= TAIL_BARS:
            self._bars -= self._parts.popleft().height

    def values(self) -> npt.NDArray[np.float64]:
        """Float64 [bars, names], NaN if a cell is null."""
        table = np.empty((self._bars, len(self.names)), order="F")
        start = 0
        for part in self._parts:
            for i, name in enumerate(self.names):
                table[start : start + part.height, i] = part[name].to_numpy()
            start += part.height
        return table[-TAIL_BARS:]
