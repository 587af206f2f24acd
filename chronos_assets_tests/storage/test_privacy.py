"""What lies below the home is its owner's alone, whatever umask the command was called with, and whatever an older version left open."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from chronos_assets import services
from chronos_assets.settings import PREFIX, Settings
from chronos_assets.storage.privacy import mode_beside, private_home
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.dagster_data import write_dataset

OTHERS = 0o077


def below(home: Path) -> Iterator[Path]:
    return (path for path in home.rglob("*") if not path.is_symlink())


def open_paths(home: Path) -> list[str]:
    """Paths below `home` that others may use; QuestDB's files have modes of their own, its folders have not."""
    exempt = home / "questdb"
    found = [path for path in below(home) if path.stat().st_mode & OTHERS and not (path.is_file() and path.is_relative_to(exempt))]
    return [f"{stat.filemode(path.stat().st_mode)} {path}" for path in found]


def export(settings: Settings, slug: str) -> None:
    own = {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set if getattr(settings, name)}
    outcome = run_program(slug, program="export", env={**os.environ, **own}, umask=0)
    assert outcome.returncode == 0, outcome.stderr


def test_a_home_is_private_at_any_umask_and_an_old_one_is_closed(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Servers and artifacts of a command with umask 000 are closed to others; so is a home that was opened to all, and both work."""
    settings = make_settings(exports_dir=tmp_path / "exports")
    write_dataset(settings.exports_dir, "private_1d_v1")
    export(settings, "private_1d_v1")
    assert len([path for path in below(settings.home / "artifacts") if path.is_file()]) >= 2
    assert open_paths(settings.home) == []
    # Only the group of the user that runs root's Postgres may pass, and it may not look.
    assert stat.S_IMODE(settings.home.stat().st_mode) in ((0o710,) if os.geteuid() == 0 else (0o700,))
    services.stop(settings)
    for path in [settings.home, *below(settings.home)]:
        if path.stat().st_uid == os.geteuid():
            path.chmod(0o777 if path.is_dir() else 0o666)
    (settings.home / ".private").unlink()
    write_dataset(settings.exports_dir, "private_1d_v2", rows=200)
    export(settings, "private_1d_v2")
    assert open_paths(settings.home) == []
    assert stat.S_IMODE(settings.home.stat().st_mode) in ((0o710,) if os.geteuid() == 0 else (0o700,))


def test_links_out_of_a_home_are_not_followed(tmp_path: Path) -> None:
    """Closing an old home changes nothing outside of it; folders above the home stay as open as the caller makes them."""
    outside, home = tmp_path / "outside", tmp_path / "above" / "home"
    outside.mkdir(mode=0o755)
    (outside / "file").touch()
    outside.chmod(0o755)  # whatever the umask of this process
    (outside / "file").chmod(0o644)
    private_home(home)
    (home / ".private").unlink()
    (home / "link").symlink_to(outside)
    (home / "file-link").symlink_to(outside / "file")
    private_home(home)
    assert (stat.S_IMODE(outside.stat().st_mode), stat.S_IMODE((outside / "file").stat().st_mode)) == (0o755, 0o644)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.parent.stat().st_mode) & 0o700 == 0o700


def test_a_new_file_is_as_open_as_its_folder(tmp_path: Path) -> None:
    """A manifest in a shared folder can be read by those who share it; a report beside private artifacts cannot."""
    tmp_path.chmod(0o700)
    assert mode_beside(tmp_path) == 0o600
    before = os.umask(0o022)
    os.umask(before)
    tmp_path.chmod(0o777)
    assert mode_beside(tmp_path) & 0o111 == 0
    assert mode_beside(tmp_path) & 0o600 == 0o600
