"""A real browser for tests: the system's Chrome or Chromium, else Playwright's own, else Debian's package if we are root. Never skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
INSTALL_SECONDS = 400
RULES_OF_COLOURS = ("color-contrast", "link-in-text-block")  # all that axe asks of colours: what another theme may change
PATIENCE_MS = 120_000  # for machines that do much else at the same time
# What the page's policy refuses is noted before any script of the page runs.
NOTE_VIOLATIONS = """
window.__refused = [];
document.addEventListener("securitypolicyviolation", (e) => window.__refused.push(`${e.blockedURI} ${e.violatedDirective}`));
"""
# Every chart that a script draws is drawn, and the footer says how the stores are.
DRAWN = """() => {
  const charts = [...document.querySelectorAll(".chart[data-series], .chart[data-columns]")], stores = document.getElementById("stores");
  return charts.every((box) => box.querySelector("canvas, .notice")) && (!stores || stores.textContent !== "");
}"""


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser; fails in one sentence if none is found and none can be installed."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        path = find_browser()
        launched = playwright.chromium.launch(executable_path=path, args=arguments, timeout=PATIENCE_MS)
        try:
            yield launched
        finally:
            launched.close()


def find_browser() -> str | None:
    """The path of a browser; None: the one that Playwright has downloaded."""
    given = os.environ.get("CHRONOS_TEST_BROWSER")
    if found := given or next(filter(None, map(shutil.which, NAMES)), None):
        return found
    if MAC.exists():
        return str(MAC)
    if _succeeds(sys.executable, "-m", "playwright", "install", "chromium"):
        return None
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        _succeeds("apt-get", "update", "-q")
        _succeeds("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium")
        if found := shutil.which("chromium"):
            return found
    raise AssertionError(
        "the tests of the pages need Chrome or Chromium: none is installed, Playwright could not download one, and apt-get could not "
        "install it. Install Chromium, or point CHRONOS_TEST_BROWSER at a browser."
    )


def _succeeds(*command: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, capture_output=True, timeout=INSTALL_SECONDS, check=False, env=environment).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass
class Watched:
    """A page whose console, requests and refusals are noted."""

    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to `path` and wait until its charts are drawn and the stores' state is told: a live page never has an idle network."""
        self.page.goto(self.origin + path, wait_until="load")
        self.page.wait_for_function(DRAWN)
        return self.page

    def must_be_clean(self) -> None:
        """No error in the console, no request to another host, nothing refused by the policy."""
        refused = self.page.evaluate("window.__refused")
        assert (self.errors, self.foreign, refused) == ([], [], []), self.page.url

    def violations(self, *rules: str) -> list[str]:
        """What axe finds by `rules` (default: by all that it has on): rule and place. For a page that is watched with `axe`."""
        only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found: dict[str, Any] = self.page.evaluate("options => axe.run(document, options)", {"resultTypes": ["violations"], **only})
        return [f"{one['id']}: {node['target']} {node['failureSummary'][:200]}" for one in found["violations"] for node in one["nodes"][:3]]


@contextmanager
def watched(browser: Browser, origin: str, *, axe: bool = False, **options: Any) -> Iterator[Watched]:
    """A new context with one page, which axe can judge if asked for. `options`: those of Playwright's `new_context`."""
    context: BrowserContext = browser.new_context(**options)
    if axe:
        context.add_init_script(AXE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    watch = Watched(page, origin)
    page.add_init_script(NOTE_VIOLATIONS)
    page.on("console", lambda message: watch.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((origin, "data:", "blob:")) else watch.foreign.append(request.url))
    try:
        yield watch
    finally:
        context.close()
