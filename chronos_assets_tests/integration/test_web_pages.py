"""The dashboard's pages on real servers: what they show, what they answer to nonsense, and that they work without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl
import pytest
from pydantic import SecretStr

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.trained_market import train
from chronos_assets_tests.web_process import Web, running

SLUG = "pagemarket_1d_v1"
PROFILE = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})


@pytest.fixture(scope="module")
def run_id(servers: Connections, settings: Settings) -> str:
    return train(open_stores(servers, settings), SLUG)


@pytest.fixture(scope="module")
def simulation_id(servers: Connections, settings: Settings, run_id: str) -> str:
    [simulated] = simulate_run(run_id, PROFILE, open_stores(servers, settings))
    return simulated.simulation_id


@pytest.fixture(scope="module")
def lfs_id(servers: Connections, settings: Settings, run_id: str) -> str:
    assert run_id  # its dataset is published
    stores = open_stores(servers, settings)
    profile = LfsProfile.model_validate({"max_kept": 2, "iterations": 1, "permutations": 3, "end_row": "all"})
    request = plan_lfs(SLUG, profile, stores, horizon_of=lambda _: (1, False), walkforward=WalkforwardProfile(train_size=100, test_size=20))
    run_request(request, stores, requested_by="test")
    return request.lfs_id


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, run_id: str) -> Iterator[Web]:
    assert run_id  # it is stored
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


def test_a_reader_walks_from_the_overview_to_a_fold_of_a_run(web: Web, run_id: str) -> None:
    """Overview, datasets, dataset, runs and run are whole pages that link to one another, and the run shows its folds."""
    for path, link in (("/", f"/datasets/{SLUG}"), ("/datasets", f"/datasets/{SLUG}"), (f"/datasets/{SLUG}", f"/runs/{run_id}")):
        text = web.ask(path).text
        assert f'href="{link}"' in text, path
        assert text.count("<h1") == 1, path
    folds = web.get(f"/api/walkforward/runs/{run_id}")["folds"]
    text = web.ask(f"/runs/{run_id}").text
    assert all(f'href="/runs/{run_id}/folds/{fold["fold_number"]}"' in text for fold in folds)


def test_the_address_of_the_list_says_what_it_shows(web: Web, run_id: str) -> None:
    """Filters are in the address; a swap gets the part alone, a reload of the same address the whole page, and nothing found says why."""
    address = f"/runs?dataset={SLUG}&status=completed&sort=-both.profit_factor&min_pf=&q="
    whole, part = web.ask(address), web.ask(address, headers={"HX-Request-Type": "partial"})
    assert f"/runs/{run_id}" in whole.text
    assert f"/runs/{run_id}" in part.text
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert "aria-sort" in part.text
    nothing = web.ask("/runs?dataset=nowhere_1d_v1").text
    assert "No run matches" in nothing
    assert "nowhere_1d_v1" in nothing


def test_a_reader_walks_from_a_simulation_to_the_file_of_a_trade(web: Web, run_id: str, simulation_id: str) -> None:
    """The list leads to the simulation, its table to the trade, and its page holds the checksum of the file."""
    assert f'href="/simulations/{simulation_id}"' in web.ask("/simulations?mode=dual").text
    assert web.ask(f"/search?q={simulation_id[:8]}").url.endswith(f"/simulations/{simulation_id}")
    shown = web.ask(f"/simulations/{simulation_id}").text
    assert f'href="/simulations/{simulation_id}/trades/1"' in shown
    trace = web.get(f"/api/tradesim/runs/{simulation_id}/trades/1")
    text = web.ask(f"/simulations/{simulation_id}/trades/1").text
    assert trace["file"]["checksum"] in text
    assert trace["model"]["sha256"] in text
    fold = web.ask(f"/runs/{run_id}/folds/{trace['fold']['fold_number']}").text
    assert "Predictions against target" in fold


def test_a_filter_of_trades_shows_and_downloads_the_same_trades(web: Web, simulation_id: str) -> None:
    """The table's count and sums, and the file behind its link, are those of exactly the filtered trades."""
    part = web.ask(f"/simulations/{simulation_id}?side=short&pnl_lt=0&sort=-pnl", headers={"HX-Request-Type": "partial"}).text
    rows = web.get(f"/api/tradesim/runs/{simulation_id}/trades", side="short", pnl_lt=0, limit=10_000)
    assert 0 < len(rows) == part.count("data-entry=") or len(rows) > 100
    assert f"{len(rows):,} of " in part
    [link] = re.findall(r'href="([^"]+format=parquet[^"]*)"', part)
    table = pl.read_parquet(web.ask(link.replace("&amp;", "&")).content)
    assert table["trade_no"].sort().to_list() == sorted(row["trade_no"] for row in rows)
    assert web.ask(f"/simulations/{simulation_id}?exit_reason=luck").status_code == 422


