"""The HTTP API on real servers: fields, pages, problems, caching, and who may ask."""

from __future__ import annotations

import base64
import io
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.statistics.trials import Trial
from chronos_assets.pipeline.simulation.judgement import deflated_sharpes
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.pipeline.walkforward.trials import lineage_of
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.runs import get_run, read_predictions
from chronos_assets.storage.simulations import begin_simulation, read_trades
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import record_trial
from chronos_assets.views import open_reads
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.judgement import read_judgement
from chronos_assets.views.simulations import completed
from chronos_assets_tests.support.trained_market import WALK, bars_frame, publish, train
from chronos_assets_tests.support.web_process import Web, running

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
        ("/api/no/such/route", 404, "route_unknown", "openapi"),
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


@pytest.fixture(scope="module")
def trades(market: tuple[str, list[str]], servers: Connections, settings: Settings) -> pl.DataFrame:
    """The trades of the second simulation, as they are stored."""
    return read_trades(open_reading(servers, settings), market[1][1])


def table(web: Web, path: str, kind: str, **parameters: Any) -> pl.DataFrame:
    """A series in one of its forms, as a frame."""
    answer = web.ask(path, params={"format": kind, **parameters})
    assert answer.status_code == 200, answer.text
    if kind == "json":
        return pl.DataFrame(answer.json(), infer_schema_length=None)
    if kind == "json-columns":
        return pl.DataFrame({name: values for name, values in answer.json().items() if name != "_sums"})
    reader = {"arrow": pl.read_ipc_stream, "parquet": pl.read_parquet, "csv": pl.read_csv}[kind]
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{SLUG}-')
    return reader(io.BytesIO(answer.content))


