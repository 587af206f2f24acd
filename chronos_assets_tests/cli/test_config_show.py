"""`chronos config show`: every setting, its value and its source; no secret."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from chronos_assets.cli.config import config
from chronos_assets.settings import Settings


def shown(*arguments: str) -> str:
    outcome = CliRunner().invoke(config, ["show", *arguments], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


def test_every_setting_is_shown_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON form has each setting once; one from the environment says so."""
    monkeypatch.setenv("CHRONOS_BATCH_ROWS", "77")
    entries = {entry["name"]: entry for entry in json.loads(shown("--json"))["settings"]}
    assert set(entries) == set(Settings.model_fields)
    assert (entries["batch_rows"]["value"], entries["batch_rows"]["source"]) == (77, "environment CHRONOS_BATCH_ROWS")
    assert (entries["workers"]["source"], entries["batch_rows"]["variable"]) == ("default", "CHRONOS_BATCH_ROWS")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    """Passwords are masked, also inside addresses, whose other parts stay readable."""
    monkeypatch.setenv("CHRONOS_QUESTDB_CONF", "http::addr=h:9000;username=u;password=s3cret;")
    monkeypatch.setenv("CHRONOS_QUESTDB_PASSWORD", "s3cret")
    monkeypatch.setenv("CHRONOS_POSTGRES_DSN", "postgresql://me:s3cret@db/bars")
    monkeypatch.setenv("CHRONOS_DAGSTER_POSTGRES_URL", "postgresql://me:s3cret@db/meta")
    text = shown(*arguments)
    assert "s3cret" not in text
    assert "http::addr=h:9000;username=u;password=***;" in text
    assert "postgresql://me:***@db/bars" in text
