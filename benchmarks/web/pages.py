"""How fast pages come up in a browser on a large store: the figures of the dashboard.

    .venv/bin/python -m benchmarks.web.pages [--runs 10000] [--bars 1000000] [--trades 100000] [--loads 20]

For each page, p95 over the loads: until the server's first byte, until the largest content is painted (LCP), until charts are drawn; the
bytes transferred by a first visit and by a later one, scripts among them; the longest task. Then the filter of trades and the zoom of the
long equity, eight tabs at once, and the heap of one tab over 50 page changes. Needs Chrome or Chromium, as the browser tests do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.web.__main__ import served
from benchmarks.web.store import BIG_RUN, BIG_SIMULATION, Size, fill, fill_selection
from chronos_assets.storage.stores import open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets_tests.support.browser import DRAWN, browser

WATCH = """
window.__lcp = 0; window.__longest = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.__lcp = one.startTime; })
  .observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.__longest = Math.max(window.__longest, one.duration); })
  .observe({ type: "longtask", buffered: true });
"""
READ = """() => {
  const page = performance.getEntriesByType("navigation")[0], files = performance.getEntriesByType("resource");
  const bytes = (list) => list.reduce((total, one) => total + one.transferSize, 0);
  return { server: page.responseStart - page.requestStart, lcp: window.__lcp, longest: window.__longest,
    sent: page.transferSize + bytes(files), scripts: bytes(files.filter((one) => one.initiatorType === "script")) };
}"""


@dataclass(frozen=True)
class Target:
    """A page and its limits: milliseconds of the server, of painting, kB of a first visit and of a later one."""

    name: str
    path: str
    server: float
    painted: float
    first_kb: float
    later_kb: float | None = None


def targets(lfs_id: str) -> tuple[Target, ...]:
    """The pages of the specification."""
    return (
        Target("/runs", "/runs", 80, 400, 60, 12),
        Target("/runs/{id}, 500 folds", f"/runs/{BIG_RUN}", 150, 600, 110),
        Target("/simulations/{id}", f"/simulations/{BIG_SIMULATION}", 250, 900, 220),
        Target("/lfs/{id}, over time", f"/lfs/{lfs_id}?tab=over-time", 120, 500, 60),
    )


def main() -> None:
    """Fill a store, serve it, and look at it with a browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 10_000), ("bars", 1_000_000), ("trades", 100_000), ("loads", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections):
        stores = open_stores(connections, settings)
        fill(stores, Size(runs=asked.runs, bars=asked.bars, trades=asked.trades))
        lfs_id = fill_selection(stores)
        print(f"store filled; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        with served(settings) as (url, _), browser() as found:
            for target in targets(lfs_id):
                measure(found, url, target, asked.loads)
            act(found, url, asked.loads)
            tabs(found, url)
            heap(found, url)


def measure(found: Browser, url: str, target: Target, loads: int) -> None:
    """One page: a first visit with an empty cache, then `loads` later ones."""
    context = _context(found)
    page = context.new_page()
    first, cold = _visit(page, url + target.path)
    later = [_visit(page, url + target.path) for _ in range(loads)]
    server, lcp = (p95([one[name] for one, _ in later]) for name in ("server", "lcp"))
    kept = statistics.median(one["sent"] for one, _ in later) / 1000
    limit = "" if target.later_kb is None else f" (at most {target.later_kb:g})"
    drawn, longest = p95([milliseconds for _, milliseconds in later]), max(one["longest"] for one, _ in later)
    print(target.name)
    print(f"  server   {server:6.0f} ms (at most {target.server:g}), cold {first['server']:.0f}")
    print(f"  painted  {lcp:6.0f} ms (at most {target.painted:g}); with charts {drawn:.0f}, cold {cold:.0f}")
    scripts = first["scripts"] / 1000
    print(f"  sent     {first['sent'] / 1000:6.0f} kB (at most {target.first_kb:g}), {scripts:.0f} of scripts; later {kept:.0f}{limit}")
    print(f"  longest task {longest:.0f} ms (at most 100)")
    context.close()


def act(found: Browser, url: str, times: int) -> None:
    """The filter of trades, and the zoom of the long equity, each from the click to what it shows."""
    context = _context(found)
    page = context.new_page()
    _visit(page, f"{url}/simulations/{BIG_SIMULATION}")
    filters, zooms, sent = [], [], 0.0
    for number in range(times):
        page.fill('input[name="pnl_lt"]', str(-number - 1))
        begun = time.perf_counter()
        with page.expect_response(lambda answer: "pnl_lt=" in answer.url) as waiting:
            page.click("#trades form button")
        page.wait_for_function("text => document.querySelector('#part > p') && location.search.includes(text)", arg=f"pnl_lt=-{number + 1}")
        filters.append(1000 * (time.perf_counter() - begun))
        sent = float(waiting.value.request.sizes()["responseBodySize"])
    page.evaluate("document.activeElement.blur()")
    for _ in range(min(times, 10)):
        begun = time.perf_counter()
        with page.expect_response(lambda answer: "/equity?" in answer.url) as waiting:
            page.keyboard.press("+")
        waiting.value.finished()
        page.wait_for_function(DRAWN)
        zooms.append(1000 * (time.perf_counter() - begun))
    print(f"{'filter of trades':<24} {p95(filters):6.0f} ms (at most 250), {sent / 1000:.0f} kB (at most 12)")
    size = waiting.value.request.sizes()["responseBodySize"] / 1000
    print(f"{'zoom of the equity':<24} {p95(zooms):6.0f} ms (at most 100), {size:.0f} kB (at most 60)")
    context.close()


# Without a window every tab counts as shown. This says what a browser tells a tab that another one covers.
HIDE = """() => {
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def tabs(found: Browser, url: str, count: int = 8) -> None:
    """Eight tabs of live pages in one window, each covered by the next: how long the last one takes to load."""
    context = _context(found)
    seconds = 0.0
    for _ in range(count):
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(f"{url}/runs", wait_until="load")
        seconds = time.perf_counter() - begun
        page.evaluate(HIDE)
    print(f"{f'tab {count} of {count}':<24} {1000 * seconds:6.0f} ms (at most 1,000)")
    context.close()


def heap(found: Browser, url: str, changes: int = 50) -> None:
    """The heap of a tab before and after many page changes, garbage collected."""
    context = _context(found)
    page = context.new_page()
    session = context.new_cdp_session(page)
    paths = ("/runs", f"/runs/{BIG_RUN}", f"/simulations/{BIG_SIMULATION}", "/")

    def used() -> float:
        page.goto(f"{url}/runs", wait_until="load")
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    before = used()
    for number in range(changes):
        page.goto(url + paths[number % len(paths)], wait_until="load")
    print(f"{'heap over 50 changes':<24} {before:.1f} -> {used():.1f} MB (at most 5 more)")
    context.close()


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, of few values the largest but one."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def _context(found: Browser) -> BrowserContext:
    context = found.new_context(viewport={"width": 1300, "height": 900})
    context.add_init_script(WATCH)
    return context


def _visit(page: Page, address: str) -> tuple[dict[str, Any], float]:
    """What the browser measured of one visit, and the milliseconds until its charts are drawn."""
    begun = time.perf_counter()
    answer = page.goto(address, wait_until="load")
    assert answer is not None
    assert answer.ok, f"{address}: {answer.status}"
    page.wait_for_function(DRAWN)
    drawn = 1000 * (time.perf_counter() - begun)
    found: dict[str, Any] = page.evaluate(READ)
    return found, drawn


if __name__ == "__main__":
    main()
