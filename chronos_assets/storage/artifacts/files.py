"""Artifacts in a folder of this machine (or one that several machines mount): one file each, written by `atomic_write`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chronos_assets.errors import FileError
from chronos_assets.storage.artifacts.store import Entry, checked_name
from chronos_assets.storage.atomic_write import SUFFIX, remove_abandoned, write_files
from chronos_assets.storage.privacy import OWNER_FILE


class FileArtifacts:
    """The folder `root`. Files that are written here can be read by their owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journals = root

    def path(self, name: str) -> Path:
        """Where the file of an artifact is, or would be."""
        return self.root / checked_name(name)

    def address(self, name: str) -> str:
        """The absolute path of the file."""
        return str(self.path(name))

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Write files; the disk has all of them on return."""
        write_files({self.path(name): content for name, content in contents.items()}, mode=OWNER_FILE)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it is gone."""
        path = self.path(name)
        with _reading(path):
            return path.read_bytes()
        return None

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Parts of a file, read by position; None if it is gone."""
        path = self.path(name)
        with _reading(path), path.open("rb", buffering=0) as file:
            return [os.pread(file.fileno(), size, start) for start, size in ranges]
        return None

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is gone."""
        path = self.path(name)
        return path.stat().st_size if path.is_file() else None

    def delete(self, name: str) -> int:
        """Delete a file; returns its bytes. Folders below the first level go when they are empty: what is put there holds a lock."""
        path, size = self.path(name), self.size(name) or 0
        path.unlink(missing_ok=True)
        if name.count("/") > 1:
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # only if it is empty
        return size

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All whole files below a folder, in the order of their names."""
        for path in sorted((self.root / prefix).rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                name = path.relative_to(self.root).as_posix()
                if not path.name.startswith(".") and path.is_file():
                    status = path.stat()
                    yield Entry(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def remove_abandoned(self, prefix: str) -> int:
        """Remove temporary files below a folder."""
        folder = self.root / prefix
        folders = {folder, *(path.parent for pattern in (f".*{SUFFIX}", ".*.tmp") for path in folder.rglob(pattern))}
        return remove_abandoned(folders, older_than_seconds=0)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Pass over a file that is gone, and turn other errors of the system into a `FileError` that names it."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    except OSError as error:
        raise FileError(f"an artifact cannot be read: {error.strerror}", code="read_failed", file=str(path)) from error
