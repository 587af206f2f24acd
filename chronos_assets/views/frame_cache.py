"""Frames that were read for one request and serve the next ones: least recently used first out, one reader per frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import polars as pl

# The process with its libraries takes about 180 MB, and shall stay below 400.
MOST_BYTES = 192_000_000


class FrameCache:
    """At most `most_bytes` of frames by key. A key must say everything that its frame depends on. Thread-safe."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._frames: OrderedDict[Hashable, pl.DataFrame] = OrderedDict()
        self._bytes = 0
        self._guard = threading.Lock()
        self._reading: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """The frame of `key`; read by one caller while others that want the same wait. One larger than the cache is not kept."""
        with self._guard:
            if (found := self._hit(key)) is not None:
                return found
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            with self._guard:
                if (found := self._hit(key)) is not None:
                    return found
            try:
                frame = read()
                with self._guard:
                    self._keep(key, frame)
                return frame
            finally:
                with self._guard:
                    self._reading.pop(key, None)

    def _hit(self, key: Hashable) -> pl.DataFrame | None:
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
        return frame

    def _keep(self, key: Hashable, frame: pl.DataFrame) -> None:
        size = int(frame.estimated_size())
        if size > self._most_bytes:
            return
        self._frames[key] = frame
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, old = self._frames.popitem(last=False)
            self._bytes -= int(old.estimated_size())
