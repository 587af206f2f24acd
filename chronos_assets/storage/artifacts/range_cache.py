"""What was read of objects elsewhere, kept in one SQLite file of this machine. It only saves transfers: the bucket says each time whether
the object is there and which version it has. Losing the file, or finding it damaged, costs nothing but reading again.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from chronos_assets.storage.privacy import OWNER_FILE, OWNER_FOLDER

T = TypeVar("T")
Part = tuple[int, int]
WHOLE: Part = (0, -1)
"""The part of an object that is all of it, whatever its size."""
LIMIT_BYTES = 2 * 1024**3
_WAIT_SECONDS = 2.0
# How exactly the time of the last use is known: each update is a write.
_USED_SECONDS = 3_600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS parts (
    name TEXT, version TEXT, start INTEGER, size INTEGER, sha256 TEXT, bytes INTEGER, used REAL, content BLOB,
    PRIMARY KEY (name, start, size)
);
CREATE INDEX IF NOT EXISTS parts_used ON parts (used, bytes);
"""
_FIND = "SELECT version, sha256, used, content FROM parts WHERE name = ? AND start = ? AND size = ?"
_TOUCH = "UPDATE parts SET used = ? WHERE name = ? AND start = ? AND size = ?"


class RangeCache:
    """Parts of objects (first byte and bytes, or `WHOLE`) by name and version. Thread-safe; processes share the file.

    Keeps at most about `limit_bytes`; what was not used for longest goes first. Without `path` it keeps nothing. Raises nothing.
    """

    def __init__(self, path: Path | None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path, self.limit_bytes = path, limit_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def version(self, name: str) -> str | None:
        """The version of the whole object that is kept; None if none is."""
        none: list[tuple[str]] = []
        rows = self._use(lambda file: file.execute(_FIND, (name, *WHOLE)).fetchall(), none)
        return str(rows[0][0]) if rows else None

    def find(self, name: str, version: str | None, parts: Sequence[Part]) -> dict[Part, bytes]:
        """Those of `parts` that are kept of this version, each as it was kept."""

        def find(file: sqlite3.Connection) -> dict[Part, bytes]:
            found: dict[Part, bytes] = {}
            now = time.time()
            for part in parts:
                row = file.execute(_FIND, (name, *part)).fetchone()
                if row is None or row[0] != version or hashlib.sha256(row[3]).hexdigest() != row[1]:
                    continue
                found[part] = row[3]
                if row[2] < now - _USED_SECONDS:
                    file.execute(_TOUCH, (now, name, *part))
            return found

        return {} if version is None else self._use(find, {})

    def keep(self, name: str, version: str | None, contents: Mapping[Part, bytes]) -> None:
        """Keep parts of an object in the place of those of another version."""
        now = time.time()
        rows = [
            (name, version, *part, hashlib.sha256(content).hexdigest(), len(content), now, content)
            for part, content in contents.items()
            if len(content) <= self.limit_bytes // 4
        ]

        def keep(file: sqlite3.Connection) -> None:
            file.execute("DELETE FROM parts WHERE name = ? AND version <> ?", (name, version))
            file.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._make_room(file)

        if version is not None:
            self._use(keep, None)

    def forget(self, name: str) -> None:
        """Keep nothing of an object."""
        self._use(lambda file: file.execute("DELETE FROM parts WHERE name = ?", (name,)).rowcount, 0)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        [held] = connection.execute("SELECT total(bytes) FROM parts").fetchone()
        while held > self.limit_bytes:
            oldest = connection.execute("SELECT rowid, bytes FROM parts ORDER BY used, rowid LIMIT 64").fetchall()
            for row, size in oldest:
                if held > self.limit_bytes:
                    connection.execute("DELETE FROM parts WHERE rowid = ?", (row,))
                    held -= size

    def _use(self, work: Callable[[sqlite3.Connection], T], without: T) -> T:
        """What `work` does in one transaction; `without` if the file cannot be used. A damaged file is removed."""
        if self.path is None:
            return without
        with self._lock:
            try:
                self._connection = self._connection or self._open(self.path)
                with self._connection as file:
                    return work(file)
            except sqlite3.OperationalError:
                self._close()  # locked, read-only, full: the bucket has everything
            except (sqlite3.DatabaseError, OSError):
                self._close()
                for suffix in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        self.path.with_name(f"{self.path.name}{suffix}").unlink(missing_ok=True)
        return without

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
        path.touch(mode=OWNER_FILE)
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, check_same_thread=False)
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
