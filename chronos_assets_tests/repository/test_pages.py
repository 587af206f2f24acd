"""Pages made from the code are what the code says now, and nothing that they must name is missing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from chronos_assets.cli.main import COMMANDS
from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.domain.presets import PRESETS
from chronos_assets.settings import PREFIX, Settings
from chronos_assets.storage.postgres_schema import METADATA
from chronos_assets.storage.questdb_tables import TABLES

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", PROJECT / ".ci" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says() -> None:
    """A setting, command, table or index that changes changes its page in the same commit.

    In a process of its own: Click keeps how a command's help looked when it was first asked for, and other tests ask for it too.
    """
    checked = subprocess.run([sys.executable, PROJECT / ".ci" / "pages.py", "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_setting_command_table_and_index_is_on_its_page(pages: ModuleType) -> None:
    """Nothing is left out by the way a page is laid out."""
    settings, commands = pages.settings_page(), pages.cli_page()
    assert [name for name in Settings.model_fields if f"| `{PREFIX}{name.upper()}` |" not in settings] == []
    assert [name for name in (*(f"chronos {c}" for c in COMMANDS), "validate_dataset") if f"## {name}\n" not in commands] == []
    presets = pages.presets_page()
    assert [name for name in PRESETS if f"### {name}\n" not in presets] == []
    assert [name for name in FormatSpec.model_fields if f"| `{name}` |" not in presets] == []
    postgres, sql, questdb = pages.postgres_page(), pages.postgres_schema(), pages.questdb_page()
    for table in METADATA.tables.values():
        assert f"## {table.name}\n" in postgres
        assert f"CREATE TABLE {table.name} " in sql
        for index in table.indexes:
            assert f"| `{index.name}` |" in postgres
            assert f"CREATE INDEX {index.name} " in sql
    for spec in TABLES:
        assert f"## {spec.name}\n" in questdb
        assert spec.about
        assert set(spec.keys) <= set(spec.example)
