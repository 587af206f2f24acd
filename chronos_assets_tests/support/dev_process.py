"""`chronos dev` as a process of its own, and what its UI answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import requests
from websockets.sync.client import connect
from websockets.typing import Subprotocol

CHRONOS_DEV = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "dev"]
PATIENCE_SECONDS = 600  # for machines that do much else at the same time


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
        return [child.pid for child in children if child.is_running() and "chronos_assets.cli.supervisor" in " ".join(child.cmdline())]

    def text(self) -> str:
        return self.log.read_text()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer of the UI's GraphQL."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=600).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def subscribe(self, query: str, **headers: str) -> dict[str, Any]:
        """The first answer to a subscription, as a browser with these headers asks for it."""
        address = self.url.replace("http://", "ws://") + "/graphql"
        with connect(address, subprotocols=[Subprotocol("graphql-ws")], additional_headers=headers, proxy=None) as socket:
            socket.send(json.dumps({"type": "connection_init", "payload": {}}))
            socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": query}}))
            while (message := json.loads(socket.recv(timeout=600)))["type"] != "data":
                assert message["type"] in ("connection_ack", "ka"), message
        return dict(message["payload"])


def until(condition: Any) -> None:
    """Wait for `condition`, within limits."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within time"
        time.sleep(0.25)


def runs_of(dev: Dev, slug: str) -> list[dict[str, Any]]:
    """Runs of a dataset, the newest first."""
    query = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
    runs: list[dict[str, Any]] = dev.ask(query)["runsOrError"]["results"]
    return [run for run in runs if {"key": "dagster/partition", "value": slug} in run["tags"]]
