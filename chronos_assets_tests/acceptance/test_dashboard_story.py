"""A trader's first minutes with the dashboard: the demo, the address that it prints, and the way from there to the origin of a trade."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from chronos_assets.services import ports
from chronos_assets_tests.support.browser import browser, watched
from chronos_assets_tests.support.dev_process import PATIENCE_SECONDS

CHRONOS = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()"]


@pytest.fixture
def environment(cli_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**cli_environment, "CHRONOS_EXPORTS_DIR": str(tmp_path / "exports"), "CHRONOS_API_PORT": str(ports.free())}


def test_from_the_demo_to_the_origin_of_its_first_trade(environment: dict[str, str]) -> None:
    """The demo ends with an address; two clicks lead from it to trade 1, whose numbers are those of `chronos trace --json`."""
    with subprocess.Popen([*CHRONOS, "serve"], env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            made = subprocess.run([*CHRONOS, "demo"], env=environment, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            [address] = re.findall(r"See it: (http://127\.0\.0\.1:\d+/runs/\S+)$", made.stdout, re.MULTILINE)
            origin = address.partition("/runs/")[0]
            _wait_for(f"{origin}/api/health")
            with browser() as found, watched(found, origin) as watch:
                page = watch.page
                page.goto(address)
                page.click("a[href^='/simulations/']:not([href*='?'])")
                page.wait_for_url("**/simulations/*")
                page.click("tr[data-entry] th a:text-is('1')")
                page.wait_for_url("**/trades/1")
                shown = {name: page.inner_text(f"[data-fact='{name}']") for name in ("pnl", "position_size", "entry_price", "exit_price")}
                words = page.inner_text("main")
                watch.must_be_clean()
                trade = page.url.partition("/simulations/")[2].replace("/trades", "")
        finally:
            server.terminate()
            server.communicate(timeout=PATIENCE_SECONDS)
    command = [*CHRONOS, "trace", trade, "--json"]
    traced: dict[str, Any] = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert _number(shown["pnl"]) == pytest.approx(traced["pnl"], abs=0.005)
    for name in ("position_size", "entry_price", "exit_price"):
        assert _number(shown[name]) == pytest.approx(traced[name], rel=1e-5), name
    assert traced["model"]["reproduces_prediction"]
    for text in (
        traced["decision_time"],
        traced["model"]["sha256"],
        traced["file"]["checksum"],
        traced["run"]["run_id"],
        "yes, to the bit",
    ):
        assert text in words


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            requests.get(url, timeout=30)
            return
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.1)
