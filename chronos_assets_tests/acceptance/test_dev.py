"""`chronos dev` as a user runs it: it comes up, shows the lineage, and leaves nothing behind, however it ends."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests
from websockets.exceptions import InvalidStatus

from chronos_assets import services
from chronos_assets.cli.supervisor import session_members
from chronos_assets.settings import Settings
from chronos_assets_tests.support.dagster_data import write_dataset
from chronos_assets_tests.support.dev_process import CHRONOS_DEV, PATIENCE_SECONDS, Dev, runs_of, until


@pytest.fixture
def environment(cli_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    own = {"CHRONOS_EXPORTS_DIR": str(tmp_path / "exports"), "CHRONOS_MANIFEST_POLL_SECONDS": "2", "CHRONOS_DAGSTER_PORT": "3999"}
    return {**cli_environment, **own}


def test_dev_shows_the_lineage_follows_manifests_and_leaves_nothing(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """The UI knows the assets and obeys only its own page, a dropped manifest runs, lost code comes back; Ctrl-C ends it."""
    write_dataset(tmp_path / "exports", "dropped_1d_v1")
    with Dev(environment, tmp_path / "dev.log") as dev:
        dev.wait_until_up()
        session = dev.session()
        names = {tuple(node["assetKey"]["path"]) for node in dev.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]}
        assert names >= {("indicator_csv",), ("indicator_bars",), ("trading_simulations",)}
        until(lambda: [run["status"] for run in runs_of(dev, "dropped_1d_v1")] == ["SUCCESS"])
        assert {"key": "chronos/why", "value": "new dataset"} in runs_of(dev, "dropped_1d_v1")[0]["tags"]
        another_page_commands_nothing(dev)
        [code] = [p for p in session_members(session) if "dagster api grpc" in " ".join(p.cmdline())]
        code.kill()
        until(lambda: loaded(dev) == "PythonError")
        until(lambda: loaded(dev) == "RepositoryLocation")
        refused = subprocess.run(CHRONOS_DEV, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert refused.returncode == 1
        assert f"already runs for this home (home {settings.home}); found {dev.url}" in refused.stderr
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(PATIENCE_SECONDS) == 130
        assert session_members(session) == []
        assert "stopping the servers" not in dev.text()
    services.connect(settings, start=False)  # they ran before, so they still run


def loaded(dev: Dev) -> str:
    """What the UI has of our code: a repository location, or an error."""
    answer = dev.ask("{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }")
    [entry] = answer["workspaceOrError"]["locationEntries"]
    found: str = entry["locationOrLoadError"]["__typename"]
    return found


def test_nothing_of_dagster_outlives_a_killed_dev(environment: dict[str, str], tmp_path: Path) -> None:
    """Killed in the middle of its start, `chronos dev` leaves no process of Dagster running."""
    with Dev(environment, tmp_path / "dev.log") as dev:
        session = dev.session()
        until(lambda: len(session_members(session)) > 2)
        dev.process.kill()
        dev.process.wait()
        until(lambda: not session_members(session))


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


def another_page_commands_nothing(dev: Dev) -> None:
    """A run survives what any web page could send; the same words from the own page delete it, and subscriptions work there."""
    [run] = runs_of(dev, "dropped_1d_v1")
    delete = f'mutation {{ deleteRun(runId: "{run["runId"]}") {{ __typename }} }}'
    graphql, own, foreign = f"{dev.url}/graphql", {"Origin": dev.url}, {"Origin": "http://evil.example"}
    refused = [
        requests.get(graphql, params={"query": delete}, timeout=600),
        requests.get(graphql, params={"query": delete}, headers=own, timeout=600),
        requests.post(graphql, json={"query": delete}, headers=foreign, timeout=600),
        requests.post(graphql, json={"query": delete}, headers={"Host": "evil.example"}, timeout=600),
        requests.post(graphql, params={"query": delete}, headers={"Content-Type": "text/plain"}, timeout=600),
    ]
    assert [answer.status_code for answer in refused] == [405, 405, 403, 421, 415]
    assert len(runs_of(dev, "dropped_1d_v1")) == 1
    subscription = "subscription { locationStateChangeEvents { __typename } }"
    logs = f'subscription {{ pipelineRunLogs(runId: "{run["runId"]}") {{ __typename }} }}'
    with pytest.raises(InvalidStatus):
        dev.subscribe(subscription, **foreign)
    assert dev.subscribe(logs, **own) == {"data": {"pipelineRunLogs": {"__typename": "PipelineRunLogsSubscriptionSuccess"}}}
    page = requests.get(dev.url, timeout=600)
    script = re.findall(r'src="(/[^"]+\.js)"', page.text)[0]
    assert (page.status_code, requests.get(dev.url + script, headers=own, timeout=600).status_code) == (200, 200)
    assert requests.post(graphql, json={"query": delete}, headers=own, timeout=600).json()["data"]["deleteRun"] == {
        "__typename": "DeletePipelineRunSuccess"
    }
    assert runs_of(dev, "dropped_1d_v1") == []
