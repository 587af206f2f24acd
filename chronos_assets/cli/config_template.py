"""The commented settings file that `chronos config init` writes: every setting by section, each with what it is for and its default."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from chronos_assets.settings import Settings, is_secret

_HEAD = """\
# Settings of chronos_assets for this project. Take the # from a line to set it; environment variables (CHRONOS_NAME) win over this file.
# `chronos config show` prints every value and where it came from. Relative paths count from this folder. Keep the file to yourself
# (mode 0600) if it holds a password, and out of version control.
"""


def sections() -> list[tuple[str, list[str]]]:
    """The comments between the fields of `Settings`, each with the settings below it."""
    found: list[tuple[str, list[str]]] = []
    for line in inspect.getsource(Settings).splitlines():
        if match := re.fullmatch(r"    # (.+)", line):
            found.append((match[1], []))
        elif (match := re.match(r"    (\w+):", line)) and match[1] in Settings.model_fields:
            found[-1][1].append(match[1])
    return [(title, names) for title, names in found if names]


def template() -> str:
    """The file: valid TOML whose every setting is a comment."""
    lines = [_HEAD]
    for title, names in sections():
        lines += ["", f"# == {title}", ""]
        for name in (name for name in names if name != "config"):
            field = Settings.model_fields[name]
            lines += [f"# {line}" for line in textwrap.wrap(field.description or "", 138)]
            lines += [f"# {name} = {_literal(name, field)}", ""]
    return "\n".join(lines)


def _literal(name: str, field: FieldInfo) -> str:
    """The default as TOML; for one that is none, or depends on the machine, an empty value of its type."""
    value: Any = None if field.default_factory is not None else field.default
    if value is None:
        return '"..."' if is_secret(name) or "int" not in str(field.annotation) else "1"
    if isinstance(value, tuple):
        return "[]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
