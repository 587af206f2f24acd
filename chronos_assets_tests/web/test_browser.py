"""The dashboard in a real browser: every page in both themes, without a script, narrow, by keyboard, and while a store comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Page

from chronos_assets import services
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.walkforward.sweep import run_sweep
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.stores import open_stores
from chronos_assets_tests.support.browser import DRAWN, RULES_OF_COLOURS, watched
from chronos_assets_tests.support.browser import browser as a_browser
from chronos_assets_tests.support.trained_market import WALK, train
from chronos_assets_tests.support.web_process import Web, running

SLUG = "browsed_1d_v1"
NARROW = {"width": 360, "height": 740}


@dataclass(frozen=True)
class Made:
    """What the pages show."""

    run_id: str
    simulation_id: str
    lfs_id: str
    sweep_id: str
    others: tuple[str, ...]

    def pages(self) -> list[str]:
        """Every kind of page, full, empty and in error."""
        simulation, run = f"/simulations/{self.simulation_id}", f"/runs/{self.run_id}"
        lfs = [f"/lfs/{self.lfs_id}?tab={tab}" for tab in ("table", "over-time", "pairs", "null", "setup")]
        full = ["/", "/datasets", f"/datasets/{SLUG}", self.run_list(), run, f"{run}?folds=loss&side=long", f"{run}/folds/1"]
        full += [f"/runs/compare?runs={','.join((self.run_id, *self.others))}&all=1", f"/search?q={SLUG[:5]}", "/api/docs"]
        full += ["/simulations", simulation, f"{simulation}?print=1", f"{simulation}/trades/1"]
        full += ["/lfs", f"/lfs/new?dataset={SLUG}&permutations=3&end_row=all&estimate=1", *lfs, "/sweeps", f"/sweeps/{self.sweep_id}"]
        empty = ["/datasets?q=zzz", "/runs?dataset=nothing_1d_v1", "/simulations?q=zzz", "/sweeps?dataset=nothing_1d_v1"]
        empty += [f"{simulation}?pnl_lt=-1000000000", f"{run}?folds=notes", f"/lfs/{self.lfs_id}?max_p=0", "/search?q=zzzz", "/login"]
        return [*full, *empty, *WRONG]

    def run_list(self) -> str:
        """The list of runs with chosen columns and a run kept on top."""
        columns = "&".join(f"columns={name}" for name in ("dataset", "factor", "running", "cases", "by"))
        return f"/runs?sort=-both.signal_sum&{columns}&pin={self.run_id}"


# Addresses that are answered by an error; the browser itself notes their status.
WRONG = ("/nothing-here", "/runs/6a1f0c52-0000-5000-8000-000000000000", "/runs?min_pf=much", "/lfs/new?dataset=none_1d_v1&estimate=1")


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
    others = tuple(trial.run_id for trial in sweep.trials if trial.run_id is not None)[:2]
    return Made(run_id, simulation.simulation_id, request.lfs_id, sweep.sweep_id, others)


@pytest.fixture(scope="module")
def web(servers: Connections, settings: Settings, made: Made) -> Iterator[Web]:
    assert made.run_id  # it is stored
    with running(settings, lambda: open_reading(servers, settings)) as web:
        yield web


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


# 190 mm at 96 pixels an inch.
A4_PIXELS = 718
# What reaches beyond a width, or is cut by a box that scrolls.
BEYOND = """(width) => [...document.querySelectorAll("body, body *")].filter((one) => {
  const place = one.getBoundingClientRect(), style = getComputedStyle(one);
  const cut = one.scrollWidth > one.clientWidth + 1 && /auto|scroll|hidden/.test(style.overflowX) && one.clientWidth > 0;
  const apart = one.closest("svg, .chart.price, details:not([open])");
  return !apart && place.width > 0 && style.position !== "absolute" && (place.right > width + 1 || cut);
}).map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`)"""


def test_every_page_is_accessible_narrow_and_asks_nobody_else(browser: Browser, web: Web, made: Made) -> None:
    """In both themes axe finds nothing; the console is quiet, no other host is asked, the policy refuses nothing.

    At 360 pixels, and at 200 % of a window of 1,280, tables scroll in their boxes and the page does not scroll sideways. On paper nothing
    is wider than A4 between margins of 10 mm, and nothing is cut off by a box.
    """
    with watched(browser, web.url, axe=True) as watch:
        for path in made.pages():
            page = watch.open(path)
            assert watch.violations() == [], path
            page.emulate_media(color_scheme="dark")
            assert watch.violations(*RULES_OF_COLOURS) == [], path
            for width in (NARROW["width"], 640):
                page.set_viewport_size({"width": width, "height": NARROW["height"]})
                page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
            page.set_viewport_size({"width": 1280, "height": 800})
            page.emulate_media(media="print")
            page.set_viewport_size({"width": A4_PIXELS, "height": 1000})
            assert page.evaluate(BEYOND, A4_PIXELS) == [], path
            page.emulate_media(media="screen")
            page.set_viewport_size({"width": 1280, "height": 800})
            if path in WRONG:
                watch.errors.clear()
            watch.must_be_clean()
            page.emulate_media(color_scheme="light")


def test_every_view_is_an_address(browser: Browser, web: Web, made: Made) -> None:
    """A reload, and a visit elsewhere and back, show what the address says: filters, columns, pins, tabs, zoom, sliders."""
    simulation, run = f"/simulations/{made.simulation_id}", f"/runs/{made.run_id}"
    addresses = [
        made.run_list(),
        f"{run}?side=short&folds=signals&from=2018-01-01T00:00:00Z",
        f"{run}/folds/1?long=0.001&short=off",
        f"{simulation}?side=long&pnl_lt=0&sort=-pnl&scale=log",
        f"/lfs/{made.lfs_id}?tab=over-time",
        f"/lfs/new?dataset={SLUG}&feature=SIGNAL&permutations=19",
    ]
    with watched(browser, web.url) as watch:
        for address in addresses:
            page = watch.open(address)
            shown = state(page)
            page.reload()
            page.wait_for_function(DRAWN)
            assert state(page) == shown, address
            page.click("header nav a:has-text('Datasets')")
            page.wait_for_url("**/datasets")
            page.go_back()
            page.wait_for_function(DRAWN)
            assert state(page) == shown, address
        watch.must_be_clean()


def state(page: Page) -> list[Any]:
    """What a reader sees of a page: its words, and what its fields hold."""
    fields = "[...document.querySelectorAll('main input, main select')].map((one) => [one.name, one.type, one.value, one.checked])"
    return [page.inner_text("main"), page.evaluate(fields)]


def test_a_form_and_its_address_choose_the_same_trades_as_the_download(browser: Browser, web: Web, made: Made, tmp_path: Path) -> None:
    """A filter without a reload is in the address; the Parquet above the table has its count and sums; back shows all trades again."""
    with watched(browser, web.url, accept_downloads=True) as watch:
        page = watch.open(f"/simulations/{made.simulation_id}")
        everything = page.inner_text("#part > p")
        page.select_option('select[name="side"]', "long")
        page.fill('input[name="pnl_lt"]', "0")
        with page.expect_response(lambda answer: "pnl_lt=0" in answer.url):
            page.click("#trades form button")
        page.wait_for_url("**side=long**pnl_lt=0**")
        page.wait_for_function("text => document.querySelector('#part > p').innerText !== text", arg=everything)
        said = page.inner_text("#part > p")
        with page.expect_download() as waiting:
            page.click("#part a:has-text('parquet')")
        path = tmp_path / "trades.parquet"
        waiting.value.save_as(path)
        table = pl.read_parquet(path)
        count, pnl = re.findall(r"^(\d+) of \d+ trades: P&L \u2212?([\d,.]+),", said)[0]
        assert (table.height, set(table["side"])) == (int(count), {"long"})
        assert f"{-float(table['pnl'].sum()):,.2f}" == pnl
        assert page.locator("tr[data-entry]").count() == table.height > 0
        page.go_back()
        page.wait_for_function("text => document.querySelector('#part > p').innerText === text", arg=everything)
        watch.must_be_clean()


def test_sliders_count_the_signals_of_a_fold_again(browser: Browser, web: Web, made: Made) -> None:
    """At the fold's own thresholds they give the stored counts; with a side off it has none; the address keeps the choice."""
    with watched(browser, web.url) as watch:
        page = watch.open(f"/runs/{made.run_id}/folds/1")
        place = page.locator("#what-if")
        metrics = web.get(f"/api/walkforward/runs/{made.run_id}/folds/1")["metrics"]
        counts = [place.locator(f'tr[data-side="{side}"] td').first.inner_text() for side in ("long", "short", "both")]
        assert counts == [str(metrics[side]["n_signals"]) for side in ("long", "short", "both")]
        place.locator('input[name="long-off"]').check()
        assert place.locator('tr[data-side="long"] td').first.inner_text() == "0"
        assert "long=off" in page.url
        watch.must_be_clean()


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


def test_a_page_comes_back_by_itself_with_the_servers(browser: Browser, make_settings: Callable[..., Settings]) -> None:
    """Servers stop under an open page: it says so and what starts them, and shows itself again once they run, without a hand on it."""
    own = make_settings()
    services.start(own, durable=False)
    with running(own, lambda: open_reading(services.connect(own, start=False), own)) as web, watched(browser, web.url, axe=True) as watch:
        page = watch.open("/runs")
        assert "No run matches" in page.inner_text("main")
        assert "postgres ok" in page.inner_text("footer")
        services.stop(own)
        page.reload()
        page.wait_for_selector("main:has-text('A store is down')")
        page.wait_for_selector("main:has-text('chronos services start')")
        page.wait_for_selector("[data-retry]:has-text('Next in')")
        page.wait_for_selector("footer:has-text('postgres down')")
        assert watch.violations() == []
        page.emulate_media(color_scheme="dark")
        assert watch.violations(*RULES_OF_COLOURS) == []
        services.start(own, durable=False)
        page.wait_for_selector("text=No run matches")


def test_keys_are_listed_and_can_be_turned_off(browser: Browser, web: Web, made: Made) -> None:
    """`?` lists the keys; turned off there they do nothing, also on the next page; zoom keys change the address."""
    with watched(browser, web.url, axe=True) as watch:
        page = watch.open(f"/simulations/{made.simulation_id}")
        page.keyboard.press("+")
        page.wait_for_url("**from=**")
        page.keyboard.press("0")
        page.wait_for_url(lambda url: "from=" not in url)
        page.keyboard.press("?")
        page.wait_for_selector("dialog#keys[open]")
        assert watch.violations() == []
        page.uncheck("#keys-on")
        page.keyboard.press("Escape")
        watch.open("/runs")
        page.keyboard.press("g")
        page.keyboard.press("s")
        page.keyboard.press("?")
        page.wait_for_selector("dialog#keys[open]")
        assert page.url.endswith("/runs")
        page.check("#keys-on")
        watch.must_be_clean()
