"""Feature selections requested over HTTP, by programs and by the form: refusals, launches, repeats, cancels, and what listeners hear."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dagster import validate_run_config

from chronos_assets.errors import ProfileError
from chronos_assets.orchestration.jobs.lfs import lfs_job
from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.pipeline.selection.profiles import lfs_setup
from chronos_assets.pipeline.selection.run import preview, run_request
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.lfs import list_lfs
from chronos_assets.storage.manifest_files import load_manifest
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.support.dagster_data import write_dataset
from chronos_assets_tests.support.launching_dagster import LaunchingDagster, launching_dagster
from chronos_assets_tests.support.web_process import Web, running

SLUG = "webselected_1d_v1"
IN_MANIFEST: dict[str, Any] = {"target": "TGT_A", "max_kept": 2, "iterations": 1, "permutations": 3}
ROUTE = "/api/lfs/runs"


@pytest.fixture(scope="module")
def configured(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings.model_copy(update={"exports_dir": tmp_path_factory.mktemp("exports"), "dagster_url": "http://127.0.0.1:9"})


@pytest.fixture(scope="module")
def filled(servers: Connections, configured: Settings) -> Stores:
    """Stores with a published dataset whose manifest has an lfs profile, and that profile's selection."""
    stores = open_stores(servers, configured)
    path = write_dataset(configured.exports_dir, SLUG, rows=220, change=lambda manifest: manifest.update(lfs={"default": IN_MANIFEST}))
    loaded = load_manifest(path)
    export_dataset(loaded, stores, configured)
    run_request(lfs_setup(loaded, SLUG, {}).plan(SLUG, stores), stores, requested_by="test")
    return stores


@pytest.fixture
def alone(servers: Connections, configured: Settings, filled: Stores) -> Iterator[Web]:
    """The application while Dagster is down."""
    with running(configured, lambda: open_reading(servers, configured)) as web:
        yield web


@pytest.fixture
def dagster() -> Iterator[LaunchingDagster]:
    with launching_dagster() as dagster:
        yield dagster


@pytest.fixture
def web(servers: Connections, configured: Settings, filled: Stores, dagster: LaunchingDagster) -> Iterator[Web]:
    """The application beside a server that launches."""
    with running(configured.model_copy(update={"dagster_url": dagster.url}), lambda: open_reading(servers, configured)) as web:
        yield web


def test_without_dagster_a_request_changes_nothing_and_names_the_command(alone: Web, filled: Stores) -> None:
    """503 with the command that makes the same selection; no row is left. A complete request needs no Dagster: 200."""
    before = list_lfs(filled.postgres, SLUG)
    refused = alone.ask(ROUTE, "POST", json={"dataset": SLUG, "features": ["FEAT_A", "!FEAT_B"], "start_row": 5, "seed": 11})
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "dagster_unreachable", "5")
    command = refused.json()["hint"].split("`")[1]
    assert shlex.split(command)[:5] == ["chronos", "lfs", SLUG, "--target", "TGT_A"]
    for words in ("--features FEAT_A --features '!FEAT_B'", "--rows 5:120", "--seed 11", "--permutations 3"):
        assert words in command
    assert list_lfs(filled.postgres, SLUG) == before
    done = alone.ask(ROUTE, "POST", json={"dataset": SLUG})
    assert (done.status_code, done.json()["run"]["status"]) == (200, "completed")
    assert done.headers["Location"] == f"{ROUTE}/{before[0].lfs_id}" == done.json()["links"]["self"]


