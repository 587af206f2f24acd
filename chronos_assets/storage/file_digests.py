"""SHA-256 of files, remembered between processes: whoever needs the digest of a file that has not changed does not read it again."""

from __future__ import annotations

import errno
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Any

from chronos_assets.storage.atomic_write import write_file

NAME = "digests.json"
# A file that was touched so shortly before it was read may be touched again within the same tick of its clock.
SETTLED_SECONDS = 2.0


class Digests:
    """SHA-256 of files, remembered by path, size and times. Losing the memory costs reading the files again, nothing else."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, list[Any]] = {}
        if path is not None and path.is_file():
            try:
                self._known = json.loads(path.read_text())
            except ValueError:
                self._known = {}  # cut short by a crash of an older writer: read the files again

    @classmethod
    def of_home(cls, home: Path) -> Digests:
        """The memory that all commands of one home share."""
        return cls(home / NAME)

    def of(self, path: Path, read: Callable[[Path], str] | None = None) -> str:
        """64 hex digits of the file's bytes; `read` computes them from a file that is not known yet. Raises `OSError`."""
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._known.get(str(path))
        if known is not None and known[0] == stamp:
            return str(known[1])
        digest = (read or sha256_of_file)(path)
        if time.time() - max(stat.st_mtime, stat.st_ctime) >= SETTLED_SECONDS:
            self._known[str(path)] = [stamp, digest]
            self._changed = True
        return digest

    def save(self) -> None:
        """Keep what is known for the next process."""
        if self._path is None or not self._changed:
            return
        write_file(self._path, json.dumps(self._known).encode())
        self._changed = False


def sha256_of_file(path: Path) -> str:
    """64 hex digits of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
