"""Real servers for tests, benchmarks and notebooks: below a temporary home, on ports of their own, gone afterwards.

    from chronos_assets.testing import temporary_stores

    with temporary_stores() as stores:
        ...  # both stores, empty, with all tables

The user's own home and servers are never touched. The folder is named after the process: if that was killed before it could end its
servers, the next one that starts any does it. Nothing of the product imports this module.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from chronos_assets import services
from chronos_assets.errors import ChronosError
from chronos_assets.services import Connections, ports
from chronos_assets.services.places import Places
from chronos_assets.services.postgres_user import shared_base
from chronos_assets.settings import Settings, environment_of, load_settings
from chronos_assets.storage.stores import Stores, open_stores

FOLDER_PREFIX = "chronos-testing-"
_PORTS = ("questdb_http_port", "questdb_pg_port", "questdb_ilp_port", "postgres_port")


@contextmanager
def temporary_stores(*, durable: bool = False, **overrides: Any) -> Iterator[Stores]:
    """Both stores on servers of their own, empty, with all tables. Arguments as for `temporary_servers`."""
    with temporary_servers(durable=durable, **overrides) as (settings, connections):
        yield open_stores(connections, settings)


@contextmanager
def temporary_servers(*, durable: bool = False, **overrides: Any) -> Iterator[tuple[Settings, Connections]]:
    """Start both servers in a temporary folder and end them afterwards; gives their settings and addresses.

    `durable=False` is quick to start: Postgres without fsync, so that nothing survives a power cut, and a QuestDB that never reaches its
    full speed. Benchmarks say True. `overrides` are settings by name. Raises `ServiceStartError`.
    """
    with temporary_settings(**overrides) as settings:
        try:
            yield settings, services.start(settings, durable=durable)
        finally:
            dispose(settings)


@contextmanager
def temporary_settings(**overrides: Any) -> Iterator[Settings]:
    """Settings with home and exports folder in a temporary folder, and free ports; nothing is started."""
    remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)  # Postgres may have to run as another user, who must get there
    exports = folder / "exports"
    exports.mkdir()
    try:
        yield settings_for(**{"home": folder / "home", "exports_dir": exports, **overrides})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """End the servers of processes that were killed before they could: their folder names the process that is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if folder.stat().st_uid != os.geteuid() or not owner.isdigit() or psutil.pid_exists(int(owner)):
            continue
        for state in folder.glob("*/services"):
            with contextlib.suppress(ChronosError):
                dispose(load_settings(home=state.parent))
        shutil.rmtree(folder, ignore_errors=True)


def settings_for(**overrides: Any) -> Settings:
    """The settings of the environment with `overrides`, and free ports for every server whose port they do not name."""
    chosen: list[int] = []
    for _ in _PORTS:
        chosen.append(ports.free(taken=chosen))
    return load_settings(**{**dict(zip(_PORTS, chosen, strict=True)), **overrides})


def dispose(settings: Settings) -> None:
    """Stop what runs below the home of `settings`, and remove what the servers keep outside of it."""
    services.stop(settings)
    shutil.rmtree(shared_base(Places.of(settings)).parent, ignore_errors=True)


def process_environment(settings: Settings) -> dict[str, str]:
    """This process's variables, and those that make a `chronos` process read the same `settings`."""
    return {**os.environ, **environment_of(settings)}
