"""The HTTP API on real servers: fields, pages, problems, caching, and who may ask."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.trained_market import train
from chronos_assets_tests.web_process import Web, running

PROFILE = SimulationProfile.model_validate({"modes": ["long", "dual"], "statistics": {"bootstraps": 40, "permutations": 40}})
SLUG = "webmarket_1d_v1"
# What the existing React client reads, by route; `?` marks what it takes as optional.
RUN_FIELDS = (
    "run_id dataset_id target_column feature_columns hyperparameters walk_config status requested_by? started_at? completed_at?"
    " duration_ms? summary_metrics created_at"
)
FOLD_FIELDS = (
    "run_id fold_number train_start_idx train_end_idx test_start_idx test_end_idx samples_train samples_test best_iteration? best_score?"
    " thresholds metrics"
)
SIMULATION_FIELDS = (
    "simulation_id run_id dataset_id mode config status summary_metrics questdb_namespace started_at? completed_at? created_at"
)
BUCKET_FIELDS = "simulation_id side trade_count win_count profit_factor? avg_return_pct? max_drawdown_pct? notes?"
DATASET_FIELDS = "dataset_id symbol granularity source questdb_tag row_count first_bar_ts last_bar_ts created_at"


@pytest.fixture(scope="module")
def market(servers: Connections, settings: Settings) -> tuple[str, list[str]]:
    """A dataset with one run and two simulations: its run_id and the simulations' ids."""
    from chronos_assets.storage.stores import open_stores

    stores = open_stores(servers, settings)
    run_id = train(stores, SLUG)
    return run_id, [one.simulation_id for one in simulate_run(run_id, PROFILE, stores)]


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, market: tuple[str, list[str]]) -> Iterator[Web]:
    """The application on the servers of this run."""
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


def has_fields(document: dict[str, Any], names: str) -> None:
    """Every field is there, and none but the optional ones is null."""
    for name in names.split():
        assert name.removesuffix("?") in document, (name, document)
        assert name.endswith("?") or document[name] is not None, (name, document)


def test_the_existing_client_finds_every_field(web: Web, market: tuple[str, list[str]]) -> None:
    """Bare arrays and `{run, folds}`, `{run, buckets}`, with the names that the React client reads; JSONB arrives as objects."""
    run_id, (simulation_id, _) = market
    for path in ("/api/indicators/datasets", "/api/datasets"):
        (dataset,) = [one for one in web.get(path) if one["dataset_id"] == SLUG]
        has_fields(dataset, DATASET_FIELDS)
    has_fields(web.get(f"/api/indicators/datasets/{SLUG}"), DATASET_FIELDS)
    (run,) = web.get("/api/walkforward/runs", dataset=SLUG)
    whole = web.get(f"/api/walkforward/runs/{run_id}")
    for one in (run, whole["run"]):
        has_fields(one, RUN_FIELDS)
        assert isinstance(one["walk_config"], dict)
        assert "feature_importance" not in one["summary_metrics"]
    assert len(whole["folds"]) == run["folds_present"] == run["folds_planned"] > 3
    for fold in whole["folds"]:
        has_fields(fold, FOLD_FIELDS)
    for one in (*web.get("/api/tradesim/runs", run=run_id), web.get(f"/api/tradesim/runs/{simulation_id}")["run"]):
        has_fields(one, SIMULATION_FIELDS)
    buckets = web.get(f"/api/tradesim/runs/{simulation_id}")["buckets"]
    assert [bucket["side"] for bucket in buckets] == ["long", "short"]
    for bucket in buckets:
        has_fields(bucket, BUCKET_FIELDS)


