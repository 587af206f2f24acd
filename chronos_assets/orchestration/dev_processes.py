"""What `chronos dev` runs: one code server, Dagster's web application behind our guard, and its daemon.

`python -m chronos_assets.orchestration.dev_processes run` starts all three and waits; it ends if one of them does. With the word
`webserver` the same module is the web process. `dagster dev` does the same without a guard, and has no place to put one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvicorn
import yaml
from dagster import DagsterInstance
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__ as webserver_version
from starlette.applications import Starlette

from chronos_assets.domain.web_requests import AllowedHosts
from chronos_assets.orchestration.dagster_internals import (
    ModuleTarget,
    ProxyServerManager,
    WorkspaceFileTarget,
    WorkspaceLoadTarget,
    WorkspaceProcessContext,
    configure_loggers,
)
from chronos_assets.orchestration.request_guard import RequestGuard

MODULE = "chronos_assets.orchestration.dev_processes"
_LOG = logging.getLogger("dagster")
_POLL_SECONDS = 1.0
_STOP_SECONDS = 15.0
_LIVE_DATA_MILLISECONDS = 2000
_STATEMENT_TIMEOUT_MILLISECONDS = 15_000
_POOL_RECYCLE_SECONDS = 3600
_POOL_MAX_OVERFLOW = 20


@click.group()
def main() -> None:
    """The processes of `chronos dev`."""
    configure_loggers(log_level="INFO")


@main.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--also", multiple=True, help="A further host name that the web process answers to.")
@click.option("--workspace", type=click.Path(path_type=Path), help="workspace.yaml; the installed module without it.")
def run(host: str, port: int, also: tuple[str, ...], workspace: Path | None) -> None:
    """Start all of it, and wait until one part ends."""
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"
    with DagsterInstance.get() as instance, _code_server(instance, _target(workspace)) as addresses:
        names = [word for name in also for word in ("--also", name)]
        web = [sys.executable, "-m", MODULE, "webserver", "--host", host, "--port", str(port), *names, "--workspace", str(addresses)]
        daemon = [sys.executable, "-m", "dagster._daemon", "run", "--log-level", "info", "--workspace", str(addresses)]
        code = _wait({"the web server": subprocess.Popen(web), "the daemon": subprocess.Popen(daemon)})
    sys.exit(code)


@main.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--also", multiple=True)
@click.option("--workspace", type=click.Path(path_type=Path), required=True)
def webserver(host: str, port: int, also: tuple[str, ...], workspace: Path) -> None:
    """Serve Dagster's web application behind the guard."""
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MILLISECONDS, _POOL_RECYCLE_SECONDS, _POOL_MAX_OVERFLOW)
        with WorkspaceProcessContext(instance, _target(workspace), version=webserver_version) as context:
            app = create_app_from_workspace_process_context(context, "", _LIVE_DATA_MILLISECONDS, lifespan=_quietly)
            guarded = RequestGuard(app, AllowedHosts.of(host, also))
            uvicorn.run(guarded, host=host, port=port, log_level="warning")


def _target(workspace: Path | None) -> WorkspaceLoadTarget:
    if workspace is not None:
        return WorkspaceFileTarget([str(workspace)])
    return ModuleTarget("chronos_assets.definitions", attribute=None, working_directory=None, location_name="chronos_assets")


@contextmanager
def _code_server(instance: DagsterInstance, target: WorkspaceLoadTarget) -> Iterator[Path]:
    """Our code in a process that web server and daemon share, started again if it ends; yields a workspace file with its address."""
    with ProxyServerManager(instance, target) as servers, tempfile.TemporaryDirectory() as folder:
        addresses = Path(folder) / "workspace.yaml"
        addresses.write_text(yaml.safe_dump({"load_from": [dict(entry) for entry in servers.get_code_server_specs()]}))
        yield addresses


def _wait(children: dict[str, subprocess.Popen[bytes]]) -> int:
    """Wait until a child ends (then 1), or Ctrl-C (then 0); the others are ended as well."""
    try:
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    _LOG.error("%s ended by itself with exit status %s", name, child.returncode)
                    return 1
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children.values():
            child.terminate()
        for child in children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_SECONDS)
            child.kill()


@contextlib.asynccontextmanager
async def _quietly(app: Starlette) -> AsyncIterator[None]:
    """No traceback if Ctrl-C ends the server (encode/uvicorn issue 1160)."""
    import asyncio

    with contextlib.suppress(asyncio.CancelledError):
        yield


if __name__ == "__main__":
    main()
