"""The HTTP application on a real socket, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import uvicorn

from chronos_assets.settings import Settings
from chronos_assets.storage.stores import Stores
from chronos_assets.web.app import create_app


@dataclass
class Web:
    """A running application and a client for it. `headers` go with every request."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """The answer to a request, whatever its status."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, headers={**self.headers, **(headers or {})}, timeout=600, **options)

    def send_form(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """The answer to a form of one of our own pages, sent as that page would send it."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("/login").text)
        assert found is not None
        own = {"Origin": self.url, **(headers or {})}
        return self.ask(path, "POST", own, data={**fields, "csrf": found[1]}, **options)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = self.ask(path, params=parameters)
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return answer.json()


@contextmanager
def running(settings: Settings, open_stores: Callable[[], Stores]) -> Iterator[Web]:
    """Serve the application on a free port of the loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(settings, open_stores)
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield Web(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        app.state.watch.close()
        server.should_exit = True
        thread.join(30)
        app.state.source.forget()
        with contextlib.suppress(OSError):
            listening.close()
