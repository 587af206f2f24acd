"""The product without a clone: the wheel in an environment of its own, a project made by `chronos init`, and the demonstration in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from chronos_assets.cli.init import init

ROOT = Path(__file__).resolve().parents[2]
INSTALL_SECONDS = 1_200
FOREIGN = ("CHRONOS_", "VIRTUAL_ENV", "UV_PROJECT", "PYTHON")


def initialized(folder: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(init, [str(folder), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["files"]  # type: ignore[no-any-return]


def test_init_writes_what_a_project_needs_and_nothing_twice(tmp_path: Path) -> None:
    """The first call writes four files, the second changes none, and a file that the user changed is kept and named."""
    project = tmp_path / "trading"
    assert {one["state"] for one in initialized(project)} == {"written"}
    assert sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()) == [
        ".gitignore",
        "dagster.yaml",
        "exports/README.md",
        "workspace.yaml",
    ]
    assert {one["state"] for one in initialized(project)} == {"unchanged"}
    (project / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    assert {one["file"]: one["state"] for one in initialized(project)}["dagster.yaml"] == "kept"
    assert (project / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


def test_init_in_the_repository_changes_nothing() -> None:
    """In the checkout every file is there already, and stays."""
    assert {one["state"] for one in initialized(ROOT)} <= {"unchanged", "kept"}


def test_the_demo_runs_from_the_wheel(tmp_path: Path, test_home: Path) -> None:
    """Built, installed into a clean environment with the pinned packages, initialized: `chronos demo` goes from file to trades there."""
    uv = shutil.which("uv") or str(next((ROOT / ".uv" / "bin").glob("uv")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment["CHRONOS_HOME"] = str(test_home / "wheel")
    project, python, chronos = tmp_path / "trading", tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / "bin" / "chronos"

    def call(*command: str | Path, cwd: Path = tmp_path) -> str:
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr[-3000:]}"
        return done.stdout

    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist", cwd=ROOT)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    call(uv, "venv", "--python", sys.executable, tmp_path / "venv")
    call(uv, "pip", "sync", "--python", python, "--require-hashes", *(ROOT / "requirements" / f"{name}.txt" for name in ("run", "cpu")))
    call(uv, "pip", "install", "--python", python, "--no-deps", wheel)
    call(chronos, "init", project)
    try:
        document = json.loads(call(chronos, "demo", "--json", cwd=project))
    finally:
        call(chronos, "services", "stop", cwd=project)
    assert document["dataset"] == "sp500_1d_v1"
    assert document["rows"]["verified"] == document["rows"]["total"] > 4_000
    assert (project / "exports" / "sp500_1d_v1.yaml").is_file()
