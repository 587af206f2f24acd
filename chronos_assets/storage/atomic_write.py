"""Files that are there in full or not at all, on the disk when the call returns: the only place that puts a file under its final name.

A file is written under a temporary name in the same folder, synced, renamed, and its folder is synced. So neither a crash nor a power cut
leaves half a file, and a row that is committed afterwards never names a file that the disk does not have. Errors name the final file.
A journal is the exception: it grows by `append`, which returns when the disk has the record.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from chronos_assets.errors import FileError
from chronos_assets.storage.privacy import mode_beside

SUFFIX = ".part"
# Syncs that run side by side share one commit of the file system's journal.
SYNCS_AT_ONCE = 8
ABANDONED_SECONDS = 86_400.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the context ends without an error, and vanishes otherwise.

    `mode`: permissions of the file; by default those of the file it replaces, or as open as its folder. Raises `FileError`.
    """
    temporary = temporary_name(path)
    try:
        with naming(path):
            file = _create(temporary, path, mode)
        with naming(path, temporary), file:
            yield file
            sync(file)
        _rename(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put `content` at `path`, making its folder if it is missing. Raises `FileError`."""
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mode=mode) as file:
        file.write(content)


def write_files(contents: Mapping[Path, bytes], *, mode: int | None = None) -> None:
    """Put several files in place: all of them are on the disk on return. Raises `FileError`; then some may be in place, each whole.

    As durable as `write_file` for each, and many times faster: what takes long is the wait for the disk, and it is shared.
    """
    temporaries = {path: temporary_name(path) for path in contents}
    folders = _make_folders({path.parent for path in contents})
    try:
        with ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="sync") as pool:
            list(pool.map(lambda path: _write_synced(path, temporaries[path], contents[path], mode), contents))
            for path, temporary in temporaries.items():
                with naming(path):
                    temporary.replace(path)
            list(pool.map(sync_folder, folders))
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def append(path: Path, content: bytes) -> None:
    """Add `content` to the end of `path`, made if it is missing, with its folder. Raises `FileError`; then a part of it may be there.

    For journals, whose records say themselves whether they are whole.
    """
    changed = set() if path.exists() else _make_folders({path.parent})
    with naming(path), path.open("ab", buffering=0) as file:
        if changed:
            os.fchmod(file.fileno(), mode_beside(path.parent))
        file.write(content)
        os.fsync(file.fileno())
    for folder in changed:
        sync_folder(folder)


def put_in_place(finished: Path, path: Path) -> None:
    """Give a file that is written in full (in the folder of `path`, or on its disk) the name `path`. Raises `FileError`."""
    with naming(path, finished):
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        _rename(finished, path)


def sync(file: BinaryIO) -> None:
    """Wait until all that was written into `file` is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk. A file system that cannot sync folders is left alone."""
    with naming(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise _file_error(folder, error) from error
    finally:
        os.close(handle)


def temporary_name(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses: `.NAME.RANDOM.part`."""
    return path.with_name(f".{path.name[:180]}.{secrets.token_hex(8)}{SUFFIX}")


def remove_abandoned(folders: Iterable[Path], *, older_than_seconds: float = ABANDONED_SECONDS) -> int:
    """Remove temporary files that a killed writer left in `folders`; returns how many.

    Files of a writer that still works are younger than a day. Only for folders of the product: others may hold such names too.
    """
    count = 0
    for folder in folders:
        for left in (*folder.glob(f".*{SUFFIX}"), *folder.glob(".*.tmp")):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime >= older_than_seconds:
                    left.unlink()
                    count += 1
    return count


@contextmanager
def naming(path: Path, *others: Path) -> Iterator[None]:
    """Turn an error of the system about `path` (or about one of `others`, its temporary forms) into a `FileError` that names it."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in {path, *others, path.parent}:
            raise  # about another file, which was read on the way
        raise _file_error(path, error) from error


def _file_error(path: Path, error: OSError) -> FileError:
    hint = "Free some space, then run the same command again." if error.errno in _FULL else ""
    reason = (error.strerror or str(error)).lower()
    return FileError(f"a file cannot be written: {reason}", code="write_failed", hint=hint, file=str(path))


def _create(temporary: Path, path: Path, mode: int | None) -> BinaryIO:
    """Open `temporary`, which must not exist, with the permissions that `path` shall have."""
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else mode_beside(path.parent)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.fchmod(handle, mode)  # whatever the umask
    return os.fdopen(handle, "wb")


def _rename(temporary: Path, path: Path) -> None:
    with naming(path, temporary):
        temporary.replace(path)
    sync_folder(path.parent)


def _write_synced(path: Path, temporary: Path, content: bytes, mode: int | None) -> None:
    with naming(path), _create(temporary, path, mode) as file:
        file.write(content)
        sync(file)


def _make_folders(folders: Iterable[Path]) -> set[Path]:
    """Make what is missing; returns the folders whose names have to be synced: `folders`, and those that got a new folder."""
    changed = set(folders)
    for folder in list(changed):
        missing = folder
        while not missing.is_dir():
            changed.add(missing.parent)
            missing = missing.parent
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
    return changed
