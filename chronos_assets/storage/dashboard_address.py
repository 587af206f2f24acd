"""Where the dashboard of a home is: `chronos serve` notes its address while it runs, for all that print or store links to pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from chronos_assets.domain.web_requests import reachable_host
from chronos_assets.settings import Settings


@contextmanager
def noted(settings: Settings, url: str) -> Iterator[None]:
    """Note `url` as the address of this process's dashboard, as long as the block runs."""
    from chronos_assets.storage.atomic_write import write_file

    note = _path(settings)
    write_file(note, json.dumps({"pid": os.getpid(), "url": url}).encode())
    try:
        yield
    finally:
        if (found := _read(note)) is not None and found[0] == os.getpid():
            note.unlink(missing_ok=True)


def running_url(settings: Settings, *, pid: int | None = None) -> str | None:
    """The address of the dashboard that runs for this home (as process `pid`, if given), or None."""
    found = _read(_path(settings))
    if found is None or not psutil.pid_exists(found[0]) or pid not in {None, found[0]}:
        return None
    return found[1]


def dagster_url(settings: Settings) -> str | None:
    """The address of the Dagster UI that `chronos dev` runs for this home, or None."""
    found = _read(settings.home / "dagster" / "dev.json")
    return found[1] if found is not None and psutil.pid_exists(found[0]) else None


def page_address(settings: Settings, path: str) -> str:
    """The address of a page: on the dashboard that runs, else where `chronos serve` will put it if its port is free."""
    usual = f"http://{reachable_host(settings.api_host)}:{settings.api_port}"
    return f"{running_url(settings) or usual}{settings.api_root_path.rstrip('/')}{path}"


def _path(settings: Settings) -> Path:
    return settings.home / "web" / "api.json"


def _read(note: Path) -> tuple[int, str] | None:
    try:
        document = json.loads(note.read_text(encoding="utf-8"))
        return int(document["pid"]), str(document["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
