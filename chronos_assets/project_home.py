"""Which home a project has, also after its folder was moved or renamed.

A project's home is named after a digest of its path, so that two checkouts never share a registry. The project remembers it in
`.chronos/home.json`, which version control ignores: a moved checkout keeps its home, a copied one gets a home of its own. Nothing here is
needed if `CHRONOS_HOME` names the home.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

MEMORY = Path(".chronos") / "home.json"
PROJECT_NOTE = "project.json"  # in the home: which project it belongs to


@dataclass(frozen=True)
class Remembered:
    """What a project wrote down: its home, and where the project was at that time."""

    home: Path
    project: Path


def default_home(project: Path) -> Path:
    """The remembered home of `project`, else the one named after its path."""
    found = recall(project)
    return found.home if found is not None else _own_home(project)


def recall(project: Path) -> Remembered | None:
    """What `project` remembers, if it still holds: the home exists, and the project was not copied from one that is still there."""
    found = _read(project)
    if found is None or not found.home.is_dir():
        return None
    if found.project == project:
        return found
    original = _read(found.project)
    return None if original is not None and original.home == found.home else found


def remember(project: Path, home: Path) -> None:
    """Write down, in both, that they belong together. A project that cannot be written to remembers nothing, which is no error."""
    if not is_project(project):
        return
    found = _read(project)
    if found != Remembered(home, project):
        _write(project / MEMORY, {"home": str(home), "project": str(project)})
    note = home / PROJECT_NOTE
    if project_of(home) != project:
        _write(note, {"project": str(project)})


def project_of(home: Path) -> Path | None:
    """The project that a home belongs to, as far as it is written down."""
    document = _document(home / PROJECT_NOTE)
    return Path(document["project"]) if "project" in document else None


def moved_from(project: Path) -> Remembered | None:
    """What a project that was moved since its last command remembers; None if it was not."""
    found = recall(project)
    return found if found is not None and found.project != project else None


def is_project(folder: Path) -> bool:
    """Whether `folder` holds what makes a project."""
    return (folder / "dagster.yaml").is_file() and (folder / "exports").is_dir()


def _own_home(project: Path) -> Path:
    digest = hashlib.sha256(str(project).encode()).hexdigest()[:8]
    return Path(platformdirs.user_data_dir("chronos_assets")) / f"{project.name or 'root'}-{digest}"


def _read(project: Path) -> Remembered | None:
    document = _document(project / MEMORY)
    return Remembered(Path(document["home"]), Path(document["project"])) if {"home", "project"} <= document.keys() else None


def _document(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, str)} if isinstance(document, dict) else {}


def _write(path: Path, document: dict[str, str]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(path)