def test_a_selection_is_shown_as_table_over_time_in_pairs_and_against_chance(web: Web, lfs_id: str) -> None:
    """Each view of a selection is an address of its own; the table holds every feature, the map one cell per feature and slice."""
    assert f'href="/lfs/{lfs_id}"' in web.ask(f"/lfs?dataset={SLUG}").text
    pages = {tab: web.ask(f"/lfs/{lfs_id}?tab={tab}") for tab in ("table", "over-time", "pairs", "null", "setup")}
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "few permutations" in pages["table"].text
    assert pages["over-time"].text.count('class="cell"') % 60 == 0 < pages["over-time"].text.count('class="cell"')
    assert "Lift" in pages["pairs"].text
    assert "3 permutations" in pages["null"].text
    assert web.ask(f"/lfs/{lfs_id}?tab=luck").status_code == 422


def test_nonsense_is_answered_by_a_page(web: Web) -> None:
    """An unknown page, run or value gets the frame, the sentence and the right status, never a traceback or JSON."""
    for path, status, words in (
        ("/nope", 404, "there is no such page"),
        ("/runs/6a1f0c52-0000-5000-8000-000000000000", 404, "6a1f0c52"),
        ("/runs?min_pf=much", 422, "a number is needed"),
        ("/runs?sort=luck", 400, "luck"),
        ("/datasets/<script>alert(1)</script>", 404, "&lt;script&gt;"),
    ):
        answer = web.ask(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert words in answer.text, path
        assert "<script>alert" not in answer.text


def test_files_are_kept_for_ever_and_the_theme_is_remembered(web: Web) -> None:
    """A page names its files by content; the switch of the theme works by a form and never leads to another site."""
    text = web.ask("/datasets").text
    [css] = re.findall(r'href="(/static/app\.[0-9a-f]{12}\.css)"', text)
    assert "immutable" in web.ask(css).headers["cache-control"]
    own = {"Origin": web.url, "Sec-Fetch-Site": "same-origin"}
    answer = web.ask("/theme", "POST", own, data={"theme": "dark", "back": "//evil.example/"}, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'data-theme="dark"' in web.ask("/datasets", headers={"Cookie": "theme=dark"}).text


def test_a_store_that_is_down_is_a_page_that_asks_again(settings: Settings) -> None:
    """While the stores are down every page says so, what starts them, and that it asks again."""

    def nothing() -> Stores:
        raise ServiceUnavailableError("Postgres does not run", code="postgres_down", hint="`chronos services start` starts it.")

    with running(settings, nothing) as web:
        answer = web.ask("/runs")
        assert answer.status_code == 503
        assert "chronos services start" in answer.text
        assert "data-retry" in answer.text


def test_a_person_gives_the_token_once(servers: Connections, settings: Settings, run_id: str) -> None:
    """With a token set a page leads to a form; the right token leads on with a cookie that is not the token, a wrong one does not."""
    guarded = settings.model_copy(update={"api_token": SecretStr("canary-8ZQ2")})
    with running(guarded, lambda: open_reading(servers, settings)) as web:
        asked = web.ask(f"/runs/{run_id}", allow_redirects=False)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/login?next=%2Fruns%2F{run_id}")
        own = {"Origin": web.url, "Sec-Fetch-Site": "same-origin"}
        wrong = web.ask("/login", "POST", own, data={"token": "canary", "next": "/runs"}, allow_redirects=False)
        assert (wrong.status_code, "That is not the token" in wrong.text) == (401, True)
        right = web.ask("/login", "POST", own, data={"token": "canary-8ZQ2", "next": "//evil.example"}, allow_redirects=False)
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"]
        assert "canary" not in cookie
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        session = {"Cookie": cookie.partition(";")[0]}
        assert web.ask(f"/runs/{run_id}", headers=session).status_code == 200
        assert web.ask("/api/datasets", headers=session).status_code == 200
        forged = {"Cookie": "chronos_session=99999999999." + "0" * 64}
        assert web.ask("/api/datasets", headers=forged).status_code == 401
