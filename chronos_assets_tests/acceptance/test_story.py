"""A trader puts manifests into `exports/` and does nothing else: each turn of that story on a running `chronos dev`, by its GraphQL.

The story goes on to what else `chronos dev` promises: its UI obeys its own page only, lost code comes back, and Ctrl-C leaves nothing.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus

from chronos_assets import services
from chronos_assets.cli.supervisor import session_members
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.nightly.night import quiet_night
from chronos_assets.orchestration.nightly.nightly_summary import materialization
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.bars_table import corrupt_middle_cell
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.dagster_data import bars, checksum, rewrite, write_dataset
from chronos_assets_tests.support.dev_process import CHRONOS_DEV, PATIENCE_SECONDS, Dev, runs_of, until

REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "chronos_assets"}
GROWING, REFUSING, NIGHTLY, BROKEN = "growing_1d_v1", "refusing_1d_v1", "nightly_1d_v1", "broken_1d_v1"
WRONG = "wrong_1d_v1"

TICK = (
    "query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) "
    "{ ... on Sensor { sensorState { ticks(limit: 1) { status skipReason } } } } }"
)
STOP = "query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState { id selectorId } } } }"
STOPPED = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
ASSETS = "{ assetNodes { assetKey { path } } }"
LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
PARTITIONS = '{ assetNodeOrError(assetKey: {path: ["indicator_bars"]}) { ... on AssetNode { partitionKeys } } }'
LAUNCH = (
    "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) "
    "{ __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"
)
RUN = "query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"
FAILURES = (
    "query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events "
    "{ ... on ExecutionStepFailureEvent { error { message stack } } } } } } }"
)
LAUNCH_ALL = (
    "mutation($p: [ExecutionParams!]!) { launchMultipleRuns(executionParamsList: $p) "
    "{ ... on LaunchMultipleRunsResult { launchMultipleRunsResult { __typename } } } }"
)
NIGHT = (
    '{ assetNodeOrError(assetKey: {path: ["night_summary"]}) { ... on AssetNode { assetMaterializations(limit: 5) { description '
    "metadataEntries { label ... on TextMetadataEntry { text } ... on TableMetadataEntry { table { records } } } } } } }"
)
PREVIEW = (
    "mutation($s: ScheduleSelector!, $t: Float) { scheduleDryRun(selectorData: $s, timestamp: $t) "
    "{ ... on DryRunInstigationTick { evaluationResult { skipReason runRequests { jobName tags { key value } } error { message } } } } }"
)


@pytest.fixture
def environment(cli_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    own = {"EXPORTS_DIR": str(tmp_path / "exports"), "MANIFEST_POLL_SECONDS": "2", "MANIFEST_SETTLE_SECONDS": "0.5", "DAGSTER_PORT": "3989"}
    return {**cli_environment, **{f"CHRONOS_{name}": value for name, value in own.items()}}


@pytest.fixture
def night_before(servers: Connections, settings: Settings) -> None:
    """Earlier tests on the same servers get a night of their own: a summary shows ten runs, and the story's have to be among them."""
    assert servers  # they run
    with open_instance(settings, captured_output=False) as instance:
        instance.report_runless_asset_event(materialization(quiet_night("before the story")))


