"""What every test may ask for: real servers (started once per run, on ports and in a home of their own), settings, stores, a fresh slug.

The user's servers, home and `CHRONOS_*` variables are never touched: the variables are taken out of the environment before the
first test, except where the QuestDB jar is, which a test run may share.
"""

from __future__ import annotations

import gc
import itertools
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_assets import services, testing
from chronos_assets.services import Connections
from chronos_assets.settings import PREFIX, Settings, load_settings
from chronos_assets.testing import dispose, process_environment

SERVERS = "servers"
LONG_FIRST = ("acceptance", "faults", "web", "orchestration", "pipeline", "learning", "services", "cli", "storage")
_FOREIGN_PREFIXES = (PREFIX, "DAGSTER_")
_CONFIG = f"{PREFIX}CONFIG"  # the null device: no settings file
_numbers = itertools.count(1)
# A quarter of the time that imports and collection take goes into looking for cycles among what lives to the end anyway.
gc.set_threshold(50_000, 20, 50)
_compiling: list[Any] = []
_shared: dict[str, Any] = {"start_timeout_seconds": 600.0}  # for machines that do much else at the same time


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
    _shared.update({"cache": own.cache, "questdb_jar": own.questdb_jar})
    for name in shared:
        os.environ.pop(name, None)


def pytest_sessionstart(session: pytest.Session) -> None:
    """In a fresh checkout, compile the simulation once while the processes of the tests collect, and not in each that needs it."""
    if getattr(session.config.option, "numprocesses", None):  # of the process that starts those of the tests, and only of that one
        from chronos_assets.cli.compiling import Compiling

        _compiling.append(Compiling().__enter__())


def pytest_sessionfinish(exitstatus: int) -> None:
    """Note that it is compiled, for the next run."""
    for one in _compiling:
        if exitstatus != pytest.ExitCode.INTERRUPTED:
            one.wait(lambda *_: None)
        one.__exit__(None, None, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need servers: those whose fixtures lead to their settings. Folders that take long go first.

    With two processes the suite ends when its last file does; a file of minutes that starts last is minutes in which one of them rests.
    """
    for item in items:
        if "settings" in getattr(item, "fixturenames", ()):
            item.add_marker(SERVERS)
    folders = {name: number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(folders)))


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """Settings of this run: own home, own exports folder, free ports; the jar is shared with the user's cache."""
    with testing.temporary_settings(**_shared) as settings:
        yield settings


@pytest.fixture(scope="session")
def test_home(settings: Settings) -> Path:
    """The folder below which this run's servers live, removed with them at the end."""
    return settings.home.parent


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


@pytest.fixture(scope="session")
def opened_stores(servers: Connections, settings: Settings) -> Any:
    """Open stores on the servers of this run, with all tables there; opened once, for a test pays more for that than for most else."""
    from chronos_assets.storage.stores import open_stores

    return open_stores(servers, settings)


@pytest.fixture
def stores(opened_stores: Any) -> Any:
    """The stores of this run. A test that drops a table, or stops a server, starts servers of its own."""
    return opened_stores


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[str, int]]:
    """Host and port of a server of the S3 protocol in this process, started once per run and only if a test asks for it."""
    from chronos_assets_tests.support.s3_server import s3_server

    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3_server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in that server, as the setting `artifacts` takes it; the environment has credentials and endpoint."""
    from chronos_assets_tests.support.s3_server import BUCKET, environment

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(6)}"


@pytest.fixture
def bucket_proxy(s3_server: tuple[str, int], bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A proxy before that server: what stores that are opened afterwards say to it passes through, and is not repeated."""
    from chronos_assets.storage.artifacts import s3
    from chronos_assets_tests.support.tcp_proxy import CuttingProxy

    monkeypatch.setattr(s3, "RETRIES", 0)
    with CuttingProxy(*s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        yield proxy


@pytest.fixture
def unique_slug() -> str:
    """A slug that no other test of any run has used."""
    return f"t{next(_numbers)}{secrets.token_hex(4)}_1d_v1"


@pytest.fixture
def cli_environment(servers: Connections, settings: Settings) -> dict[str, str]:
    """The environment of a `chronos` process that shall use the servers of this run."""
    return process_environment(settings)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings read inside a test come from the test: variables that another one left are gone, the home is a temporary one."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(_CONFIG, os.devnull)
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path_factory.getbasetemp() / "no-servers-here"))


def settings_for(**overrides: Any) -> Settings:
    """Settings with free ports of their own, and the shared jar."""
    return testing.settings_for(**{**_shared, **overrides})
