"""What `docs/API.md` promises: its routes, its examples as they stand there, and numbers that are those of `--json` and of SQL."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.support.browser import browser, watched
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.trained_market import train
from chronos_assets_tests.support.web_process import Web, running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "API.md"
SLUG = "promised_1d_v1"
PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})
# Texts that end up in a path, in SQL, in a format or in a header if somebody is careless.
HOSTILE = (
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "'; DROP TABLE walkforward_runs; --",
    "' OR '1'='1",
    "1) UNION SELECT passwd FROM pg_shadow --",
    "%(dataset)s {table} ${jndi:x}",
    "a\r\nSet-Cookie: b=c",
    "\u202e\ud7ff𝔘" * 20,
    "-1e999",
    "9" * 400,
)
# What an answer must not hold, whatever was asked.
TELLTALE = ("Traceback", "psycopg", "SELECT ", "/home/", "/tmp/", "site-packages", "root:x:0")


@pytest.fixture(scope="module")
def made(servers: Connections, settings: Settings) -> tuple[str, str]:
    """A run and a simulation of it."""
    stores = open_stores(servers, settings)
    run_id = train(stores, SLUG)
    return run_id, simulate_run(run_id, PROFILE, stores)[0].simulation_id


@pytest.fixture(scope="module")
def another_site() -> Iterator[str]:
    """The origin of an empty page of somebody else's server: where a React client comes from."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>client</title>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, made: tuple[str, str], another_site: str) -> Iterator[Web]:
    """The application, which lets the other site's page read it."""
    named = settings.model_copy(update={"api_cors_origins": (another_site,)})
    with running(named, lambda: open_reading(servers, named)) as web:
        yield web


def examples(language: str) -> list[str]:
    """The examples of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def run_example(command: list[str], web: Web) -> str:
    """What an example prints; it must end well."""
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, env={**direct, "API": web.url}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shell_examples_run(web: Web) -> None:
    """Each curl line prints what the page says."""
    printed = [run_example(["sh", "-c", block], web) for block in examples("sh") if "curl" in block]
    assert len(printed) == 2
    rows = json.loads(printed[0])
    assert 1 <= len(rows) <= 3
    assert set(rows[0]) == {"run_id", "status", "folds_present"}
    assert json.loads(printed[1])["hint"] == "Did you mean 'limit'?"


def test_the_python_examples_run(web: Web) -> None:
    """Each block runs as it stands after `API` is set, and ends with what it says."""
    shown = ("print(len(runs))", "print(trades.height)")
    blocks = examples("python")
    assert len(blocks) == len(shown)
    for block, show in zip(blocks, shown, strict=True):
        program = f'import os\nAPI = os.environ["API"]\n{block}\n{show}'
        assert int(run_example([sys.executable, "-c", program], web)) > 0


def test_the_browser_example_runs_on_a_page_of_another_site(web: Web, made: tuple[str, str], another_site: str) -> None:
    """`fetch` with a JSON content type is preflighted and answered; a problem's message arrives as the error."""
    (block,) = examples("js")
    program = f"async ([API, id]) => {{ {block} return points; }}"
    refused = f"async (given) => {{ try {{ await ({program})(given) }} catch (e) {{ return e.message }} }}"
    with browser() as chrome, watched(chrome, another_site) as watch:
        watch.open("/")
        points = watch.page.evaluate(program, [web.url, made[1]])
        said = watch.page.evaluate(refused, [web.url, "none"])
    assert points == web.get(f"/api/tradesim/runs/{made[1]}/equity", points=2000)
    assert said == web.ask("/api/tradesim/runs/none/equity").json()["message"]


def test_the_page_names_every_route_and_no_other(web: Web) -> None:
    """The table of routes is that of the OpenAPI document; older names and the description itself are told in the text."""
    named, base = set(), ""
    for cell in re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for text in re.findall(r"`(?:POST )?(/api/[^`?]*|\.\.\./[^`?]*)[^`]*`", cell):
            base = text if text.startswith("/") else base.rpartition("/")[0] + text.removeprefix("...")
            named.add(re.sub(r"\{\w+\}", "{}", base))
    described = {re.sub(r"\{\w+\}", "{}", path) for path in web.get("/api/openapi.json")["paths"] if "/indicators/" not in path}
    assert named == described


