"""docs/SETTINGS.md, from `settings.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from chronos_assets.cli.config_template import sections
from chronos_assets.settings import PREFIX, Settings
from written_pages.common import NOTE

# Defaults that depend on the machine, in words.
MACHINE_DEFAULTS = {
    "home": "one folder per project below your user data directory",
    "cache": "`chronos_assets` below your user cache directory",
    "exports_dir": "`exports/` of the project",
    "workers": "number of CPUs",
}


def settings_page() -> str:
    """Every setting by section: variable, default, what it may hold, what it is for."""
    lines = [
        "# Settings",
        NOTE,
        "",
        "Every setting is an environment variable. `chronos config show` prints the value of each and where it came from; secrets are "
        "masked.",
        "A value that cannot be used ends the command with exit status 2 and the name of the variable.",
    ]
    for title, names in sections():
        lines += ["", f"## {title}", "", "| variable | default | takes | what it is for |", "|---|---|---|---|"]
        for name in names:
            field = Settings.model_fields[name]
            cells = (f"`{PREFIX}{name.upper()}`", _default(name, field), _takes(field), field.description or "")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return MACHINE_DEFAULTS[name]
    if field.default is None or field.default == ():
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _takes(field: FieldInfo) -> str:
    kind = next((part for part in (*get_args(field.annotation), field.annotation) if part is not type(None)), str)
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if get_origin(field.annotation) is tuple:
        kind = get_args(field.annotation)[0]
        return f"list of {'folders' if kind is Path else 'words'}"
    words = {bool: "`true`, `false`", int: "whole number", float: "number", Path: "path", SecretStr: "secret", str: "text"}[kind]
    bounds = [f"{sign} {value}" for sign, key in ((">", "gt"), (">=", "ge"), ("<=", "le")) if (value := _bound(field, key)) is not None]
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _bound(field: FieldInfo, key: str) -> Any:
    return next((getattr(rule, key) for rule in field.metadata if getattr(rule, key, None) is not None), None)
