"""The settings file: below the environment, above the defaults, and never half-understood."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from chronos_assets.cli.config import config
from chronos_assets.errors import ConflictError, UsageError
from chronos_assets.settings import Settings, load_settings, settings_file_warning
from chronos_assets.settings_file import NAME


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is the working folder, whose own settings file counts."""
    folder = tmp_path / "project"
    (folder / "exports").mkdir(parents=True)
    (folder / "dagster.yaml").touch()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CHRONOS_CONFIG")
    monkeypatch.delenv("CHRONOS_HOME")
    return folder


def sources(*names: str) -> list[tuple[object, str]]:
    outcome = CliRunner().invoke(config, ["show", "--json"], catch_exceptions=False)
    entries = {entry["name"]: entry for entry in json.loads(outcome.stdout)["settings"]}
    return [(entries[name]["value"], entries[name]["source"]) for name in names]


def test_the_environment_wins_over_the_file_and_that_over_the_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value says where it came from; relative paths count from the file; a folder below the project finds it too."""
    (project / NAME).write_text(
        'batch_rows = 77\ndagster_port = 3001\nhome = "data"\ndata_roots = ["more", "/else"]\nquestdb_ilp_tcp = true\n'
    )
    monkeypatch.setenv("CHRONOS_BATCH_ROWS", "88")
    monkeypatch.setenv("CHRONOS_DAGSTER_PORT", "")
    monkeypatch.chdir(project / "exports")
    file = str(project / NAME)
    assert sources("batch_rows", "dagster_port", "home", "data_roots", "questdb_ilp_tcp", "log_level") == [
        (88, "environment CHRONOS_BATCH_ROWS"),
        (3001, file),
        (str(project / "data"), file),
        ([str(project / "more"), "/else"], file),
        (True, file),
        ("WARNING", "default"),
    ]
    assert load_settings(batch_rows=99).batch_rows == 99


def test_a_named_file_is_read_instead(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHRONOS_CONFIG replaces the project's file; the null device means none; a missing one is refused."""
    (project / NAME).write_text("batch_rows = 77\n")
    (tmp_path / "other.toml").write_text("batch_rows = 66\n")
    assert load_settings().batch_rows == 77
    monkeypatch.setenv("CHRONOS_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().batch_rows == 66
    monkeypatch.setenv("CHRONOS_CONFIG", "/dev/null")
    assert load_settings().batch_rows == 2000
    monkeypatch.setenv("CHRONOS_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"no such settings file .*none\.toml"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batch_row = 5\n", r"unknown setting 'batch_row' .*chronos\.toml.*Did you mean batch_rows\?"),
        ("CHRONOS_BATCH_ROWS = 5\n", "unknown setting 'CHRONOS_BATCH_ROWS'.*Did you mean batch_rows"),
        ("[dagster]\nport = 5\n", "unknown setting 'dagster'"),
        ("batch_rows = {a = 1}\n", "batch_rows is a table"),
        ("batch_rows = 'many'\n", r"setting batch_rows cannot be used.*chronos\.toml.*found many"),
        ("batch_rows =\n", "not valid TOML.*line 1"),
        ("batch_rows = 5\nbatch_rows = 6\n", "not valid TOML"),
        ("config = 'x'\n", "unknown setting 'config'"),
        ("postgres_dsn = 7\n", r"setting postgres_dsn cannot be used.*found \*\*\*"),
        ("a = " + "[" * 100_000, "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(project: Path, text: str, said: str) -> None:
    """The sentence names the file, and the key or line; a secret is not repeated."""
    (project / NAME).write_text(text)
    with pytest.raises(UsageError, match=said):
        load_settings()


def test_a_password_that_others_can_read_is_told(project: Path) -> None:
    """The file may hold secrets; `config show` masks them, and an open file is warned of."""
    file = project / NAME
    file.write_text('questdb_password = "5ecret"\n')
    file.chmod(0o644)
    assert "questdb_password" in str(settings_file_warning())
    file.chmod(0o600)
    assert settings_file_warning() is None
    assert sources("questdb_password") == [("***", str(file))]


def test_config_init_writes_every_setting_as_a_comment(project: Path) -> None:
    """The file changes nothing, is private, holds every setting in valid TOML, and is not written over."""
    outcome = CliRunner().invoke(config, ["init"], catch_exceptions=False)
    assert str(project / NAME) in outcome.stdout
    text = (project / NAME).read_text()
    assert tomllib.loads(text) == {}
    assert set(tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", text))) == set(Settings.model_fields) - {"config"}
    assert (project / NAME).stat().st_mode & 0o777 == 0o600
    assert load_settings().batch_rows == 2000
    second = CliRunner().invoke(config, ["init"])
    assert isinstance(second.exception, ConflictError)
