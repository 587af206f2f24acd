"""The dashboard in a real browser: every page in both themes, without a script, narrow, by keyboard, and while a store comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
from playwright.sync_api import Browser

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets_tests.support.browser import browser as a_browser
from chronos_assets_tests.support.browser import watched
from chronos_assets_tests.support.trained_market import WALK, train
from chronos_assets_tests.support.web_process import Web, running

SLUG = "browsed_1d_v1"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NARROW = {"width": 360, "height": 740}


@dataclass(frozen=True)
class Made:
    """What the pages show."""

    run_id: str
    simulation_id: str
    lfs_id: str
    sweep_id: str

    def pages(self) -> list[str]:
        """Every kind of page, full, empty and in error."""
        simulation = f"/simulations/{self.simulation_id}"
        lfs = [f"/lfs/{self.lfs_id}?tab={tab}" for tab in ("table", "over-time", "pairs", "null", "setup")]
        full = ["/", "/datasets", f"/datasets/{SLUG}", "/runs", f"/runs/{self.run_id}", f"/runs/{self.run_id}/folds/1"]
        full += ["/simulations", simulation, f"{simulation}/trades/1", "/lfs", *lfs, "/sweeps", f"/sweeps/{self.sweep_id}"]
        return [
            *full,
            "/runs?dataset=nothing_1d_v1",
            "/simulations?q=zzz",
            "/sweeps?dataset=nothing_1d_v1",
            f"{simulation}?pnl_lt=-1000000000",
            "/nothing-here",
        ]


@pytest.fixture(scope="module")
def made(servers: Connections, settings: Settings) -> Made:
    stores = open_stores(servers, settings)
    run_id = train(stores, SLUG)
    simulated = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"bootstraps": 40, "permutations": 40}})
    [simulation] = simulate_run(run_id, simulated, stores)
    profile = LfsProfile.model_validate({"max_kept": 2, "iterations": 1, "permutations": 3, "end_row": "all"})
    request = plan_lfs(SLUG, profile, stores, horizon_of=lambda _: (1, False), walkforward=WalkforwardProfile(train_size=100, test_size=20))
    run_request(request, stores, requested_by="test")
    axes: dict[str, list[float]] = {"model.eta": [0.05, 0.1], "model.max_depth": [2, 3]}
    sweep = run_sweep(SLUG, WALK, axes, stores, horizon_of=lambda _: (1, False))
    assert sweep.sweep_id is not None
    return Made(run_id, simulation.simulation_id, request.lfs_id, sweep.sweep_id)


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, made: Made) -> Iterator[Web]:
    assert made.run_id  # it is stored
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


def test_every_page_is_accessible_and_asks_nobody_else(browser: Browser, web: Web, made: Made) -> None:
    """axe finds nothing in either theme, the console holds no error, nobody else is asked, the content security policy refuses nothing."""
    with watched(browser, web.url, axe=True) as watch:
        for path in made.pages():
            page = watch.open(path)
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                assert watch.violations() == [], (path, theme)
            if path == "/nothing-here":
                watch.errors.clear()  # the browser itself notes the 404
            watch.must_be_clean()
            page.emulate_media(color_scheme=THEMES[0])


def test_no_page_is_wider_than_a_telephone(browser: Browser, web: Web, made: Made) -> None:
    """At 360 pixels tables scroll in their boxes and the page does not scroll sideways."""
    with watched(browser, web.url, viewport=NARROW) as watch:
        for path in made.pages():
            page = watch.open(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path


def test_pages_are_whole_without_a_script(browser: Browser, web: Web, made: Made) -> None:
    """Without JavaScript the filter of trades works by its address and the charts are the server's."""
    with watched(browser, web.url, java_script_enabled=False) as watch:
        page = watch.page
        page.goto(f"{web.url}/simulations/{made.simulation_id}")
        assert page.locator(".chart svg").count() >= 2
        page.select_option('select[name="side"]', "short")
        page.click("#trades form button")
        assert "side=short" in page.url
        assert set(page.locator("tr[data-entry] td:nth-child(3)").all_inner_texts()) == {"short"}


