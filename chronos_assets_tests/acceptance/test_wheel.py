"""The product without a clone: the wheel in an environment of its own, a project made by `chronos init`, and first minutes in it.

They are the demonstration, the address that it prints, and the way from there to the origin of a trade.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from chronos_assets.cli.init import init
from chronos_assets.services import ports
from chronos_assets_tests.support.browser import browser, watched
from chronos_assets_tests.support.dev_process import PATIENCE_SECONDS

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


@dataclass(frozen=True)
class Installed:
    """A project that uses the installed wheel."""

    folder: Path
    chronos: Path
    environment: dict[str, str]

    def call(self, *words: str) -> str:
        """What a command prints."""
        return call(self.chronos, *words, cwd=self.folder, env=self.environment)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """`chronos serve`, from when it answers."""
        health = f"http://127.0.0.1:{self.environment['CHRONOS_API_PORT']}/api/health"
        with subprocess.Popen([self.chronos, "serve"], cwd=self.folder, env=self.environment, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(health)
                yield
            finally:
                server.terminate()
                server.wait(PATIENCE_SECONDS)


@pytest.fixture
def installed(tmp_path: Path, test_home: Path) -> Iterator[Installed]:
    """The wheel, built and installed into a clean environment with the pinned packages, and a project made by it."""
    uv = shutil.which("uv") or str(next((ROOT / ".uv" / "bin").glob("uv")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {"CHRONOS_HOME": str(test_home / "wheel"), "CHRONOS_API_PORT": str(ports.free())}
    python = tmp_path / "venv" / "bin" / "python"
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist", cwd=ROOT, env=environment)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    pinned = [ROOT / "requirements" / f"{name}.txt" for name in ("run", "cpu")]
    for words in (
        ("venv", "--python", sys.executable, tmp_path / "venv"),
        ("pip", "sync", "--python", python, "--require-hashes", *pinned),
        ("pip", "install", "--python", python, "--no-deps", wheel),
    ):
        call(uv, *words, cwd=tmp_path, env=environment)
    made = Installed(tmp_path / "trading", python.with_name("chronos"), environment)
    call(made.chronos, "init", made.folder, cwd=tmp_path, env=environment)
    yield made
    made.call("services", "stop")


def test_from_the_wheel_to_the_origin_of_the_first_trade(installed: Installed) -> None:
    """`chronos demo` goes from file to trades and ends with an address; two clicks lead to trade 1, whose numbers are those of `trace`."""
    with installed.serving():
        document = json.loads(installed.call("demo", "--json"))
        [address] = re.findall(r"See it: (http://127\.0\.0\.1:\d+/runs/\S+)$", document["next"], re.MULTILINE)
        with browser() as found, watched(found, address.partition("/runs/")[0]) as watch:
            page = watch.page
            page.goto(address)
            page.click("a[href^='/simulations/']:not([href*='?'])")
            page.wait_for_url("**/simulations/*")
            page.click("tr[data-entry] th a:text-is('1')")
            page.wait_for_url("**/trades/1")
            shown = {name: page.inner_text(f"[data-fact='{name}']") for name in ("pnl", "position_size", "entry_price", "exit_price")}
            words = page.inner_text("main")
            watch.must_be_clean()
            trade = page.url.partition("/simulations/")[2].replace("/trades", "")
    traced: dict[str, Any] = json.loads(installed.call("trace", trade, "--json"))
    assert document["dataset"] == "sp500_1d_v1"
    assert document["rows"]["verified"] == document["rows"]["total"] > 4_000
    assert (installed.folder / "exports" / "sp500_1d_v1.yaml").is_file()
    assert _number(shown["pnl"]) == pytest.approx(traced["pnl"], abs=0.005)
    for name in ("position_size", "entry_price", "exit_price"):
        assert _number(shown[name]) == pytest.approx(traced[name], rel=1e-5), name
    assert traced["model"]["reproduces_prediction"]
    for text in (
        traced["decision_time"],
        traced["model"]["sha256"],
        traced["file"]["checksum"],
        traced["run"]["run_id"],
        "yes, to the bit",
    ):
        assert text in words


def call(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """What a program prints; it has to succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr[-3000:]}"
    return done.stdout


def wait_for(url: str) -> None:
    """Until the address answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            requests.get(url, timeout=30)
            return
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.1)


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))
