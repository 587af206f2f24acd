"""The dashboard's pages on real servers: what they show, what they answer to nonsense, and that they work without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.trained_market import train
from chronos_assets_tests.web_process import Web, running

SLUG = "pagemarket_1d_v1"


@pytest.fixture(scope="module")
def run_id(servers: Connections, settings: Settings) -> str:
    return train(open_stores(servers, settings), SLUG)


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
