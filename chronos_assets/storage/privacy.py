"""Who may read what this product writes: everything below the home is its owner's alone, whatever the umask of the caller.

Folders get mode 0700, files 0600. Two exceptions. If root's embedded Postgres runs as another user on data below the home, the home itself
is 0710 and belongs to the group of that user, who has to pass through it. QuestDB's files are 0644, in folders that nobody else can enter.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

OWNER_FOLDER = 0o700
OWNER_FILE = 0o600
_PASSABLE_BY_GROUP = 0o710
_OTHERS = 0o077
_MARK = ".private"  # in a home that was looked through once
_callers_umask: list[int] = []


def write_privately() -> None:
    """Let this process, and those it starts, create files for their owner only. Libraries that write below the home know no modes."""
    before = os.umask(_OTHERS)
    os.umask(before | _OTHERS)
    if not _callers_umask:
        _callers_umask.append(before)


def mode_beside(folder: Path) -> int:
    """Mode of a new file in `folder`: as open as the folder is, and no more than the caller's own umask allows."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o666 & ~_umask()


def private_home(home: Path) -> None:
    """Make `home`, or close one that an older version left open. Cheap if that was done before. Raises `OSError`."""
    if sys.platform == "win32":
        home.mkdir(parents=True, exist_ok=True)  # other systems have no modes; who may read is inherited from the folder above
        return
    _make_parents(home)
    home.mkdir(mode=OWNER_FOLDER, exist_ok=True)
    _close_home(home)
    mark = home / _MARK
    if not mark.exists():
        for path in _own_paths(home):
            _close(path)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, OWNER_FILE))


def let_group_pass(home: Path, group: int) -> None:
    """Let the members of `group` pass through `home` without being able to list it: the unprivileged user of root's Postgres."""
    if (home.stat().st_gid, stat.S_IMODE(home.stat().st_mode)) != (group, _PASSABLE_BY_GROUP):
        os.chown(home, -1, group)
        home.chmod(_PASSABLE_BY_GROUP)


def _make_parents(home: Path) -> None:
    """Folders above the home are not ours to close."""
    missing = [folder for folder in home.parents if not folder.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o777 & ~_umask())


def _umask() -> int:
    """The umask that the caller of this process had."""
    if _callers_umask:
        return _callers_umask[0]
    current = os.umask(_OTHERS)
    os.umask(current)
    return current


def _close_home(home: Path) -> None:
    """Nobody but the owner, and the user of Postgres if it has its data here."""
    found, data = home.stat(), home / "postgres"
    if found.st_uid != os.geteuid():
        return
    if data.is_dir() and data.stat().st_uid != found.st_uid:
        let_group_pass(home, data.stat().st_gid)
    elif found.st_mode & _OTHERS and not (os.geteuid() == 0 and stat.S_IMODE(found.st_mode) == _PASSABLE_BY_GROUP):
        home.chmod(OWNER_FOLDER)


def _own_paths(home: Path) -> Iterator[Path]:
    """Everything below the home whose mode we may change; links are not followed."""
    own = os.geteuid()
    for folder, folders, files in os.walk(home):
        yield from (Path(folder, name) for name in [*folders, *files] if own in (0, _owner(Path(folder, name))))


def _owner(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.lstat().st_uid
    return None


def _close(path: Path) -> None:
    """Take every right of others from a folder or file; one that vanished meanwhile needs none."""
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if mode & _OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
