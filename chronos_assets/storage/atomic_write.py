"""Files that are there in full or not at all, whoever else writes the same one at the same time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from chronos_assets.storage.privacy import mode_beside


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the context ends without an error, and vanishes otherwise.

    Its temporary name (`.NAME.*.part`, in the same folder) is nobody else's. A file that was there keeps its mode, a new one is as open
    as its folder. Raises `OSError`.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else mode_beside(path.parent))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
