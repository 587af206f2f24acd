"""The settings file: `chronos.toml` of the project, or the file that `CHRONOS_CONFIG` names. The environment wins over it.

One line per setting, named as in `docs/SETTINGS.md` without `CHRONOS_`: `dagster_port = 3001`. Relative paths count from the file's folder.
This module finds and reads the file; what a setting may hold is for `settings`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos_assets.errors import UsageError

NAME = "chronos.toml"
VARIABLE = "CHRONOS_CONFIG"
MAX_BYTES = 1 << 20
_OTHERS = 0o077


@dataclass(frozen=True)
class SettingsFile:
    """What a settings file says. `path` is None if there is none."""

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def readable_by_others(self) -> bool:
        """Whether other users of this machine can read the file."""
        return self.path is not None and os.name == "posix" and bool(self.path.stat().st_mode & _OTHERS)


def settings_path(project: Path) -> tuple[Path, bool]:
    """Where the file is looked for, and whether the user named it."""
    named = os.environ.get(VARIABLE)
    return (Path(named).expanduser().absolute(), True) if named else (project / NAME, False)


def read_settings_file(project: Path, *, known: Collection[str], paths: Collection[str]) -> SettingsFile:
    """The file's settings; those in `paths` are made absolute. Raises `UsageError` that names the file, and its line or key.

    A missing file is no mistake unless it was named; the null device means none.
    """
    path, named = settings_path(project)
    if named and str(path) == os.devnull:
        return SettingsFile()
    if not path.is_file():
        if named or path.exists():
            raise UsageError(
                "there is no such settings file", code="config_missing", file=str(path), hint=f"Unset {VARIABLE}, or correct it."
            )
        return SettingsFile()
    values = _parse(path)
    for key, value in values.items():
        _check(key, value, path, known)
    return SettingsFile(path, {key: _from_here(value, path.parent) if key in paths else value for key, value in values.items()})


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(
                "the settings file is too large", code="config_unreadable", expected=f"at most {MAX_BYTES} bytes", file=str(path)
            )
        return tomllib.loads(data.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the settings file is not valid TOML: {error}", code="config_unreadable", file=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("the settings file is not UTF-8", code="config_unreadable", file=str(path)) from None
    except RecursionError:
        raise UsageError("the settings file is nested too deep", code="config_unreadable", file=str(path)) from None
    except OSError as error:
        raise UsageError(f"the settings file cannot be read: {error.strerror}", code="config_unreadable", file=str(path)) from None


def _check(key: str, value: Any, path: Path, known: Collection[str]) -> None:
    if key not in known:
        close = next(iter(difflib.get_close_matches(key.removeprefix("CHRONOS_").lower(), known, n=1)), None)
        hint = f"Did you mean {close}?" if close else "docs/SETTINGS.md lists every setting."
        raise UsageError(f"unknown setting {key!r}", code="config_unknown_key", file=str(path), hint=hint)
    if isinstance(value, dict):
        raise UsageError(
            f"{key} is a table", code="config_unknown_key", file=str(path), hint="Settings have no sections: write one line for each."
        )


def _from_here(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_from_here(entry, folder) for entry in value]
    return folder / Path(value).expanduser() if isinstance(value, str) and value else value