def test_charts_follow_the_theme_and_zoom_is_in_the_address(browser: Browser, web: Web, made: Made) -> None:
    """The pixels of the canvas differ between themes; a drag zooms every chart, the address says where, and back undoes it."""
    pictures = []
    for theme in ("light", "dark"):
        with watched(browser, web.url, color_scheme=theme) as watch:
            page = watch.open(f"/simulations/{made.simulation_id}")
            canvas = page.locator(".chart[data-series] canvas").first
            canvas.wait_for()
            pictures.append(canvas.evaluate("node => node.toDataURL()"))
            if theme == "light":
                over = page.locator(".u-over").first
                over.scroll_into_view_if_needed()
                box = over.bounding_box()
                assert box is not None
                page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20)
                page.mouse.down()
                page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 20, steps=5)
                page.mouse.up()
                page.wait_for_url(lambda url: "from=" in url, wait_until="commit")
                page.go_back()
                page.wait_for_url(lambda url: "from=" not in url, wait_until="commit")
                watch.must_be_clean()
    assert pictures[0] != pictures[1]


def test_the_candles_carry_the_trades_of_the_table(browser: Browser, web: Web, made: Made) -> None:
    """Choosing a row draws the price around it, with an entry and an exit for every trade of the table in view."""
    with watched(browser, web.url) as watch:
        page = watch.open(f"/simulations/{made.simulation_id}")
        page.locator("tr[data-entry] td:nth-child(3)").nth(1).click()
        page.wait_for_selector("#price[data-markers]")
        page.wait_for_selector("tr[data-entry][data-selected]")
        first, last, count = (int(page.get_attribute("#price", f"data-{name}") or 0) for name in ("first", "last", "markers"))
        times = [
            int(value)
            for row in page.locator("tr[data-entry]").all()
            for value in (row.get_attribute("data-entry"), row.get_attribute("data-exit"))
            if value
        ]
        assert count == sum(first <= time <= last for time in times) > 0
        watch.must_be_clean()


def test_a_trade_is_four_steps_from_the_overview_by_keyboard(browser: Browser, web: Web, made: Made) -> None:
    """`g s`, `j`, Enter, a trade, Enter: the trace, and back leads the same way home."""
    with watched(browser, web.url) as watch:
        page = watch.open("/")
        page.keyboard.press("g")
        page.keyboard.press("s")
        page.wait_for_url("**/simulations")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/simulations/*-*")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/trades/*")
        assert "Fold" in page.inner_text("main")
        page.go_back()
        page.go_back()
        page.wait_for_url("**/simulations")


def test_a_run_moves_on_the_page_and_a_silent_server_is_said(
    browser: Browser, servers: Connections, settings: Settings, web: Web, made: Made
) -> None:
    """A queued run's row and page change without a reload, choices stay, and while nobody answers the footer says so until it does."""
    stores = open_stores(servers, settings)
    with stores.postgres.connection() as connection:
        [row] = connection.execute(
            "INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status)"
            " SELECT gen_random_uuid(), dataset_id, target_column, feature_columns, hyperparameters, walk_config, 'queued'"
            " FROM walkforward_runs WHERE run_id = %s RETURNING run_id::text AS run_id",
            (made.run_id,),
        ).fetchall()
    run_id = row["run_id"]
    with watched(browser, web.url) as watch, watched(browser, web.url) as other:
        other.page.route("**/api/events*", lambda route: route.abort())
        other.page.goto(f"{web.url}/runs/{run_id}", wait_until="load")
        other.page.wait_for_selector("#live:has-text('does not answer')")
        other.page.unroute("**/api/events*")
        other.page.wait_for_selector("#live:empty", state="attached")
        watch.page.goto(f"{web.url}/runs", wait_until="load")
        watch.page.check(f'input[value="{run_id}"]')
        assert watch.page.inner_text(f'tr[data-href="/runs/{run_id}"] .state') == "queued"
        with stores.postgres.connection() as connection:
            connection.execute("UPDATE walkforward_runs SET status = 'cancelled', completed_at = now() WHERE run_id = %s", (run_id,))
        watch.page.wait_for_selector(f'tr[data-href="/runs/{run_id}"] .state.cancelled')
        other.page.wait_for_selector("h1 .state.cancelled")
        assert watch.page.is_checked(f'input[value="{run_id}"]')
        assert other.page.locator("[data-live]").count() == 0  # the list goes on listening while any run in it moves
        watch.must_be_clean()


def test_a_page_comes_back_by_itself_with_the_store(browser: Browser, servers: Connections, settings: Settings, made: Made) -> None:
    """While a store is down the page says what starts it; once it runs the page shows the list without a hand on it."""
    up = False

    def opening() -> Stores:
        if not up:
            raise ServiceUnavailableError("Postgres does not run", code="postgres_down", hint="`chronos services start` starts it.")
        return open_reading(servers, settings)

    with running(settings, opening) as web, watched(browser, web.url) as watch:
        page = watch.open("/runs")
        assert "chronos services start" in page.inner_text("main")
        up = True
        page.wait_for_selector(f'a[href="/runs/{made.run_id}"]')
