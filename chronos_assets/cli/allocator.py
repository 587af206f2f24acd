"""How a server's process gives memory back: without this it keeps, per thread, what its largest answers took."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE_BYTES = 256 * 1024


def return_memory_early() -> None:
    """Two arenas instead of eight per core, and blocks from 256 kB on go back to the system as soon as they are free.

    Arrow, whose own pool keeps what a Parquet file took (80 MB here), takes its memory from there too. Call it before threads are started
    and before polars and pyarrow are imported, whose allocators read the environment once. The C library is left alone if it is not glibc.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", f"narenas:{_ARENAS},dirty_decay_ms:200,muzzy_decay_ms:0")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter, value in ((_ARENA_MAX, _ARENAS), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES)):
            library.mallopt(parameter, value)
