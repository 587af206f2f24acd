"""`chronos dev` as a user runs it: it comes up, shows the lineage, and leaves nothing behind, however it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from chronos_assets import services
from chronos_assets.cli.keeper import session_members
from chronos_assets.settings import Settings
from chronos_assets_tests.dagster_data import write_dataset

CHRONOS_DEV = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "dev"]
PATIENCE_SECONDS = 240  # for machines that do much else at the same time


class Dev:
    """One `chronos dev` process and what it says. Whatever a test finds, nothing of it stays."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(CHRONOS_DEV, env=environment, stdout=output, stderr=output)

    def __enter__(self) -> Dev:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def wait_until_up(self) -> None:
        until(lambda: "Ctrl-C stops all of it." in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    @property
    def url(self) -> str:
        found: str = re.findall(r"Dagster UI  (\S+)", self.text())[0]
        return found

    def session(self) -> int:
        """The session in which everything of Dagster runs."""
        until(self._keepers)
        return self._keepers()[0]

    def _keepers(self) -> list[int]:
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in children if child.is_running() and "chronos_assets.cli.keeper" in " ".join(child.cmdline())]

    def text(self) -> str:
        return self.log.read_text()

    def ask(self, query: str) -> dict[str, Any]:
        """The answer of the UI's GraphQL."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query}, timeout=60).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


def until(condition: Any) -> None:
    """Wait for `condition`, within limits."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within time"
        time.sleep(0.25)


@pytest.fixture
def environment(cli_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    own = {"CHRONOS_EXPORTS_DIR": str(tmp_path / "exports"), "CHRONOS_MANIFEST_POLL_SECONDS": "2", "CHRONOS_DAGSTER_PORT": "3999"}
    return {**cli_environment, **own}


def test_dev_shows_the_lineage_follows_manifests_and_leaves_nothing(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """The UI knows the assets, a dropped manifest becomes a run that succeeds, a second `chronos dev` is refused; Ctrl-C ends all of it."""
    write_dataset(tmp_path / "exports", "dropped_1d_v1")
    with Dev(environment, tmp_path / "dev.log") as dev:
        dev.wait_until_up()
        session = dev.session()
        names = {tuple(node["assetKey"]["path"]) for node in dev.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]}
        assert names >= {("indicator_csv",), ("indicator_bars",), ("trading_simulations",)}
        until(lambda: [run["status"] for run in runs_of(dev, "dropped_1d_v1")] == ["SUCCESS"])
        assert {"key": "chronos/why", "value": "new dataset"} in runs_of(dev, "dropped_1d_v1")[0]["tags"]
        refused = subprocess.run(CHRONOS_DEV, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert refused.returncode == 1
        assert f"already runs for this home (home {settings.home}); found {dev.url}" in refused.stderr
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(PATIENCE_SECONDS) == 130
        assert session_members(session) == []
        assert "stopping the servers" not in dev.text()
    services.connect(settings, start=False)  # they ran before, so they still run


def test_nothing_of_dagster_outlives_a_killed_dev(environment: dict[str, str], tmp_path: Path) -> None:
    """Killed in the middle of its start, `chronos dev` leaves no process of Dagster running."""
    with Dev(environment, tmp_path / "dev.log") as dev:
        session = dev.session()
        until(lambda: len(session_members(session)) > 2)
        dev.process.kill()
        dev.process.wait()
        until(lambda: not session_members(session))


def runs_of(dev: Dev, slug: str) -> list[dict[str, Any]]:
    """Runs of a dataset, the newest first."""
    query = "{ runsOrError { ... on Runs { results { status tags { key value } } } } }"
    runs: list[dict[str, Any]] = dev.ask(query)["runsOrError"]["results"]
    return [run for run in runs if {"key": "dagster/partition", "value": slug} in run["tags"]]


def test_dev_takes_another_port_where_its_own_is_taken() -> None:
    """A taken port is no reason to fail: a free one is found."""
    import socket

    from chronos_assets.orchestration.instance import free_port

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) not in {port, 0}
    assert free_port("127.0.0.1", port) == port
