"""`chronos config show|init`: every setting, its value and where it came from, secrets as asterisks; and a settings file to start from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from chronos_assets.cli.common import emit, json_option
from chronos_assets.cli.config_template import template
from chronos_assets.errors import ConflictError
from chronos_assets.services.connections import mask_url
from chronos_assets.settings import PREFIX, Settings, find_project, load_settings
from chronos_assets.settings_file import settings_path
from chronos_assets.storage.client_string import mask_client_string

# The address in these is worth showing, the password in them is not.
_MASKED: dict[str, Callable[[str], str]] = {
    "questdb_conf": mask_client_string,
    "postgres_dsn": mask_url,
    "dagster_postgres_url": mask_url,
}


@click.group()
def config() -> None:
    """Show every setting, its value and where it came from, or write a settings file."""


@config.command("init")
@json_option
def init(as_json: bool) -> None:
    """Write a commented chronos.toml with every setting into the project (or to CHRONOS_CONFIG); one that is there stays."""
    path, _ = settings_path(find_project())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConflictError(
            "there is a settings file already", code="config_exists", file=path, hint="Edit it; `chronos config show` says what it sets."
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(template())
    from chronos_assets.views.documents import WrittenFile

    emit(WrittenFile(file=str(path)), as_json, lambda _: f"{path} written; take the # from what you want to set")


@config.command()
@json_option
def show(as_json: bool) -> None:
    """Show every setting, its value and where it came from."""
    from chronos_assets.views.documents import Setting, SettingList

    settings = describe(load_settings())
    emit(SettingList(settings=[Setting(**one) for one in settings]), as_json, lambda _: _as_text({"settings": settings}))


def describe(settings: Settings) -> list[dict[str, Any]]:
    """One entry per setting: `name`, `variable`, `value` (masked), `source`, `description`."""
    return [
        {
            "name": name,
            "variable": f"{PREFIX}{name.upper()}",
            "value": _shown(name, getattr(settings, name)),
            "source": settings.source_of(name),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(name: str, value: object) -> Any:
    if isinstance(value, SecretStr):
        mask = _MASKED.get(name)
        return mask(value.get_secret_value()) if mask else "***"
    if isinstance(value, tuple):
        return [str(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _as_text(document: dict[str, Any]) -> str:
    lines = []
    for entry in document["settings"]:
        value = entry["value"]
        text = "(not set)" if value is None else ":".join(value) or "(none)" if isinstance(value, list) else str(value)
        lines.append(f"{entry['variable']:<34} {text:<48} {entry['source']}")
        lines.append(f"    {entry['description']}")
    return "\n".join(lines)
