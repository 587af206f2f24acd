"""Where everything of the embedded servers lies below `settings.home`, and how it is kept private.

Only paths and their permissions: no process is looked at here.
"""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_assets.errors import FileError, ServiceStartError
from chronos_assets.settings import Settings
from chronos_assets.storage.atomic_write import SUFFIX, write_file
from chronos_assets.storage.privacy import private_home

MARKER = "chronos_assets.json"
FREE_BYTES_NEEDED = 256 * 1024 * 1024
_FOREIGN_HINT = "Set CHRONOS_HOME to another folder, or move that one away."


@dataclass(frozen=True)
class Places:
    """The folders and files of one set of servers. All paths are resolved, so that they can be compared with a command line."""

    home: Path

    @classmethod
    def of(cls, settings: Settings) -> Places:
        return cls(settings.home.resolve())

    @property
    def folder(self) -> Path:
        """State, locks and passwords."""
        return self.home / "services"

    @property
    def start_lock(self) -> Path:
        return self.folder / "start.lock"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def passwords(self) -> Path:
        return self.folder / "passwords.json"

    @property
    def questdb(self) -> Path:
        """The data of QuestDB."""
        return self.home / "questdb"

    @property
    def postgres(self) -> Path:
        """The data of Postgres where its user can reach the home; see `postgres_user` for where it is otherwise."""
        return self.home / "postgres"

    def server_lock(self, name: str) -> Path:
        """Held by the server itself for as long as any of its processes lives."""
        return self.folder / f"{name}.lock"

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def create(self) -> None:
        """Make the folders; raises `ServiceStartError` if the home cannot be written or the disk is full."""
        try:
            private_home(self.home)
            for folder in (self.folder, self.home / "logs"):
                folder.mkdir(mode=0o700, exist_ok=True)
            free = shutil.disk_usage(self.home).free
        except OSError as error:
            raise cannot_write(self.home, error) from error
        if free < FREE_BYTES_NEEDED:
            raise ServiceStartError(
                "the disk is almost full",
                code="disk_full",
                expected=f"{FREE_BYTES_NEEDED // 2**20} MiB free for the servers",
                found=f"{free // 2**20} MiB",
                hint="Free some space, or set CHRONOS_HOME to a folder on another disk.",
                folder=self.home,
            )


def check_marker(folder: Path, kind: str, version: str) -> None:
    """Refuse a data folder that somebody else made, or a newer us; note our version in the others."""
    mark = folder / MARKER
    known = _read_marker(mark)
    if known is None and any(not _is_half_written(mark, entry) for entry in folder.iterdir()):
        raise foreign_folder(folder, kind)
    if known is not None and (known.get("kind"), str(known.get("version")).partition(".")[0]) != (kind, version.partition(".")[0]):
        raise ServiceStartError(
            f"the folder for {kind} was written by another server",
            code="foreign_data_directory",
            expected=f"{kind} {version}",
            found=f"{known.get('kind')} {known.get('version')}",
            hint=_FOREIGN_HINT,
            folder=folder,
        )
    if known is not None and _numbers(str(known.get("version"))) > _numbers(version):
        raise ServiceStartError(
            f"the folder for {kind} was written by a newer program",
            code="home_newer",
            expected=f"{kind} {version} at most",
            found=f"{kind} {known.get('version')}",
            hint="Update chronos_assets, which brings its servers, or restore a backup of the older version into a new CHRONOS_HOME.",
            folder=folder,
        )
    if known is None or str(known.get("version")) != version:
        write_json(mark, {"product": "chronos_assets", "kind": kind, "version": version})


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _is_half_written(path: Path, entry: Path) -> bool:
    """Whether `entry` is what a killed process left of an attempt to write `path`."""
    return entry.name.startswith(f".{path.name}.") and entry.suffix == SUFFIX


def write_json(path: Path, document: dict[str, Any], *, mode: int | None = None) -> None:
    """Put `document` at `path`; raises `ServiceStartError` if it cannot be written."""
    try:
        write_file(path, json.dumps(document, indent=2).encode(), mode=mode)
    except FileError as error:
        cause = error.__cause__
        raise cannot_write(path.parent, cause if isinstance(cause, OSError) else OSError(str(error))) from error


def is_marked(folder: Path) -> bool:
    """Whether `folder` carries our mark."""
    return _read_marker(folder / MARKER) is not None


def foreign_folder(folder: Path, kind: str) -> ServiceStartError:
    """The one sentence for data of somebody else in the place of ours."""
    return ServiceStartError(
        f"the folder for {kind} holds files of another program", code="foreign_data_directory", hint=_FOREIGN_HINT, folder=folder
    )


def _read_marker(mark: Path) -> dict[str, object] | None:
    try:
        document = json.loads(mark.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def cannot_write(path: Path, error: OSError, *, setting: str = "CHRONOS_HOME") -> ServiceStartError:
    """The one sentence for a folder that cannot be written: full disk, permission, a file in the way, or what the system says.

    `setting` names the folder that `path` lies in, and so what to change.
    """
    what = "the folder of downloads" if setting == "CHRONOS_CACHE" else "the folder of the servers' data"
    elsewhere = f"set {setting} to another folder"
    place = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"Free some space, or set {setting} to a folder on another disk."
        return ServiceStartError("the disk is full", code="disk_full", hint=hint, folder=path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason, hint = (error.strerror or "").lower(), f"Work as its owner, or {elsewhere}."
        return ServiceStartError(f"{what} is closed to this user", code="permission_denied", found=reason, hint=hint, folder=place)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        hint = f"Move it away, or {elsewhere}."
        return ServiceStartError(f"{what} cannot be used: a file is in its place", code="home_unusable", hint=hint, file=place)
    reason = (error.strerror or str(error)).lower()
    hint = f"{elsewhere[:1].upper()}{elsewhere[1:]}."
    return ServiceStartError(f"{what} cannot be used: {reason}", code="home_unusable", hint=hint, folder=place)