def test_the_numbers_are_those_of_the_tables(web: Web, market: tuple[str, list[str]], stores: Stores) -> None:
    """Every column of run, folds, simulation and buckets that the tables have, compared field by field with SQL."""
    run_id, (simulation_id, _) = market

    def rows(table: str, key: str, value: str) -> list[dict[str, Any]]:
        with stores.postgres.connection() as connection:
            return [
                row["row"] for row in connection.execute(f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {key} = '{value}' ORDER BY 1")
            ]  # type: ignore[arg-type, misc]

    def same(shown: dict[str, Any], row: dict[str, Any]) -> None:
        for name in row.keys() & shown.keys():
            expected = row[name].replace("+00:00", "Z") if name.endswith(("_at", "_ts")) and row[name] else row[name]
            if name == "summary_metrics":
                expected = {k: v for k, v in expected.items() if k != "feature_importance"}
            found = shown[name].rstrip("Z").rstrip("0") if name.endswith(("_at", "_ts")) and shown[name] else shown[name]
            assert found == (expected.rstrip("Z").rstrip("0") if name.endswith(("_at", "_ts")) and expected else expected), name

    whole = web.get(f"/api/walkforward/runs/{run_id}")
    same(whole["run"], rows("walkforward_runs", "run_id", run_id)[0])
    folds = sorted(rows("walkforward_folds", "run_id", run_id), key=lambda row: row["fold_number"])
    for shown, row in zip(whole["folds"], folds, strict=True):
        same(shown, row)
    total = sum((row["metrics"]["both"]["signal_sum"] or 0.0) for row in folds)
    assert whole["folds"][-1]["running_sum"] == pytest.approx(total, rel=1e-12)
    one = web.get(f"/api/tradesim/runs/{simulation_id}")
    same(one["run"], rows("simulation_runs", "simulation_id", simulation_id)[0])
    for shown, row in zip(one["buckets"], rows("simulation_trade_buckets", "simulation_id", simulation_id), strict=True):
        same(shown, row)


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-sharpe", "max_drawdown_pct"])
def test_pages_together_are_the_list(web: Web, sort: str) -> None:
    """Following the cursor gives every simulation once, in the order of one long page, rows without a value last."""
    whole = web.get("/api/tradesim/runs", sort=sort, limit=500)
    found, cursor = [], None
    while True:
        answer = web.ask("/api/tradesim/runs", params={"sort": sort, "limit": 1, **({"cursor": cursor} if cursor else {})})
        assert answer.headers["X-Total-Count"] == str(len(whole))
        found += answer.json()
        cursor = answer.headers.get("X-Next-Cursor")
        assert (cursor is None) == ("Link" not in answer.headers)
        if cursor is None:
            break
    assert found == whole


def test_filters_choose_what_they_say(web: Web, market: tuple[str, list[str]]) -> None:
    """Filters by run, mode, feature, beginning of an id and profit factor; `fields` leaves out the rest."""
    run_id, (long, dual) = market
    assert {one["simulation_id"] for one in web.get("/api/tradesim/runs", run=run_id)} == {long, dual}
    assert web.get("/api/tradesim/runs", run=run_id, mode="dual", fields="simulation_id") == [{"simulation_id": dual}]
    assert [one["run_id"] for one in web.get("/api/walkforward/runs", q=run_id[:8])] == [run_id]
    assert web.get("/api/walkforward/runs", dataset=SLUG, feature="SIGNAL", fields="run_id") == [{"run_id": run_id}]
    assert web.get("/api/walkforward/runs", dataset=SLUG, feature="signal") == []
    assert web.get("/api/walkforward/runs", dataset=SLUG, min_pf=1e9) == []
    assert web.get("/api/walkforward/runs", dataset=SLUG, status=["failed", "queued"]) == []
    assert web.get("/api/walkforward/runs", dataset=SLUG, created_to="2020-01-01") == []


def test_columns_and_importance_are_described(web: Web, market: tuple[str, list[str]]) -> None:
    """Features and targets with what their bars hold; importance by rank."""
    features = {one["name"]: one for one in web.get(f"/api/datasets/{SLUG}/features")}
    assert set(features) == {"SIGNAL", "NOISE"}
    assert features["SIGNAL"]["nulls"] == 0
    assert features["SIGNAL"]["min"] < features["SIGNAL"]["mean"] < features["SIGNAL"]["max"]
    (target,) = web.get(f"/api/datasets/{SLUG}/targets")
    assert (target["name"], target["nulls"], target["horizon"], target["horizon_assumed"]) == ("TGT_NEXT", 1, 1, True)
    importance = web.get(f"/api/walkforward/runs/{market[0]}/importance")
    assert [(one["rank"], one["feature"]) for one in importance] == [(1, "SIGNAL"), (2, "NOISE")]


@pytest.mark.parametrize(
    ("path", "status", "code", "hint"),
    [
        ("/api/walkforward/runs?limt=3", 400, "parameter_unknown", "'limit'"),
        ("/api/walkforward/runs?fields=run_idd", 400, "field_unknown", "'run_id'"),
        ("/api/walkforward/runs?limit=0", 422, "parameter_invalid", ""),
        ("/api/walkforward/runs?sort=luck", 422, "parameter_invalid", ""),
        ("/api/walkforward/runs?cursor=AAAA", 400, "cursor_invalid", "X-Next-Cursor"),
        ("/api/walkforward/runs?dataset=%00", 422, "parameter_invalid", ""),
        ("/api/walkforward/runs/nothing", 404, "run_unknown", "chronos runs list"),
        ("/api/walkforward/compare?runs=one", 400, "compare_count", ""),
        ("/api/datasets/webmarkt_1d_v1", 404, "not_published", f"'{SLUG}'"),
        ("/api/datasets/webmarkt_1d_v1/audits", 404, "not_published", f"'{SLUG}'"),
        ("/api/tradesim/runs/..%2f..%2fetc%2fpasswd", 404, "route_unknown", "openapi"),
        ("/api/tradesim/runs/';DROP TABLE simulation_runs;--", 404, "simulation_unknown", ""),
        ("/no/such/route", 404, "route_unknown", "openapi"),
    ],
)
def test_a_wrong_request_is_a_problem_that_helps(web: Web, path: str, status: int, code: str, hint: str) -> None:
    """Status, a stable code, and the nearest right name, as problem+json whose `message` is the detail with the hint."""
    answer = web.ask(path)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert hint in (problem["hint"] or "")
    assert problem["message"] == f"{problem['detail']} {problem['hint'] or ''}".strip()
    assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_a_cursor_goes_with_its_order(web: Web) -> None:
    """A cursor of another order, and one that was edited, are refused."""
    cursor = web.ask("/api/tradesim/runs", params={"limit": 1}).headers["X-Next-Cursor"]
    assert web.ask("/api/tradesim/runs", params={"limit": 1, "cursor": cursor}).status_code == 200
    assert web.ask("/api/tradesim/runs", params={"sort": "-sharpe", "cursor": cursor}).json()["code"] == "cursor_invalid"
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[-5] ^= 1
    edited = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert web.ask("/api/tradesim/runs", params={"cursor": edited}).json()["code"] == "cursor_invalid"


def test_what_the_caller_has_is_not_sent_again(web: Web, market: tuple[str, list[str]]) -> None:
    """The same content has the same ETag and is answered by 304; JSON of some length is compressed."""
    path = f"/api/walkforward/runs/{market[0]}"
    first = web.ask(path)
    assert first.headers["Content-Encoding"] == "gzip"
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = web.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web.ask(f"{path}?folds=none", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_foreign_host_name_is_not_answered(web: Web) -> None:
    """A name that somebody points at this machine gets 421, whatever it asks for."""
    for host in ("evil.example", "evil.example:3100", ""):
        assert web.ask("/api/datasets", headers={"Host": host}).status_code in {400, 421}
    assert web.ask("/api/datasets", headers={"Host": "localhost:1"}).status_code == 200


def test_only_named_origins_read_across_sites(servers: Connections, settings: Settings) -> None:
    """A named origin is answered with CORS headers and its preflight passes; another one is told nothing."""
    named = settings.model_copy(update={"api_cors_origins": ("http://localhost:5173",)})
    with running(named, lambda: open_reading(servers, named)) as web:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "content-type, authorization"}
        passed = web.ask("/api/datasets", method="OPTIONS", headers={"Origin": "http://localhost:5173", **asked})
        assert (passed.status_code, passed.headers["Access-Control-Allow-Origin"]) == (200, "http://localhost:5173")
        read = web.ask("/api/datasets", headers={"Origin": "http://localhost:5173"})
        assert read.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert "X-Next-Cursor" in read.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in read.headers
        for path, method in (("/api/datasets", "GET"), ("/api/datasets", "OPTIONS")):
            foreign = web.ask(path, method=method, headers={"Origin": "http://evil.example", **asked})
            assert "Access-Control-Allow-Origin" not in foreign.headers


def test_another_sites_page_changes_nothing_and_long_bodies_are_refused(web: Web) -> None:
    """A POST with a foreign Origin gets 403, 10 MB get 413, a method that no route has 405."""
    assert web.ask("/api/datasets", method="POST", headers={"Origin": "http://evil.example"}).status_code == 403
    assert web.ask("/api/datasets", method="POST", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert web.ask("/api/datasets", method="POST", data=b"x" * 10_000_000).status_code == 413
    assert web.ask("/api/datasets", method="POST", json={}).json()["code"] == "method_not_allowed"


def test_a_token_is_asked_for_and_wrong_ones_are_slowed_down(
    servers: Connections, settings: Settings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without it 401, with it 200; after ten wrong ones even the right one waits; health needs none; it is never written anywhere."""
    token = "canary-5EKR1T"
    guarded = settings.model_copy(update={"api_token": SecretStr(token)})
    right = {"Authorization": f"Bearer {token}"}
    with running(guarded, lambda: open_reading(servers, guarded)) as web:
        assert web.ask("/api/health").status_code == 200
        refused = web.ask("/api/datasets")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert web.ask("/api/datasets", headers=right).status_code == 200
        assert [web.ask("/api/datasets", headers={"Authorization": f"Bearer {token}{n}"}).status_code for n in range(10)] == [401] * 10
        blocked = web.ask("/api/datasets", headers=right)
        assert (blocked.status_code, blocked.headers["Retry-After"]) == (429, "60")
        assert token not in blocked.text + refused.text
    assert token not in caplog.text + "".join(capfd.readouterr())
