"""The line that ends a command which made something: where its page is."""

from __future__ import annotations

from chronos_assets.settings import Settings
from chronos_assets.storage.dashboard_address import page_address, running_url


def page_line(settings: Settings, path: str) -> str:
    """`See it: ADDRESS`, and what starts the dashboard if it does not run."""
    start = "" if running_url(settings) else " (`chronos serve` starts the dashboard)"
    return f"See it: {page_address(settings, path)}{start}"