@pytest.mark.parametrize(
    ("order", "status", "words"),
    [
        ({}, 422, "'dataset'"),
        ({"dataset": "nowhere_1d_v1"}, 404, "nowhere_1d_v1"),
        ({"dataset": SLUG, "permutatons": 5}, 422, "Did you mean 'permutations'?"),
        ({"dataset": SLUG, "max_kept": "three"}, 422, "max_kept"),
        ({"dataset": SLUG, "target": "TGT_AA"}, 422, "TGT_A"),
        ({"dataset": SLUG, "features": ["FEET_A"]}, 422, "FEAT_A"),
        ({"dataset": SLUG, "end_row": 9_999}, 422, "end_row"),
        ({"dataset": SLUG, "start_row": 9, "end_row": 3}, 422, "start_row"),
    ],
)
def test_a_request_that_cannot_be_used_names_the_key(alone: Web, order: dict[str, Any], status: int, words: str) -> None:
    """The problem names the key, or the nearest known name."""
    refused = alone.ask(ROUTE, "POST", json=order)
    assert refused.status_code == status, refused.text
    assert words in refused.json()["message"], refused.text


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"permutations": 200}, ("lfs_too_many_permutations", "permutations <= 119 (120 cases, horizon 1)")),
        ({"end_row": 55, "bins": 3}, ("lfs_class_too_small", "at least 20 in each")),
        ({"end_row": 40}, ("lfs_too_few_cases", "at least 50")),
    ],
)
def test_what_the_run_would_fail_of_is_refused_at_once(
    web: Web, filled: Stores, dagster: LaunchingDagster, order: dict[str, Any], said: tuple[str, str]
) -> None:
    """422 with what is possible, by the check that the command uses; no row, no run of Dagster. The form says the same."""
    before, launched = list_lfs(filled.postgres, SLUG), len(dagster.launched)
    planned = lfs_setup(load_manifest(filled.settings.exports_dir / f"{SLUG}.yaml"), SLUG, order).plan(SLUG, filled)
    with pytest.raises(ProfileError) as caught:
        preview(planned, filled)
    refused = web.ask(ROUTE, "POST", json={"dataset": SLUG, **order})
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, "application/problem+json")
    assert (refused.json()["code"], refused.json()["expected"]) == (caught.value.code, caught.value.expected) == said
    form = web.send_form("/lfs/new", {"dataset": SLUG, **{name: str(value) for name, value in order.items()}})
    assert (form.status_code, caught.value.message in form.text) == (422, True)
    assert (list_lfs(filled.postgres, SLUG), len(dagster.launched)) == (before, launched)


