"""What the pages ship: scripts of other projects by hash, no foreign host, no inline script, and names that follow the content."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

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