@pytest.mark.usefixtures("night_before")
def test_the_whole_story(environment: dict[str, str], settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """Dropped in, grown, refreshed, corrupted, unreadable, deleted, a night asked for now: each is followed, or told in one sentence."""
    exports = tmp_path / "exports"
    growing = write_dataset(exports, GROWING, change=lambda manifest: manifest.update(on_change="grow"))
    refusing = write_dataset(exports, REFUSING)
    with Dev(environment, tmp_path / "dev.log") as dev:
        dev.wait_until_up()
        assert {tuple(node["assetKey"]["path"]) for node in dev.ask(ASSETS)["assetNodes"]} >= {
            ("indicator_csv",),
            ("indicator_bars",),
            ("trading_simulations",),
        }
        for slug in (GROWING, REFUSING):
            until(lambda slug=slug: outcomes(dev, slug) == [("SUCCESS", "new dataset")])

        append(growing)
        until(lambda: outcomes(dev, GROWING) == [("SUCCESS", "file changed"), ("SUCCESS", "new dataset")])
        assert (get_dataset(stores.postgres, GROWING).row_count, get_dataset(stores.postgres, GROWING).questdb_tag) == (310, GROWING)

        append(refusing)
        until(lambda: f"chronos manifest refresh {REFUSING}" in told(dev))
        run_program("manifest", "refresh", REFUSING, env=environment, check=True, timeout=PATIENCE_SECONDS)
        until(lambda: outcomes(dev, REFUSING) == [("SUCCESS", "manifest and file changed"), ("SUCCESS", "new dataset")])
        assert get_dataset(stores.postgres, REFUSING).row_count == 310

        (exports / f"{BROKEN}.yaml").write_text("dataset: [")
        until(lambda: f"{BROKEN}: " in told(dev))
        valid = launch(dev, "validate_dataset", {"dagster/partition": REFUSING})
        assert valid[:2] == ("SUCCESS", "")
        refusing.unlink()
        until(lambda: f"{REFUSING}: its manifest is gone" in told(dev))
        assert set(dev.ask(PARTITIONS)["assetNodeOrError"]["partitionKeys"]) >= {GROWING, REFUSING}

        state = dev.ask(STOP, s={**REPOSITORY, "sensorName": "manifest_sensor"})["sensorOrError"]["sensorState"]
        dev.ask(STOPPED, id=state["id"])
        corrupt_middle_cell(stores.questdb, get_dataset(stores.postgres, GROWING).questdb_tag, "FEAT_A")
        status, message, _ = launch(dev, "validate_dataset", {"dagster/partition": GROWING})
        assert status == "FAILURE"
        assert re.search(r"dataset growing_1d_v1 differs: .* \(bar 2010-06-05.*, FEAT_A: expected \S+, found \S+\)$", message), message
        another_page_commands_nothing(dev, valid[2])

        until(lambda: latest_tick(dev)["status"] != "STARTED")  # the last one that was under way has seen what it could see
        write_dataset(exports, NIGHTLY)
        wrong = write_dataset(exports, WRONG).with_suffix(".csv")
        wrong.write_text(wrong.read_text().replace("20100105", "2010010X"))
        rewrite(wrong.with_suffix(".yaml"), checksum=checksum(wrong))
        before = nights(dev)  # other tests had their nights on the same servers
        until(lambda: len(preview(dev)) == 2)  # their files are quiet
        asked_for = preview(dev)  # looking at a night leaves nothing behind
        asked = {tags["dagster/partition"]: tags["chronos/why"] for tags in asked_for}
        assert asked == {NIGHTLY: "nightly: new dataset", WRONG: "nightly: new dataset"}
        assert nights(dev) == before
        launch_night(dev, asked_for)
        until(lambda: asked_for[0]["chronos/night"] in nights(dev))
        assert ("SUCCESS", "nightly: new dataset") in outcomes(dev, NIGHTLY)
        assert ("FAILURE", "nightly: new dataset") in outcomes(dev, WRONG)
        check_summary(nights(dev)[asked_for[0]["chronos/night"]])

        there_is_one_dev_and_it_ends_whole(dev, environment, settings)
    services.connect(settings, start=False)  # they ran before, so they still run


def there_is_one_dev_and_it_ends_whole(dev: Dev, environment: dict[str, str], settings: Settings) -> None:
    """Code that was lost comes back, a second `chronos dev` is refused, and Ctrl-C ends every process of Dagster but not the servers."""
    session = dev.session()
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


def loaded(dev: Dev) -> str:
    """What the UI has of our code: a repository location, or an error."""
    [entry] = dev.ask(LOADED)["workspaceOrError"]["locationEntries"]
    found: str = entry["locationOrLoadError"]["__typename"]
    return found


def another_page_commands_nothing(dev: Dev, run_id: str) -> None:
    """A run survives what any web page could send; the same words from the own page delete it, and subscriptions work there."""
    delete = f'mutation {{ deleteRun(runId: "{run_id}") {{ __typename }} }}'
    graphql, own, foreign = f"{dev.url}/graphql", {"Origin": dev.url}, {"Origin": "http://evil.example"}
    refused = [
        requests.get(graphql, params={"query": delete}, timeout=600),
        requests.get(graphql, params={"query": delete}, headers=own, timeout=600),
        requests.post(graphql, json={"query": delete}, headers=foreign, timeout=600),
        requests.post(graphql, json={"query": delete}, headers={"Host": "evil.example"}, timeout=600),
        requests.post(graphql, params={"query": delete}, headers={"Content-Type": "text/plain"}, timeout=600),
    ]
    assert [answer.status_code for answer in refused] == [405, 405, 403, 421, 415]
    assert dev.ask(RUN, id=run_id)["runOrError"] == {"__typename": "Run", "status": "SUCCESS"}
    subscription = "subscription { locationStateChangeEvents { __typename } }"
    logs = f'subscription {{ pipelineRunLogs(runId: "{run_id}") {{ __typename }} }}'
    with pytest.raises(InvalidStatus):
        dev.subscribe(subscription, **foreign)
    assert dev.subscribe(logs, **own) == {"data": {"pipelineRunLogs": {"__typename": "PipelineRunLogsSubscriptionSuccess"}}}
    page = requests.get(dev.url, timeout=600)
    script = re.findall(r'src="(/[^"]+\.js)"', page.text)[0]
    assert (page.status_code, requests.get(dev.url + script, headers=own, timeout=600).status_code) == (200, 200)
    assert requests.post(graphql, json={"query": delete}, headers=own, timeout=600).json()["data"]["deleteRun"] == {
        "__typename": "DeletePipelineRunSuccess"
    }
    assert dev.ask(RUN, id=run_id)["runOrError"] == {"__typename": "RunNotFoundError"}


def check_summary(night: dict[str, Any]) -> None:
    """The night's summary says what the story's datasets did, by day and by night, and what failed and why."""
    shown = {entry["label"]: entry for entry in night["metadataEntries"]}
    assert re.fullmatch(r"\d+ of \d+ datasets done, .* rows added, .* trained, .* reused, \d+ failed, 1 not taken", night["description"])
    failed = {row["dataset"]: row for row in map(json.loads, shown["failures"]["table"]["records"])}
    steps = {GROWING: "validate_stores", WRONG: "normalized_bars", BROKEN: "not taken"}
    assert {slug: failed[slug]["step"] for slug in steps} == steps
    assert "2010010X" in failed[WRONG]["reason"]
    # three datasets and a validation by day, two by night
    ours = [row for row in map(json.loads, shown["runs"]["table"]["records"]) if row["dataset"] in {GROWING, REFUSING, NIGHTLY, WRONG}]
    added = {name: sum(row[name] for row in ours) for name in ("rows_written", "folds_trained", "folds_reused")}
    assert added == {"rows_written": 920, "folds_trained": 18, "folds_reused": 12}
    rows = {(row["dataset"], row["why"]): row for row in map(json.loads, shown["runs"]["table"]["records"])}
    assert rows[NIGHTLY, "nightly: new dataset"].items() >= {"status": "success", "rows_written": 300, "folds_trained": 6}.items()


def append(manifest: Path) -> None:
    """Ten bars more in the file, at once."""
    source, temporary = manifest.with_suffix(".csv"), manifest.with_suffix(".part")
    temporary.write_bytes(bars(310).write_csv().encode())
    temporary.replace(source)


def outcomes(dev: Dev, slug: str) -> list[tuple[str, str]]:
    """(status, why) of a dataset's runs, the newest first."""
    return [(run["status"], next(t["value"] for t in run["tags"] if t["key"] == "chronos/why")) for run in runs_of(dev, slug)]


def told(dev: Dev) -> str:
    """What the sensor's latest tick says."""
    return latest_tick(dev)["skipReason"] or ""


def latest_tick(dev: Dev) -> dict[str, Any]:
    """What is known of the sensor's latest tick."""
    ticks: list[dict[str, Any]] = dev.ask(TICK, s={**REPOSITORY, "sensorName": "manifest_sensor"})["sensorOrError"]["sensorState"]["ticks"]
    return ticks[0] if ticks else {"status": "", "skipReason": ""}


def launch(dev: Dev, job: str, tags: dict[str, str]) -> tuple[str, str, str]:
    """Launch a run as the UI does and wait for its end: status, the error of the failed step, run id."""
    metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
    parameters = {"selector": {**REPOSITORY, "pipelineName": job}, "runConfigData": {}, "executionMetadata": metadata}
    launched = dev.ask(LAUNCH, p=parameters)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    until(lambda: dev.ask(RUN, id=run_id)["runOrError"]["status"] in ("SUCCESS", "FAILURE", "CANCELED"))
    events = dev.ask(FAILURES, id=run_id)["runOrError"]["eventConnection"]["events"]
    errors = [event["error"] for event in events if event.get("error")]
    assert not any(error["stack"] for error in errors)  # the message, and no traceback of ours
    return dev.ask(RUN, id=run_id)["runOrError"]["status"], "".join(error["message"] for error in errors), run_id


def preview(dev: Dev) -> list[dict[str, str]]:
    """The tags of the runs that a night would ask for now: what the UI's "Preview tick result" shows."""
    selector = {**REPOSITORY, "scheduleName": "nightly"}
    result = dev.ask(PREVIEW, s=selector, t=time.time())["scheduleDryRun"]["evaluationResult"]
    assert result["error"] is None, result
    return [{tag["key"]: tag["value"] for tag in request["tags"]} for request in result["runRequests"] or []]


def nights(dev: Dev) -> dict[str, dict[str, Any]]:
    """The newest summaries by the name of their night."""
    found = dev.ask(NIGHT)["assetNodeOrError"]["assetMaterializations"]
    return {next(entry["text"] for entry in one["metadataEntries"] if entry["label"] == "night"): one for one in found}


def launch_night(dev: Dev, asked_for: list[dict[str, str]]) -> None:
    """Launch them with the tags that the UI's "Launch all" gives."""
    launched = [
        {
            "selector": {**REPOSITORY, "jobName": "whole_way", "assetSelection": [], "assetCheckSelection": []},
            "runConfigData": "{}",
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in [*tags.items(), ("dagster/schedule_name", "nightly")]]},
        }
        for tags in asked_for
    ]
    results = dev.ask(LAUNCH_ALL, p=launched)["launchMultipleRuns"]["launchMultipleRunsResult"]
    assert [result["__typename"] for result in results] == ["LaunchRunSuccess"] * len(asked_for), results
