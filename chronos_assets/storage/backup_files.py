"""A backup's folder: its files, copied with their holes, and `backup.json`, which has the SHA-256 of each and of itself.

A backup is written under another name and gets its own when the disk has all of it, so a folder with a right `backup.json` is whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chronos_assets.errors import RefusedError, UsageError
from chronos_assets.storage.atomic_write import SUFFIX, naming, sync_folder, write_file
from chronos_assets.storage.file_digests import sha256_of_file
from chronos_assets.storage.privacy import OWNER_FILE, OWNER_FOLDER

NAME = "backup.json"
FORMAT = 1
_CHUNK = 1 << 20
_DAMAGED_HINT = "Nothing was restored. Take another backup, or the copy of this one that is whole."


@dataclass(frozen=True)
class BackupNote:
    """What `backup.json` says: versions of what wrote it, and each file's bytes and SHA-256 by its path in the folder."""

    created_at: str
    program: str
    schema: str
    postgres: str
    questdb: str | None
    dagster: bool
    datasets: int
    files: dict[str, tuple[int, str]]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())


@contextmanager
def new_backup(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` if the context ends without an error. What a killed backup of that name left goes."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "the folder of the backup is not empty", code="backup_exists", hint="Name a folder that is new or empty.", folder=folder
        )
    part = folder.with_name(f".{folder.name}{SUFFIX}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with naming(folder, part):
            part.mkdir(mode=OWNER_FOLDER, parents=True)
        yield part
        os.sync()
        with naming(folder, part):
            part.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def digests_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Bytes and SHA-256 of every file in a folder but `backup.json`, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, sha256_of_file(path)) for path in files}


def write_note(folder: Path, note: BackupNote) -> None:
    """Write `backup.json`."""
    content = asdict(note)
    write_file(folder / NAME, json.dumps({**content, "sha256": _own_digest(content)}, indent=1).encode(), mode=OWNER_FILE)


def read_note(folder: Path) -> BackupNote:
    """What `backup.json` says; raises `RefusedError` for what is no whole backup, or one of a newer program."""
    try:
        document: dict[str, Any] = json.loads((folder / NAME).read_bytes())
        if document["format"] > FORMAT:
            raise RefusedError(
                "the backup was written by a newer program",
                code="backup_newer",
                expected=f"format {FORMAT} at most",
                found=f"format {document['format']}, of chronos_assets {document.get('program')}",
                hint="Update chronos_assets.",
                folder=folder,
            )
        said = document.pop("sha256")
        if said != _own_digest(document):
            raise _damaged(folder / NAME, "its SHA-256 differs from what it says")
        files = {path: (int(size), str(digest)) for path, (size, digest) in document.pop("files").items()}
        return BackupNote(files=files, **document)
    except OSError as error:
        raise RefusedError(
            "this folder is no whole backup",
            code="backup_incomplete",
            expected=f"a folder that `chronos backup` has written, with {NAME}",
            found=(error.strerror or str(error)).lower(),
            folder=folder,
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / NAME, "it cannot be read") from error


def check_files(folder: Path, note: BackupNote) -> None:
    """Raise `RefusedError` unless every file is what was written, and no other is there."""
    found = digests_of(folder)
    for path in sorted(found.keys() | note.files.keys()):
        if found.get(path) != note.files.get(path):
            wrong = "its SHA-256 differs" if path in note.files else "it is no part of the backup"
            raise _damaged(folder / path, wrong if path in found else "it is missing")


def copy_tree(source: Path, target: Path, *, vanishing: bool = False) -> None:
    """Copy a file or a folder with all in it, for the owner only; with `vanishing`, what goes meanwhile is left out."""
    gone = contextlib.suppress(FileNotFoundError) if vanishing else contextlib.nullcontext()
    with naming(target, source), gone:
        if source.is_dir():
            names = sorted(entry.name for entry in source.iterdir())
            target.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
            for name in names:
                if not name.endswith(SUFFIX):
                    copy_tree(source / name, target / name, vanishing=vanishing)
        else:
            _copy_file(source, target)


def _copy_file(source: Path, target: Path) -> None:
    """Holes stay holes: a server's files are taken on disk in large steps, most of them empty."""
    with source.open("rb") as old:
        size = os.fstat(old.fileno()).st_size
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE)
        with os.fdopen(handle, "wb") as new:
            at = 0
            while (start := _data_after(old.fileno(), at)) is not None and start < size:
                at = min(os.lseek(old.fileno(), start, os.SEEK_HOLE), size)
                _copy_range(old.fileno(), new.fileno(), start, at)
            os.ftruncate(new.fileno(), size)


def _data_after(file: int, at: int) -> int | None:
    try:
        return os.lseek(file, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _copy_range(old: int, new: int, start: int, end: int) -> None:
    while start < end and (part := os.pread(old, min(_CHUNK, end - start), start)):
        start += os.pwrite(new, part, start)


def _own_digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _damaged(file: Path, found: str) -> RefusedError:
    return RefusedError("the backup is damaged", code="backup_damaged", found=found, hint=_DAMAGED_HINT, file=file)
