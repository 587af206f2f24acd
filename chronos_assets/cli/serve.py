"""`chronos serve`: the dashboard and the HTTP API, until Ctrl-C. It starts no servers: while a store is down, answers name it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType

import click

from chronos_assets.cli.allocator import return_memory_early
from chronos_assets.cli.common import say
from chronos_assets.domain.web_requests import is_loopback, reachable_host
from chronos_assets.errors import UsageError
from chronos_assets.settings import Settings, load_settings
from chronos_assets.storage.dashboard_address import noted

# How long answers under way may take once the server is told to stop.
SHUTDOWN_SECONDS = 3


@click.command()
@click.option("--host", help="Address to bind to (default: CHRONOS_API_HOST, 127.0.0.1). Beyond loopback CHRONOS_API_TOKEN is needed.")
@click.option("--port", type=click.IntRange(1, 65535), help="Preferred port (default: CHRONOS_API_PORT, 3100); else a free one.")
def serve(host: str | None, port: int | None) -> None:
    """Serve the dashboard and the HTTP API; Ctrl-C stops both."""
    settings = load_settings(**({"api_host": host} if host else {}), **({"api_port": port} if port else {}))
    check_bind(settings)
    listening = listen(settings)
    with noted(settings, address_of(settings, listening)):
        run(settings, listening, lambda url: say(f"Dashboard   {url}\nHTTP API    {url}/api\nCtrl-C stops both."))


def check_bind(settings: Settings) -> None:
    """Refuse to be reached by other machines without a token."""
    if is_loopback(settings.api_host) or settings.api_token is not None:
        return
    raise UsageError(
        "other machines can reach this address, and no token is set",
        code="api_exposed",
        found=f"host {settings.api_host}",
        expected="a loopback address, or a token",
        hint="Set CHRONOS_API_TOKEN to a long random text; callers send it as Authorization: Bearer TOKEN.",
    )


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the preferred port, or on a free one if that is taken."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    for port in (settings.api_port, 0):
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.api_host, port))
        except OSError as error:
            listening.close()
            if port == 0:
                raise UsageError(
                    "the HTTP API cannot bind to this address", code="api_address", found=f"{settings.api_host}: {error.strerror}"
                ) from error
            continue
        if port == 0:
            say(f"port {settings.api_port} is in use; the HTTP API takes {listening.getsockname()[1]}")
        return listening
    raise AssertionError("a port of 0 is bound, or refused")


def run(settings: Settings, listening: socket.socket, started: Callable[[str], None]) -> None:
    """Serve on `listening` until told to stop; `started` is called with the address once requests are answered."""
    return_memory_early()
    import uvicorn

    from chronos_assets import services
    from chronos_assets.storage.reading import open_reading
    from chronos_assets.web.app import create_app

    class Server(uvicorn.Server):
        """Tells where it is as soon as it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                started(address_of(settings, listening))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.watch.close()
            super().handle_exit(sig, frame)

    app = create_app(settings, lambda: open_reading(services.connect(settings, start=False), settings))
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    with listening:
        Server(config).run(sockets=[listening])


def address_of(settings: Settings, listening: socket.socket) -> str:
    """The address of a server on this socket, as this machine reaches it."""
    return f"http://{reachable_host(settings.api_host)}:{listening.getsockname()[1]}"
