"""All artifacts in one folder and back, wherever they are kept: the part of a backup that is neither Postgres nor QuestDB.

The folder has one layout, whether artifacts are in the home or elsewhere; so a backup of the one is restored into the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from chronos_assets.settings import Settings
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.artifacts_owner import NAME as OWNER
from chronos_assets.storage.atomic_write import SUFFIX, naming
from chronos_assets.storage.backup_files import copy_tree
from chronos_assets.storage.privacy import OWNER_FILE, OWNER_FOLDER

# Arrow files are mapped into memory, and made again from the files of bars. A journal belongs to who works on it.
_OF_THIS_MACHINE = ("bars",)
_JOURNAL = ".journal"
_PUT_BYTES = 32_000_000


def copy_out(settings: Settings, folder: Path) -> None:
    """Copy all artifacts into the new folder `folder`; what goes meanwhile is left out."""
    if settings.artifacts is None:
        copy_tree(settings.artifacts_dir, folder, vanishing=True)
        return
    folder.mkdir(mode=OWNER_FOLDER)
    for path in _files(settings.artifacts_dir):
        name = path.relative_to(settings.artifacts_dir)
        if stays(name):
            (folder / name.parent).mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
            copy_tree(path, folder / name, vanishing=True)
    store = open_artifacts(settings, cached=False)
    for entry in store.list():
        content = None if entry.name == OWNER else store.read(entry.name)
        if content is not None:
            _write(folder / entry.name, content)


def copy_in(folder: Path, settings: Settings) -> None:
    """Put a folder that `copy_out` wrote where the settings keep artifacts."""
    if settings.artifacts is None:
        copy_tree(folder, settings.artifacts_dir)
        return
    store = open_artifacts(settings, cached=False)
    contents: dict[str, bytes] = {}
    for path in _files(folder):
        name = path.relative_to(folder)
        if stays(name):
            (settings.artifacts_dir / name.parent).mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
            copy_tree(path, settings.artifacts_dir / name)
            continue
        contents[name.as_posix()] = path.read_bytes()
        if sum(map(len, contents.values())) > _PUT_BYTES:
            store.put(contents)
            contents = {}
    store.put(contents)


def stays(name: Path) -> bool:
    """Whether an artifact is one of this machine, wherever the others are kept."""
    return name.parts[0] in _OF_THIS_MACHINE or name.suffix == _JOURNAL


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(SUFFIX))


def _write(path: Path, content: bytes) -> None:
    """Write a file of a backup, which is synced as a whole."""
    with naming(path):
        path.parent.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