def test_api_command_line_and_tables_agree_field_by_field(
    web: Web, made: tuple[str, str], stores: Stores, cli_environment: dict[str, str]
) -> None:
    """A run, its folds, a simulation, its buckets and a trade are the same numbers over HTTP, by `--json`, and by SQL."""
    run_id, simulation_id = made

    def printed(*arguments: str) -> Any:
        return json.loads(run_program(*arguments, "--json", env=cli_environment, check=True).stdout)

    def stored(table: str, condition: str) -> list[dict[str, Any]]:
        statement = f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {condition}"
        with stores.postgres.connection() as connection:
            return [row["row"] for row in connection.execute(statement).fetchall()]  # type: ignore[arg-type]

    answered = web.get(f"/api/walkforward/runs/{run_id}")
    shown = printed("runs", "show", run_id)
    metrics = {name: value for name, value in shown["summary_metrics"].items() if name != "feature_importance"}
    assert {**shown, "summary_metrics": metrics} == {**answered["run"], "space": shown["space"]}
    listed = web.get("/api/walkforward/runs", dataset=SLUG)
    assert [run["run_id"] for run in printed("runs", "list", SLUG)] == [run["run_id"] for run in listed]
    (dataset,) = [one for one in printed("datasets", "list")["datasets"] if one["dataset"] == SLUG]
    whole = web.get(f"/api/datasets/{SLUG}")
    for ours, theirs in {"dataset": "dataset_id", "rows": "row_count", "first_bar": "first_bar_ts", "last_bar": "last_bar_ts"}.items():
        assert dataset[ours] == whole[theirs]
    for name in ("symbol", "granularity", "source", "questdb_tag", "revision", "checksum", "content_hash", "updated_at"):
        assert dataset[name] == whole[name]
    assert (dataset["features"], len(dataset["targets"])) == (whole["features"], whole["targets"])
    agree(shown, stored("walkforward_runs", f"run_id = '{run_id}'")[0])
    folds = sorted(stored("walkforward_folds", f"run_id = '{run_id}'"), key=lambda fold: fold["fold_number"])
    for fold, row in zip(answered["folds"], folds, strict=True):
        agree(fold, row)
        one = web.get(f"/api/walkforward/runs/{run_id}/folds/{row['fold_number']}")
        assert {name: one[name] for name in fold} == fold
    simulated = web.get(f"/api/tradesim/runs/{simulation_id}")
    agree(simulated["run"], stored("simulation_runs", f"simulation_id = '{simulation_id}'")[0])
    for bucket, row in zip(
        simulated["buckets"], stored("simulation_trade_buckets", f"simulation_id = '{simulation_id}' ORDER BY 1"), strict=True
    ):
        agree(bucket, row)
    again = printed("simulate", run_id, "--mode", "dual", "--set", "statistics.bootstraps=40", "--set", "statistics.permutations=40")
    (outcome,) = again["simulations"]
    assert (outcome["simulation_id"], outcome["reused"]) == (simulation_id, True)
    assert outcome["summary_metrics"] == simulated["run"]["summary_metrics"]
    assert outcome["deflated_sharpe"] == web.get(f"/api/tradesim/runs/{simulation_id}/judgement")["deflated_sharpe"]
    assert printed("trace", f"{simulation_id}/1") == web.get(f"/api/tradesim/runs/{simulation_id}/trades/1")


def agree(document: dict[str, Any], row: dict[str, Any]) -> None:
    """Every column of the row that the document has holds the same value; times are the same moments."""
    common = row.keys() & document.keys()
    assert len(common) >= 6
    for name in common:
        found, expected = document[name], row[name]
        if name.endswith(("_at", "_ts")) and expected is not None:
            found, expected = moment(found), moment(expected)
        if name == "summary_metrics" and "feature_importance" not in found:
            expected = {key: value for key, value in expected.items() if key != "feature_importance"}
        assert found == expected, name


def moment(text: str) -> datetime:
    """A time with its offset."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_hostile_texts_reach_no_store_and_no_file(web: Web, made: tuple[str, str], stores: Stores) -> None:
    """Paths, SQL and formats in every parameter of every route are answered as what they are: no 5xx, nothing told, nothing changed."""
    ids = {
        "dataset": SLUG,
        "run_id": made[0],
        "simulation_id": made[1],
        "fold_number": "1",
        "trade_no": "1",
        "lfs_id": made[0],
        "sweep_id": made[0],
        "model_id": made[0],
    }
    before = counts(stores)
    asked = 0
    for path, methods in web.get("/api/openapi.json")["paths"].items():
        if path == "/api/events":
            continue
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                for text in HOSTILE:
                    answer = hostile(web, (method.upper(), path), ids, parameter, text)
                    assert answer.status_code < 500, (path, parameter["name"], text, answer.text[:300])
                    echoed = answer.text.replace(text, "").replace(json.dumps(text)[1:-1], "")
                    assert not [word for word in TELLTALE if word in echoed and word not in text], (path, parameter["name"], echoed[:300])
                    assert "Set-Cookie" not in answer.headers
                    asked += 1
    assert asked > 400
    assert counts(stores) == before


def hostile(web: Web, route: tuple[str, str], ids: dict[str, str], parameter: dict[str, Any], text: str) -> requests.Response:
    """The answer to a request in which one parameter is `text`."""
    method, path = route
    values, query = dict(ids), {"runs": f"{ids['run_id']},{ids['lfs_id']}"} if path.endswith("/compare") else {}
    if parameter["in"] == "path":
        values[parameter["name"]] = quote(text, safe="")
    else:
        query[parameter["name"]] = text
    return web.ask(re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path), method, params=query, allow_redirects=False)


def counts(stores: Stores) -> list[int]:
    """Rows of every table of the registry."""
    tables = (
        "indicator_datasets",
        "walkforward_runs",
        "walkforward_folds",
        "simulation_runs",
        "simulation_trade_buckets",
        "lfs_runs",
        "sweeps",
        "models",
        "model_aliases",
    )
    with stores.postgres.connection() as connection:
        return [connection.execute(f"SELECT count(*) AS n FROM {table}").fetchall()[0]["n"] for table in tables]  # type: ignore[arg-type]
