"""What the pages ship: scripts of other projects by hash, no foreign host, no inline script, and names that follow the content."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import numpy as np

import chronos_assets.web
from chronos_assets.web.assets import asset

WEB = Path(chronos_assets.web.__file__).parent
VENDOR = WEB / "static" / "vendor"


def test_every_vendored_file_is_named_with_its_hash_and_licence() -> None:
    """VENDOR.toml names each file, its version and licence text, and the hash of what is there."""
    named = tomllib.loads((VENDOR / "VENDOR.toml").read_text(encoding="utf-8"))["file"]
    assert {one["name"] for one in named} == {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    for one in named:
        assert hashlib.sha256((VENDOR / one["name"]).read_bytes()).hexdigest() == one["sha256"], one["name"]
        assert (VENDOR / one["licence_file"]).stat().st_size > 100, one["licence_file"]


def test_no_template_asks_another_host_or_holds_a_script() -> None:
    """Pages load files of this server only, and carry no inline script or style, so that a strict content security policy holds."""
    for path in (WEB / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(src|srcset)=\"(https?:)?//", text), path.name
        assert not re.search(r"<link[^>]+href=\"(https?:)?//", text), path.name
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|<style|\son\w+=|hx-on|javascript:", text), path.name


def test_the_address_of_a_file_holds_its_digest() -> None:
    """A changed file gets another address, so it may be kept for ever."""
    found = asset("app.css")
    digest = hashlib.sha256((WEB / "static" / "app.css").read_bytes()).hexdigest()[:12]
    assert found.url == f"/static/app.{digest}.css"
    assert found.integrity.startswith("sha384-")


# Linear RGB as people see it who lack one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1.
BLINDNESS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def test_gains_and_losses_differ_for_everybody() -> None:
    """In both themes words and lines stand out from the card, and gain, loss and benchmark from each other without red or green cones."""
    css = (WEB / "static" / "app.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", part)) for part in css.split('[data-theme="dark"] {')[:2])
    for theme in (light, light | dark):
        colours = {name: _linear(text) for name, text in theme.items()}
        for name in ("ink", "soft", "link", "gain", "loss", "hold", "bad"):
            lines_only = 3.0 if name == "hold" else 4.5
            assert _contrast(colours[name], colours["card"]) >= lines_only, name
        for name, matrix in BLINDNESS.items():
            seen = {key: np.clip(np.array(matrix) @ colours[key], 0, 1) for key in ("gain", "loss", "hold")}
            for one, other in (("gain", "loss"), ("gain", "hold"), ("loss", "hold")):
                assert np.abs(_encoded(seen[one]) - _encoded(seen[other])).max() > 0.15, (name, one, other)


def _linear(text: str) -> np.ndarray:
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    values = np.array([int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encoded(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


def _contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Contrast ratio of WCAG 2.2."""
    lighter, darker = sorted((float(np.dot((0.2126, 0.7152, 0.0722), colour)) for colour in (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_what_a_page_loads_stays_small() -> None:
    """As sent: a page's own JavaScript below 15 kB and the style below 12 kB; all scripts below 115 kB, without candles below 42 kB."""
    files = [path for path in (WEB / "static").rglob("*") if path.suffix in {".css", ".js"}]
    sent = {path.name: len(gzip.compress(path.read_bytes(), mtime=0)) for path in files}
    own = sent["app.js"] + sent["charts.js"]
    lines = own + sent["htmx.min.js"] + sent["uPlot.iife.min.js"]
    assert sent["app.css"] <= 12_000
    assert own + sent["candles.js"] + sent["fold.js"] <= 15_000
    assert lines <= 42_000
    assert lines + sent["candles.js"] + sent["lightweight-charts.standalone.production.js"] <= 115_000
