"""What every test may ask for: real servers (started once per run, on ports and in a home of their own), settings, stores, a fresh slug.

The user's servers, home and `CHRONOS_*` variables are never touched: the variables are taken out of the environment before the
first test, except where the QuestDB jar is, which a test run may share.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from chronos_assets import services
from chronos_assets.errors import ChronosError
from chronos_assets.services import Connections, ports
from chronos_assets.services.places import Places
from chronos_assets.services.postgres_user import shared_base
from chronos_assets.settings import PREFIX, Settings, load_settings

_HOME_PREFIX = "chronos-tests-"
_FOREIGN_PREFIXES = (PREFIX, "DAGSTER_")
_CONFIG = f"{PREFIX}CONFIG"  # the null device: no settings file
_numbers = itertools.count(1)
_jar_settings: dict[str, Any] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Forget the user's settings, so that no test can reach the user's servers.

    And hear Ctrl-C: a suite that was started in the background by a shell ignores it, and so would every process that tests interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    shared = {f"{PREFIX}CACHE", f"{PREFIX}QUESTDB_JAR"}
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES) and name not in shared]:
        del os.environ[name]
    os.environ[_CONFIG] = os.devnull
    own = load_settings()
    _jar_settings.update({"cache": own.cache, "questdb_jar": own.questdb_jar})
    for name in shared:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def test_home() -> Iterator[Path]:
    """The home of this run's servers, removed with them at the end."""
    _remove_abandoned_homes()
    home = Path(tempfile.mkdtemp(prefix=f"{_HOME_PREFIX}{os.getpid()}-"))
    home.chmod(0o755)  # Postgres may have to run as another user, who must get there
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def settings(test_home: Path) -> Settings:
    """Settings of this run: own home, own exports folder, free ports; the jar is shared with the user's cache."""
    exports = test_home / "exports"
    exports.mkdir()
    return settings_for(home=test_home / "home", exports_dir=exports)


@pytest.fixture(scope="session")
def servers(settings: Settings) -> Iterator[Connections]:
    """Real servers, started once per run and stopped at its end, however it ends."""
    try:
        yield services.start(settings, durable=False)
    finally:
        dispose(settings)


@pytest.fixture
def make_settings(test_home: Path) -> Iterator[Callable[..., Settings]]:
    """Makes settings with a fresh home each, for tests that start, kill and stop servers of their own."""
    made: list[Settings] = []

    def make(**overrides: Any) -> Settings:
        made.append(settings_for(**{"home": test_home / f"own-{next(_numbers)}", **overrides}))
        return made[-1]

    yield make
    for settings in made:
        dispose(settings)
        shutil.rmtree(settings.home, ignore_errors=True)


@pytest.fixture
def stores(servers: Connections, settings: Settings) -> Any:
    """Open stores on the servers of this run, with all tables there."""
    from chronos_assets.storage.stores import open_stores

    return open_stores(servers, settings)


@pytest.fixture
def unique_slug() -> str:
    """A slug that no other test of any run has used."""
    return f"t{next(_numbers)}{secrets.token_hex(4)}_1d_v1"


@pytest.fixture
def cli_environment(servers: Connections, settings: Settings) -> dict[str, str]:
    """The environment of a `chronos` process that shall use the servers of this run."""
    own = {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set if getattr(settings, name)}
    return {**os.environ, **own}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings read inside a test come from the test: variables that another one left are gone, the home is a temporary one."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(_CONFIG, os.devnull)
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path_factory.getbasetemp() / "no-servers-here"))


def settings_for(**overrides: Any) -> Settings:
    """Settings with free ports of their own."""
    chosen: list[int] = []
    for _ in range(4):
        chosen.append(ports.free(taken=chosen))
    names = ("questdb_http_port", "questdb_pg_port", "questdb_ilp_port", "postgres_port")
    return load_settings(**{**_jar_settings, **dict(zip(names, chosen, strict=True)), **overrides})


def dispose(settings: Settings) -> None:
    """Stop what runs below the home of `settings` and remove what lies outside of it."""
    services.stop(settings)
    shutil.rmtree(shared_base(Places.of(settings)).parent, ignore_errors=True)


def _remove_abandoned_homes() -> None:
    """End the servers of earlier runs that were killed before they could: their folder names the process that is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_HOME_PREFIX}*"):
        owner = folder.name.removeprefix(_HOME_PREFIX).partition("-")[0]
        if folder.stat().st_uid != os.geteuid() or not owner.isdigit() or psutil.pid_exists(int(owner)):
            continue
        for state in folder.glob("*/services"):
            with contextlib.suppress(ChronosError):
                dispose(load_settings(home=state.parent))
        shutil.rmtree(folder, ignore_errors=True)