@pytest.mark.parametrize("kind", ["json", "json-columns", "arrow", "parquet", "csv"])
def test_every_form_holds_the_same_trades(web: Web, market: tuple[str, list[str]], trades: pl.DataFrame, kind: str) -> None:
    """All forms honour the filters: the same rows, to the bit, as the store's."""
    path = f"/api/tradesim/runs/{market[1][1]}/trades"
    expected = trades.filter((pl.col("side") == "short") & (pl.col("pnl") < 0)).sort("pnl", "trade_no", descending=[True, False])
    found = table(web, path, kind, side="short", pnl_lt=0, sort="-pnl", limit=10_000)
    assert expected.height > 3
    assert found.select(expected.columns).cast(dict(expected.schema)).equals(expected)
    assert found["bars_held"].to_list() == ((expected["exit_timestamp_unix"] - expected["entry_timestamp_unix"]) // 86_400).to_list()
    assert found["entry_time"][0] == f"{datetime.fromtimestamp(expected['entry_timestamp_unix'][0], UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_pages_of_trades_and_their_sums(web: Web, market: tuple[str, list[str]], trades: pl.DataFrame) -> None:
    """Pages follow each other in every order; count and sums are of all that the filters choose, not of the page."""
    path = f"/api/tradesim/runs/{market[1][1]}/trades"
    expected = trades.filter(pl.col("side") == "long").sort("return_pct", "trade_no")["trade_no"].to_list()
    found: list[int] = []
    parameters: dict[str, Any] = {"side": "long", "sort": "return_pct", "limit": 4}
    while True:
        answer = web.ask(path, params=parameters)
        found += [one["trade_no"] for one in answer.json()]
        assert answer.headers["X-Total-Count"] == str(len(expected))
        sums = json.loads(answer.headers["X-Sums"])
        if "X-Next-Cursor" not in answer.headers:
            break
        parameters["cursor"] = answer.headers["X-Next-Cursor"]
    assert found == expected
    long = trades.filter(pl.col("side") == "long")["pnl"]
    assert sums["pnl"] == pytest.approx(long.sum(), rel=1e-12)
    assert sums["wins"] == (long > 0).sum()
    bucket = next(one for one in web.get(f"/api/tradesim/runs/{market[1][1]}")["buckets"] if one["side"] == "long")
    assert sums["profit_factor"] == pytest.approx(bucket["profit_factor"], rel=1e-12)
    assert web.get(path, exit_reason="stop_loss") == []
    assert web.ask(path, params={"exit_reason": "luck"}).status_code == 422


def test_a_trade_leads_to_where_it_came_from(web: Web, market: tuple[str, list[str]], servers: Connections, settings: Settings) -> None:
    """The trace of a trade is the one that `chronos trace` prints."""
    name = f"{market[1][1]}/1"
    traced = web.get(f"/api/tradesim/runs/{name.replace('/', '/trades/')}")
    assert traced == json.loads(json.dumps(trace_trade(name, open_reading(servers, settings))))
    assert traced["model"]["reproduces_prediction"]
    assert web.ask(f"/api/tradesim/runs/{market[1][1]}/trades/999999").json()["code"] == "trade_unknown"


def test_decimated_equity_keeps_what_matters(web: Web, market: tuple[str, list[str]]) -> None:
    """Smallest, largest and last equity and the deepest drawdown of 100 points are those of all bars and of the stored summary."""
    path = f"/api/tradesim/runs/{market[1][0]}/equity"
    whole, small = table(web, path, "arrow"), table(web, path, "json", points=100)
    assert 50 < small.height <= 100 < whole.height
    assert web.ask(path, params={"points": 100}).headers["X-Decimated"] == f"{whole.height}/{small.height}"
    assert small["equity_min"].min() == whole["equity"].min()
    assert small["equity_max"].max() == whole["equity"].max()
    assert small["equity_last"][-1] == whole["equity"][-1]
    summary = web.get(f"/api/tradesim/runs/{market[1][0]}")["run"]["summary_metrics"]
    assert small["drawdown_max"].max() == whole["drawdown_pct"].max() == pytest.approx(summary["max_drawdown_pct"], rel=1e-12)
    drawn = table(web, path, "json-columns", points=100, columns="equity_max,drawdown_max", digits=6)
    assert drawn.columns == ["timestamp_unix", "equity_max", "drawdown_max"]
    assert drawn["timestamp_unix"].equals(small["timestamp_unix"])
    assert drawn["equity_max"].to_list() == [float(f"{value:.6g}") for value in small["equity_max"]]
    assert web.ask(path, params={"points": 100, "columns": "equity"}).json()["code"] == "column_unknown"
    held = 100 * (whole["buy_and_hold"][-1] / whole["buy_and_hold"][0] - 1)
    assert held == pytest.approx(summary["buy_and_hold"]["total_return_pct"], rel=1e-9)
    middle = datetime.fromtimestamp(whole["timestamp_unix"][50], UTC)
    part = table(web, path, "csv", **{"from": middle.isoformat(), "to": "2100-01-01"})
    assert part["timestamp_unix"].to_list() == whole["timestamp_unix"].to_list()[50:]
    months = [month for year in web.get(f"/api/tradesim/runs/{market[1][0]}/monthly") for month in year["months"] if month is not None]
    assert 100 * (math.prod(1 + month / 100 for month in months) - 1) == pytest.approx(summary["total_return_pct"], rel=1e-9)


def test_downloads_beyond_the_most_are_asked_to_come_back(web: Web, market: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with `Retry-After` for whole bars while too many are being sent; few points, and the caller who has them, are answered."""
    path = f"/api/datasets/{SLUG}/bars?format=csv"
    before = web.ask(path)
    monkeypatch.setattr(open_reads, "MOST_READS", 0)
    refused = web.ask(path)
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "downloads_full", "5")
    assert web.ask(f"{path}&points=100").status_code == 200
    assert web.ask(path, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    monkeypatch.undo()
    assert web.ask(path).text == before.text


def test_bars_and_predictions_are_those_of_the_stores(web: Web, market: tuple[str, list[str]], stores: Stores) -> None:
    """Bars as they were published, in one piece or in part; predictions by fold and signal; a fold with its histograms."""
    bars = bars_frame()
    path = f"/api/datasets/{SLUG}/bars"
    assert table(web, path, "parquet", columns="SIGNAL,TGT_NEXT").equals(bars.select("timestamp_unix", "SIGNAL", "TGT_NEXT").fill_nan(None))
    middle = datetime.fromtimestamp(bars["timestamp_unix"][390], UTC).isoformat()
    assert table(web, path, "json", columns="close", **{"from": middle})["Close"].to_list() == bars["Close"].to_list()[390:]
    small = table(web, path, "json", points=100)
    assert (small["High"].max(), small["Low"].min(), small["Close"][-1]) == (bars["High"].max(), bars["Low"].min(), bars["Close"][-1])
    assert web.ask(path, params={"columns": "SIGNL"}).json()["hint"] == "Did you mean 'SIGNAL'?"
    run_id = market[0]
    stored = read_predictions(stores, run_id)
    predictions = f"/api/walkforward/runs/{run_id}/predictions"
    assert table(web, predictions, "arrow").equals(stored)
    long = stored.filter((pl.col("prediction") >= pl.col("long_threshold")).fill_null(value=False) & (pl.col("fold") == 2))
    both = long.filter((pl.col("prediction") <= pl.col("short_threshold")).fill_null(value=False))
    assert table(web, predictions, "json-columns", fold=2, signal="long").height == long.height - both.height
    first, last = (datetime.fromtimestamp(stored["timestamp_unix"][row], UTC).isoformat() for row in (20, 40))
    assert table(web, predictions, "arrow", **{"from": first, "to": last}).equals(stored[20:40])
    few = table(web, predictions, "json", points=100)
    assert few["long_threshold_last"][-1] == stored["long_threshold"][-1]
    fold = web.get(f"/api/walkforward/runs/{run_id}/folds/2")
    assert sum(fold["test_predictions"]["counts"]) == fold["samples_test"]
    assert sum(fold["validation_predictions"]["counts"]) == fold["thresholds"]["n_cases"]
    assert {one["feature"] for one in fold["importance"]} == {"SIGNAL", "NOISE"}
    assert web.ask(f"/api/walkforward/runs/{run_id}/folds/999").json()["code"] == "fold_unknown"


def test_a_series_that_the_caller_has_is_not_read_again(web: Web, market: tuple[str, list[str]]) -> None:
    """The ETag of a series follows its parameters and form; 304 comes without the series; too many rows for JSON are 413."""
    path = f"/api/tradesim/runs/{market[1][1]}/equity"
    first = web.ask(path)
    assert first.headers["Cache-Control"] == "private, max-age=300"
    again = web.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    tags = {web.ask(path, params=asked).headers["ETag"] for asked in ({}, {"points": 100}, {"format": "csv"})}
    assert len(tags) == 3
    by_header = web.ask(path, headers={"Accept": "application/vnd.apache.arrow.stream;q=0.9, image/png"})
    assert by_header.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert web.ask(path, headers={"Accept": "image/png"}).json()["code"] == "not_acceptable"


def test_half_a_simulation_has_no_series(web: Web, market: tuple[str, list[str]], stores: Stores) -> None:
    """Trades of a simulation that is not complete are refused with the command that finishes it."""
    simulation_id = "00000000-0000-0000-0000-0000000000aa"
    begin_simulation(stores.postgres, simulation_id, run_id=market[0], dataset_id=SLUG, mode="long", config={})
    answer = web.ask(f"/api/tradesim/runs/{simulation_id}/trades")
    assert (answer.status_code, answer.json()["code"]) == (409, "simulation_incomplete")
    assert f"`chronos simulate {market[0]}`" in answer.json()["hint"]
    (shown,) = web.get("/api/tradesim/runs", q=simulation_id)
    assert (shown["status"], shown["summary_metrics"]["error"]["code"]) == ("failed", "died")
    assert [one["status"] for one in web.get("/api/tradesim/runs", q=simulation_id, status="failed")] == ["failed"]
    assert web.get("/api/tradesim/runs", q=simulation_id, status=["running", "queued"]) == []
    with stores.postgres.connection() as connection:
        connection.execute("DELETE FROM simulation_runs WHERE simulation_id = %s", (simulation_id,))


def listen(web: Web, topics: str, *, events: int, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The first events of a stream, each with its `id`."""
    found: list[dict[str, Any]] = []
    number = 0
    with web.ask("/api/events", params={"topics": topics}, headers=headers, stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, text = line.decode().partition(": ")
            if name == "id":
                number = int(text)
            elif name == "data":
                found.append({"id": number, **json.loads(text)})
                if len(found) == events:
                    return found
    return found


def test_listeners_are_told_of_progress(web: Web, market: tuple[str, list[str]], stores: Stores) -> None:
    """A run's state comes at once, then only when it changes; many listeners ask the store no more often than one."""
    run_id = market[0]
    (first,) = listen(web, f"run:{run_id}", events=1)
    assert (first["topic"], first["status"], first["folds_present"]) == (f"run:{run_id}", "completed", first["folds_planned"])
    found: list[list[dict[str, Any]]] = []
    after = {"Last-Event-ID": str(first["id"])}
    threads = [threading.Thread(target=lambda: found.append(listen(web, f"run:{run_id}", events=1, headers=after))) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    assert found == []
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE walkforward_runs SET status = 'cancelled' WHERE run_id = %s", (run_id,))
    for thread in threads:
        thread.join(300)
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE walkforward_runs SET status = 'completed' WHERE run_id = %s", (run_id,))
    assert [[one["status"] for one in events] for events in found] == [["cancelled"]] * 5
    assert found[0][0]["id"] > first["id"]
    assert web.ask("/api/events?topics=run:1").json()["code"] == "topic_unknown"
    assert web.ask("/api/events").status_code == 422


def test_sweeps_and_judgements_are_read_with_what_they_were_chosen_among(web: Web, stores: Stores, unique_slug: str) -> None:
    """A sweep's runs come ranked, with the warning; a simulation of its best run is judged among all trials on record."""
    publish(stores, unique_slug, bars_frame())
    made = run_sweep(unique_slug, WALK, {"model.eta": [0.05, 0.1]}, stores, horizon_of=lambda _: (1, False))
    (row,) = web.get("/api/sweeps", dataset=unique_slug)
    assert (row["target"], row["runs"], row["grid"]) == ("TGT_NEXT", 2, {"model.eta": [0.05, 0.1]})
    found = web.get(f"/api/sweeps/{row['sweep_id']}")
    assert [one["run_id"] for one in found["trials"]] == [trial.run_id for trial in made.trials]
    assert [one["metrics"]["profit_factor"] for one in found["trials"]] == [trial.metrics["profit_factor"] for trial in made.trials]
    assert found["warnings"][0]["code"] == "many_trials"
    assert made.overfitting is not None
    assert found["overfitting"] == asdict(made.overfitting)
    by_mean = web.get(f"/api/sweeps/{row['sweep_id']}", rank_by="mean")["trials"]
    assert by_mean[0]["metrics"]["mean"] >= by_mean[1]["metrics"]["mean"]
    assert web.ask("/api/sweeps/none").json()["code"] == "sweep_unknown"
    assert made.trials[0].run_id is not None
    simulation_id = simulate_run(made.trials[0].run_id, PROFILE, stores)[1].simulation_id
    judged = web.get(f"/api/tradesim/runs/{simulation_id}/judgement")
    assert judged["deflated_sharpe"]["trials"] >= 2
    assert {one["test"] for one in judged["tests"]} == {"trade_test", "signal_test"}
    assert all(one["holm"] >= one["p_value"] and one["tests"] == 2 for one in judged["tests"])


def test_a_judgement_reads_its_account_once_and_every_new_trial(
    market: tuple[str, list[str]], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judgement is what the whole account says; the second one asks QuestDB for nothing; one more trial on record changes it."""
    run_id, (simulation_id, *_) = market
    record, frames = completed(stores.postgres, simulation_id), FrameCache()
    first = read_judgement(stores, record, frames)
    whole = deflated_sharpes(stores, run_id, [simulation_id])[simulation_id]
    assert first.deflated_sharpe is not None
    assert whole is not None
    assert first.deflated_sharpe.model_dump() == whole.as_json()
    with monkeypatch.context() as patched:
        patched.delattr(QuestDB, "read")
        patched.delattr(QuestDB, "rows")
        assert read_judgement(stores, record, frames) == first
    run = get_run(stores.postgres, run_id)
    other = replace(run, run_id="00000000-0000-0000-0000-0000000000ab")
    record_trial(stores.postgres, other, lineage_of(run.dataset_id), Trial(10, 10.0, 2.0, 86_400, 0, (1.0, 2.0)))
    try:
        again = read_judgement(stores, record, frames).deflated_sharpe
    finally:
        with stores.postgres.connection() as connection:
            connection.execute("DELETE FROM walkforward_trials WHERE run_id = %s", (other.run_id,))
    assert again is not None
    assert again.trials == first.deflated_sharpe.trials + 1
    assert again.probability < first.deflated_sharpe.probability
