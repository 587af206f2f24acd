"""`chronos config show`: every setting, its value and where it came from; secrets as asterisks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from chronos_assets.cli.common import emit, json_option
from chronos_assets.services.connections import mask_client_string, mask_url
from chronos_assets.settings import PREFIX, Settings, load_settings

# The address in these is worth showing, the password in them is not.
_MASKED: dict[str, Callable[[str], str]] = {
    "questdb_conf": mask_client_string,
    "postgres_dsn": mask_url,
    "dagster_postgres_url": mask_url,
}


@click.group()
def config() -> None:
    """Show every setting, its value and where it came from."""


@config.command()
@json_option
def show(as_json: bool) -> None:
    """Show every setting, its value and where it came from."""
    emit({"settings": describe(load_settings())}, as_json, _as_text)


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
