"""A project folder: the few files that Dagster and the commands look for, written once and never over a file that is there.

The templates are the files of the repository itself. A wheel carries them as `chronos_assets/project/` (pyproject.toml, `force-include`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chronos_assets.errors import UsageError
from chronos_assets.storage.atomic_write import write_file

TEMPLATES = ("workspace.yaml", "dagster.yaml", "exports/README.md")
GITIGNORE = """\
# What running chronos leaves in this folder; manifests (exports/*.yaml) are worth keeping
exports/*
!exports/*.yaml
!exports/README.md
.chronos/
chronos.toml
.tmp_dagster_home_*/
"""
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ProjectFile:
    """One file of a project: `kept` if another text was there before."""

    name: str
    state: Literal["written", "unchanged", "kept"]


def init_project(folder: Path) -> list[ProjectFile]:
    """Write what `folder` lacks; raises `UsageError` if a file has the place of a folder."""
    for place in (folder, folder / "exports"):
        if place.exists() and not place.is_dir():
            raise UsageError(
                "a file has the place of the project's folder", code="not_a_folder", file=str(place), hint="Choose another folder."
            )
    texts = {name: template(name) for name in TEMPLATES} | {".gitignore": GITIGNORE}
    return [_put(folder / name, name, text) for name, text in texts.items()]


def template(name: str) -> str:
    """The text of a project file, from the wheel or from the checkout."""
    inside = _PACKAGE / "project" / name
    return (inside if inside.is_file() else _PACKAGE.parent / name).read_text(encoding="utf-8")


def _put(path: Path, name: str, text: str) -> ProjectFile:
    if path.exists():
        return ProjectFile(name, "unchanged" if path.read_text(encoding="utf-8", errors="replace") == text else "kept")
    write_file(path, text.encode())
    return ProjectFile(name, "written")
