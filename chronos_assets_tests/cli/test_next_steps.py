"""Every command of a first day is named by the output before it: from a file to its tear sheet, only what was printed is typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.dagster_data import bars


def typed(line: str, environment: dict[str, str], folder: Path) -> str:
    """What a `chronos ...` line prints."""
    words = shlex.split(line)
    assert words[0] == "chronos"
    done = run_program(*words[1:], env=environment, cwd=folder, quiet=True)
    assert done.returncode == 0, (line, done.stderr[-2000:])
    return done.stdout + done.stderr


def named(output: str, command: str) -> str:
    """The line of `output` that names `command`, ready to be typed."""
    found = re.search(rf"(?:next: |^ +|`)({re.escape(command)}[^`\n(]*)", output, re.MULTILINE)
    assert found is not None, f"{command!r} is not named in:\n{output}"
    return found[1].strip()


def test_each_command_is_named_by_the_output_before_it(stores: Stores, cli_environment: dict[str, str], tmp_path: Path) -> None:
    """inspect, manifest new, run, runs show, report: a user follows the last lines of each."""
    environment = {**cli_environment, "CHRONOS_EXPORTS_DIR": str(tmp_path / "exports")}
    (tmp_path / "exports").mkdir()
    file = tmp_path / "firstday_1d.csv"
    file.write_bytes(bars(300).write_csv().encode())
    output = typed(f"chronos inspect {file}", environment, tmp_path)
    output = typed(named(output, "chronos manifest new"), environment, tmp_path)
    output = typed(named(output, "chronos run "), environment, tmp_path)
    shown = typed(named(output, "chronos runs show"), environment, tmp_path)
    report = typed(named(shown, "chronos report"), environment, tmp_path)
    [sheet] = re.findall(r"\S+\.html", report)
    assert (tmp_path / sheet).is_file()
