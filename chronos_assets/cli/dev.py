"""`chronos dev`: the servers, the dashboard and API, the Dagster UI and its daemon, until Ctrl-C, and nothing left over afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import requests

from chronos_assets.cli.common import say
from chronos_assets.cli.dev_watch import code_kept_loaded
from chronos_assets.cli.serve import check_bind
from chronos_assets.domain.web_requests import is_loopback, reachable_host
from chronos_assets.errors import ConflictError, ServiceStartError, UsageError
from chronos_assets.services.locks import check_platform
from chronos_assets.settings import Settings, environment_of, load_settings
from chronos_assets.storage.dashboard_address import running_url

START_SECONDS = 180
CODE_SERVER_SECONDS = "3600"  # how long it lives on without a sign of life: the keeper ends it anyway, and computers sleep
# How long Dagster waits for our code to answer. While folds train on every core, a minute (its own limit) is not always enough.
ANSWER_SECONDS = "300"
ANSWER_TIMEOUTS = [f"DAGSTER_{what}GRPC_TIMEOUT_SECONDS" for what in ("", "REPOSITORY_", "SCHEDULE_", "SENSOR_")]
API_SECONDS = 60
_API = [sys.executable, "-W", "ignore", "-c", "from chronos_assets.cli.main import main; main()", "serve"]
_PROCESSES = "chronos_assets.orchestration.dev_processes"
_POLL_SECONDS = 0.25


@click.command()
@click.option("--port", type=int, help="Preferred port of the UI (default: CHRONOS_DAGSTER_PORT, 3000); a free one if it is in use.")
@click.option("--expose", is_flag=True, help="Allow a CHRONOS_DAGSTER_HOST that other machines reach. The UI has no password.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log here, in full, instead of writing it to a file.")
def dev(port: int | None, expose: bool, verbose: bool) -> None:
    """Start the servers, the dashboard, the HTTP API, the Dagster UI and its daemon; Ctrl-C stops all of it."""
    check_platform()
    settings = load_settings(**({"dagster_port": port} if port else {}), **({"dagster_expose": True} if expose else {}))
    _check_bind(settings)
    check_bind(settings)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background commands with it ignored
    _end_like_ctrl_c(signal.SIGHUP)
    with _only_one(settings) as note, _servers(settings) as lines:
        code = _serve(settings, note, lines, verbose=verbose)
    say("stopped")
    if code:
        hint = "Its log is above." if verbose else f"Its log is {_log_path(settings)}."
        raise ServiceStartError("Dagster ended by itself", code="dagster_ended", found=f"exit status {code}", hint=hint)


def _check_bind(settings: Settings) -> None:
    """Refuse an address that other machines reach, unless it was asked for in so many words; then warn."""
    host = settings.dagster_host
    if is_loopback(host):
        return
    if not settings.dagster_expose:
        raise UsageError(
            "the Dagster UI has no password, and other machines can reach this address",
            code="dagster_exposed",
            found=f"CHRONOS_DAGSTER_HOST={host}",
            expected="a loopback address such as 127.0.0.1",
            hint="Use an SSH tunnel, or a proxy that asks for a password. `--expose` (or CHRONOS_DAGSTER_EXPOSE=true) binds it anyway.",
        )
    say(f"warning: everybody who can reach {host} can start, stop and delete runs; the Dagster UI has no password")


@contextmanager
def _servers(settings: Settings) -> Iterator[list[str]]:
    """Start what does not run and yield its addresses; at the end stop it again, unless it ran before."""
    from chronos_assets import services
    from chronos_assets.errors import ServiceUnavailableError
    from chronos_assets.storage.migrate import migrate
    from chronos_assets.storage.postgres import Postgres

    try:
        connections, ours = services.connect(settings, start=False), False
    except ServiceUnavailableError:
        connections, ours = services.start(settings, progress=say), True
    try:
        migrate(Postgres(connections.postgres_dsn))  # the API only reads, and polars would take over Ctrl-C in this process
        postgres = connections.postgres_dsn.rpartition("@")[2]
        yield [f"QuestDB     {connections.questdb_url}  (user {connections.questdb_user})", f"Postgres    {postgres}"]
    finally:
        if ours:
            say("stopping the servers")
            services.stop(settings)
        else:
            say("QuestDB and Postgres ran before and keep running; `chronos services stop` stops them")


def _serve(settings: Settings, note: Path, addresses: list[str], *, verbose: bool) -> int:
    """Run Dagster until it ends or we are told to stop; its exit status, 0 if we stopped it."""
    from chronos_assets.orchestration.dagster_yaml import config_dir
    from chronos_assets.orchestration.instance import fail_dead_runs_of, free_port

    port = free_port(settings.dagster_host, settings.dagster_port)
    url = f"http://{reachable_host(settings.dagster_host)}:{port}"
    for run_id in fail_dead_runs_of(settings):
        say(f"run {run_id} had been cut off; it is marked failed")
    command = [sys.executable, "-W", "ignore", "-m", _PROCESSES, "run", "--host", settings.dagster_host, "--port", str(port)]
    command += [*_target(config_dir()), *(word for name in settings.dagster_hosts for word in ("--also", name))]
    environment = {**os.environ, **environment_of(settings), "DAGSTER_HOME": str(config_dir()), "PYTHONWARNINGS": "ignore"}
    environment["DAGSTER_GRPC_PROXY_HEARTBEAT_TTL_SECONDS"] = CODE_SERVER_SECONDS
    environment |= {name: environment.get(name, ANSWER_SECONDS) for name in ANSWER_TIMEOUTS}
    api_log = None if verbose else _log_path(settings).with_name("api.log")
    with (
        _kept(command, environment, None if verbose else _log_path(settings)) as keeper,
        _kept(_API, environment, api_log, "the API") as api,
    ):
        if not _wait_until_up(url, keeper):
            return keeper.wait()
        note.write_text(json.dumps({"pid": os.getpid(), "url": url}))
        log = [] if verbose else [f"log         {_log_path(settings)}"]
        say("\n".join(["", _api_line(settings, api), f"Dagster UI  {url}", *addresses, *log, "", "Ctrl-C stops all of it."]))
        with code_kept_loaded(url):
            return keeper.wait()


def _api_line(settings: Settings, api: subprocess.Popen[bytes]) -> str:
    """Where the API is, once its process has noted it; why there is none otherwise."""
    from chronos_assets.cli.supervisor import session_members

    deadline = time.monotonic() + API_SECONDS
    while api.poll() is None and time.monotonic() < deadline:
        if any(url := running_url(settings, pid=process.pid) for process in session_members(api.pid)):
            return f"Dashboard   {url}\nHTTP API    {url}/api"
        time.sleep(_POLL_SECONDS)
    return f"Dashboard   does not run; its log is {_log_path(settings).with_name('api.log')}"


def _target(folder: Path) -> list[str]:
    """What Dagster loads: the workspace of the checkout, or the installed module."""
    workspace = folder / "workspace.yaml"
    return ["--workspace", str(workspace)] if workspace.is_file() else []


@contextmanager
def _kept(command: list[str], environment: dict[str, str], log: Path | None, what: str = "Dagster") -> Iterator[subprocess.Popen[bytes]]:
    """`command` below a keeper that ends everything of it as soon as we let go, or die; its output goes to `log` if one is given."""
    reading, writing = os.pipe()
    arguments = [sys.executable, "-m", "chronos_assets.cli.supervisor", str(reading), *command]
    with contextlib.ExitStack() as files:
        output = None if log is None else files.enter_context(log.open("wb"))
        keeper = subprocess.Popen(
            arguments,
            start_new_session=True,
            pass_fds=[reading],
            env=environment,
            cwd=environment["DAGSTER_HOME"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    os.close(reading)
    try:
        yield keeper
    finally:
        if keeper.poll() is None:
            say(f"stopping {what}")
        os.close(writing)
        _patiently(keeper)


def _log_path(settings: Settings) -> Path:
    return settings.home / "dagster" / "dev.log"


def _patiently(keeper: subprocess.Popen[bytes]) -> None:
    """Wait for the keeper; further Ctrl-C do not cut it short, it has limits of its own."""
    while True:
        try:
            keeper.wait()
            return
        except KeyboardInterrupt:
            say("still stopping")


def _wait_until_up(url: str, keeper: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while keeper.poll() is None:
        if time.monotonic() > deadline:
            raise ServiceStartError("the Dagster UI did not answer in time", code="ui_timeout", expected=f"{START_SECONDS} s", found=url)
        try:
            if requests.get(f"{url}/server_info", timeout=2).ok:
                return True
        except requests.RequestException:
            pass  # not listening yet
        time.sleep(_POLL_SECONDS)
    return False


@contextmanager
def _only_one(settings: Settings) -> Iterator[Path]:
    """Hold the lock of `chronos dev` for this home: two daemons on one set of records would start every run twice."""
    from chronos_assets.services.locks import try_lock

    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "dev.json"
    descriptor = try_lock(folder / "dev.lock")
    if descriptor is None:
        raise ConflictError("`chronos dev` already runs for this home", code="dev_running", found=_noted(note), home=settings.home)
    try:
        yield note
    finally:
        note.unlink(missing_ok=True)
        os.close(descriptor)


def _noted(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None  # it is just starting


def _end_like_ctrl_c(number: signal.Signals) -> None:
    """A closed terminal ends `chronos dev` as Ctrl-C does."""

    def end(signum: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    signal.signal(number, end)
