"""A web server on the loopback that answers GraphQL as Dagster does when it launches, asks about and ends runs; it keeps what it was sent.

That the questions are valid in Dagster's own schema, and that the job does what is asked, is tested against Dagster itself.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class LaunchingDagster:
    """Where it is, the `executionParams` of every launch, and the ids of the runs it was asked to end."""

    url: str = ""
    launched: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of an answer."""
        if "launchRun" in query:
            self.launched.append(variables["params"])
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": str(uuid.uuid4())}}}
        if "terminateRun" in query:
            self.ended.append(variables["id"])
            return {"terminateRun": {"__typename": "TerminateRunSuccess"}}
        return {"runOrError": {"__typename": "Run", "status": "QUEUED"}}


@contextmanager
def launching_dagster() -> Iterator[LaunchingDagster]:
    """Serve on a free port until the block ends."""
    dagster = LaunchingDagster()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"data": dagster.answer(asked["query"], asked["variables"])}).encode()
            self.send_response(200 if self.path == "/graphql" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    dagster.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield dagster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
