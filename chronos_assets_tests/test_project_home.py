"""A project keeps its home when its folder moves; a copy gets a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from chronos_assets.cli.common import COMPLETION, say_at_start
from chronos_assets.cli.dev import dev
from chronos_assets.cli.services import services
from chronos_assets.errors import ServiceStartError
from chronos_assets.project_home import MEMORY, default_home, moved_from, project_of
from chronos_assets.services import start
from chronos_assets.settings import load_settings, moved_checkout, remember_home
from chronos_assets.storage.privacy import private_home


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has been used once, with its home below the test's folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CHRONOS_HOME")
    folder = tmp_path / "first"
    (folder / "exports").mkdir(parents=True)
    (folder / "dagster.yaml").touch()
    use(folder, monkeypatch)
    return folder


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a command does that opens the home."""
    monkeypatch.chdir(folder)
    settings = load_settings()
    private_home(settings.home)
    remember_home(settings)
    return settings.home


def test_a_moved_project_keeps_its_home(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renamed or moved, it is told once and then goes on; the home knows where its project is now."""
    home = load_settings().home
    moved = project.rename(tmp_path / "second")
    monkeypatch.chdir(moved)
    told = moved_checkout()
    assert told is not None
    assert (told.home, told.project) == (home, project)
    assert use(moved, monkeypatch) == home
    assert moved_checkout() is None
    assert project_of(home) == moved


def test_a_copied_project_gets_a_home_of_its_own(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkouts never share a registry, whichever is used first."""
    home = load_settings().home
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    assert moved_from(copy) is None
    assert use(copy, monkeypatch) != home
    assert use(project, monkeypatch) == home
    assert default_home(copy) != home


def test_a_home_that_was_removed_or_named_is_not_looked_for(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered counts only while it is there, and never against CHRONOS_HOME; a damaged note is none."""
    moved = project.rename(tmp_path / "second")
    monkeypatch.chdir(moved)
    monkeypatch.setenv("CHRONOS_HOME", str(tmp_path / "named"))
    assert moved_checkout() is None
    remember_home(load_settings())
    monkeypatch.delenv("CHRONOS_HOME")
    assert moved_checkout() is not None
    (moved / MEMORY).write_text("[")
    assert moved_checkout() is None
    shutil.rmtree(tmp_path / "data")
    assert not load_settings().home.exists()


def test_a_move_is_told_once_and_never_to_a_shell_that_completes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TAB shows what may follow and nothing else; the first command after it says that the project was moved, the second is silent."""
    monkeypatch.chdir(project.rename(tmp_path / "second"))
    told = []
    for completing in (True, False, False):
        with monkeypatch.context() as patch:
            if completing:
                patch.setenv(COMPLETION, "bash_complete")
            say_at_start()
        told.append("was moved from" in capsys.readouterr().err)
    assert told == [False, True, False]


def test_a_platform_without_servers_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where Python has neither geteuid nor SIGKILL (Windows), commands that need the servers say what to do instead."""
    monkeypatch.setenv("CHRONOS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "geteuid")
    for name in ("SIGKILL", "SIGHUP", "SIGQUIT"):
        monkeypatch.delattr(signal, name)
    assert "QuestDB: stopped" in CliRunner().invoke(services, ["status"], catch_exceptions=False).stdout
    outcome = CliRunner().invoke(dev, [])
    for call in (lambda: start(load_settings()), lambda: _raised(outcome.exception)):
        with pytest.raises(ServiceStartError, match="Linux and macOS only") as caught:
            call()
        assert "CHRONOS_QUESTDB_CONF" in caught.value.hint


def _raised(error: BaseException | None) -> None:
    assert error is not None
    raise error


def test_a_folder_that_the_locale_cannot_write_is_named(tmp_path: Path) -> None:
    """Without UTF-8 a non-ASCII path ends in one sentence, not in a traceback; with the plain C locale it works."""
    folder = tmp_path / "caf\u00e9"
    folder.mkdir()
    command = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "config", "show"]
    plain = {**os.environ, "LC_ALL": "C", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    assert subprocess.run(command, cwd=folder, env=plain, capture_output=True, check=False).returncode == 0
    outcome = subprocess.run(command, cwd=folder, env={**plain, "PYTHONUTF8": "0"}, capture_output=True, text=True, check=False)
    assert outcome.returncode == 2
    assert "LC_ALL=C.UTF-8" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_bootstrap_names_a_folder_that_the_locale_cannot_write(tmp_path: Path) -> None:
    """It says so before anything is installed there, where the environment's own script could not be written."""
    project, folder = Path(__file__).resolve().parents[1], tmp_path / "caf\u00e9"
    shutil.copytree(project / "requirements", folder / "requirements")
    shutil.copy(project / "bootstrap.py", folder)
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "bootstrap.py", "run", "chronos", "demo"]
    outcome = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr.count("\n")) == (1, 1)
    assert "LC_ALL=C.UTF-8" in outcome.stderr
    assert not (folder / ".uv").exists()