def test_a_body_that_is_no_json_and_a_foreign_page_are_refused(alone: Web) -> None:
    """415 for a form, 422 for text that is no object, 403 for a page of another site and for a form that no page of ours made."""
    assert alone.ask(ROUTE, "POST", data={"dataset": SLUG}).status_code == 415
    for body in ("[1]", "{", "[" * 100_000):
        answer = alone.ask(ROUTE, "POST", data=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")
    for path in (ROUTE, "/lfs/new"):
        assert alone.ask(path, "POST", json={"dataset": SLUG}, headers={"Origin": "http://evil.example"}).status_code == 403
    for form in ({"dataset": SLUG}, {"dataset": SLUG, "csrf": "guessed"}):
        answer = alone.ask("/lfs/new", "POST", data=form)
        assert (answer.status_code, "Open the page again" in answer.text) == (403, True)
    assert alone.ask(f"{ROUTE}/00000000-0000-5000-8000-000000000000/cancel", "POST", data={"a": "b"}).status_code == 415


def test_equal_requests_at_once_are_one_run_that_can_be_cancelled(web: Web, filled: Stores, dagster: LaunchingDagster) -> None:
    """Twenty equal requests launch once, with a configuration that the job takes; cancelling ends the waiting run and tells listeners."""
    order = {"dataset": SLUG, "permutations": 99, "end_row": "all"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: web.ask(ROUTE, "POST", json=order, headers={"Idempotency-Key": "mine"}), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.headers["Idempotency-Key"] for answer in answers} == {"mine"}
    (place,) = {answer.headers["Location"] for answer in answers}
    (launched,) = dagster.launched
    run = web.get(place)["run"]
    assert (run["status"], run["requested_by"]) == ("queued", "api")
    assert answers[0].json()["links"]["dagster"] == f"{dagster.url}/runs/{run['dagster_run_id']}"
    validate_run_config(lfs_job(), launched["runConfigData"])
    config = launched["runConfigData"]["ops"]["run_selection"]["config"]
    assert (config["lfs_id"], config["parameters"]["permutations"]) == (run["lfs_id"], 99)
    tags = {tag["key"]: tag["value"] for tag in launched["executionMetadata"]["tags"]}
    assert tags == {"dagster/partition": SLUG, "chronos/lfs_id": run["lfs_id"]}

    cancelled = web.ask(f"{place}/cancel", "POST")
    assert (cancelled.status_code, cancelled.json()["run"]["status"]) == (202, "cancelled")
    assert dagster.ended == [run["dagster_run_id"]]
    with web.ask("/api/events", params={"topics": f"lfs:{run['lfs_id']}"}, stream=True) as stream:
        data = next(json.loads(line[6:]) for line in stream.iter_lines() if line.startswith(b"data: "))
    assert (data["topic"], data["status"], data["permutations_done"]) == (f"lfs:{run['lfs_id']}", "cancelled", None)
    assert web.ask(f"{ROUTE}/00000000-0000-5000-8000-000000000000/cancel", "POST").status_code == 404


def test_parameters_that_differ_from_the_manifest_reach_the_job(web: Web, filled: Stores, dagster: LaunchingDagster) -> None:
    """A parameter asked for at its default, where the manifest has another value, makes the same selection in the job as here."""
    run = web.ask(ROUTE, "POST", json={"dataset": SLUG, "max_kept": 3, "seed": 5}).json()["run"]
    config = dagster.launched[-1]["runConfigData"]["ops"]["run_selection"]["config"]
    loaded = load_manifest(filled.settings.exports_dir / f"{SLUG}.yaml")
    assert lfs_setup(loaded, SLUG, config["parameters"]).plan(SLUG, filled).lfs_id == run["lfs_id"]
    web.ask(f"{ROUTE}/{run['lfs_id']}/cancel", "POST")


def test_the_page_of_a_selection_that_waits_cancels_it(web: Web, filled: Stores, dagster: LaunchingDagster) -> None:
    """The button is there while the selection waits, ends its run of Dagster, and is gone afterwards."""
    run = web.ask(ROUTE, "POST", json={"dataset": SLUG, "seed": 23}).json()["run"]
    action = f"/lfs/{run['lfs_id']}/cancel"
    assert f'action="{action}"' in web.ask(f"/lfs/{run['lfs_id']}").text
    after = web.send_form(action, {})
    assert (after.status_code, after.url) == (200, f"{web.url}/lfs/{run['lfs_id']}")
    assert f'action="{action}"' not in after.text
    assert dagster.ended == [run["dagster_run_id"]]


def test_the_page_of_the_api_shows_every_route(alone: Web) -> None:
    """Each path and method of the OpenAPI document is on the page, with the keys of a request's body."""
    text = alone.ask("/api/docs").text
    for path, methods in alone.get("/api/openapi.json")["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in text
    assert "beta_trials" in text
    assert "list of LfsRun (application/json)" in text


def test_the_form_says_what_is_wrong_or_which_command_to_use(alone: Web, filled: Stores) -> None:
    """A wrong value and a missing Dagster are told above the form, which keeps what was typed; a complete request leads to its page."""
    assert f"<option selected>{SLUG}</option>" in alone.ask(f"/lfs/new?dataset={SLUG}").text
    wrong = alone.send_form("/lfs/new", {"dataset": SLUG, "max_kept": "three"})
    assert wrong.status_code == 422
    assert "max_kept" in wrong.text
    assert 'value="three"' in wrong.text
    down = alone.send_form("/lfs/new", {"dataset": SLUG, "features": "FEAT_A FEAT_B", "seed": "31", "target": ""})
    assert down.status_code == 503
    assert "--features FEAT_A --features FEAT_B" in down.text
    done = alone.send_form("/lfs/new", {"dataset": SLUG, "permutation": ""})
    assert (done.status_code, "/lfs/new" in done.url) == (200, False)
