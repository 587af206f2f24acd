"""`chronos init`: the files that make a folder a project, for an installation without a clone."""

from __future__ import annotations

from pathlib import Path

import click

from chronos_assets.cli.common import emit, json_option
from chronos_assets.pipeline.upkeep.project import ProjectFile, init_project


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Make FOLDER (default: this one) a project: workspace.yaml, dagster.yaml, exports/ and a .gitignore.

    Files that are there already are left as they are.
    """
    from chronos_assets.views.documents import Project
    from chronos_assets.views.documents import ProjectFile as FileDocument

    files = init_project(folder)
    made = [FileDocument(file=one.name, state=one.state) for one in files]
    emit(Project(folder=str(folder.resolve()), files=made), as_json, lambda _: _text(folder, files))


def _text(folder: Path, files: list[ProjectFile]) -> str:
    """One line per file, and the next step if anything was written."""
    words = {"written": "written", "unchanged": "unchanged", "kept": "kept: yours differs from the template"}
    lines = [f"{one.name:<20} {words[one.state]}" for one in files]
    if any(one.state == "written" for one in files):
        inside = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
        lines.append(f"\nNext: `{inside}chronos demo`, or `{inside}chronos manifest new FILE` with an indicator file of your own.")
    return "\n".join(lines)
