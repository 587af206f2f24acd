"""Who is told about a failed run, over real sockets."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from chronos_assets.orchestration.alerts import Alert, send, sinks_of
from chronos_assets.settings import load_settings

ALERT = Alert("btc_4h_v1", "indicator_bars_post_export_diff", "1 cell differs in RSI", "0123456789ab", "nightly: file changed")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox(socketserver.StreamRequestHandler):
    """As much of a mail server as a mail needs."""

    received: list[str] = []  # noqa: RUF012 - one box per test, emptied there

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        lines: list[str] = []
        reading = False
        while raw := self.rfile.readline():
            line = raw.decode().rstrip("\r\n")
            if reading and line == ".":
                Mailbox.received.append("\n".join(lines))
                reading = False
                self.wfile.write(b"250 taken\r\n")
            elif reading:
                lines.append(line)
            elif line.upper() == "DATA":
                reading = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper() == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


def test_a_webhook_receives_the_message_and_its_parts() -> None:
    """The webhook gets one JSON document: a line for people, and dataset, step, message and run by name."""
    posted: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    with serving(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        send(ALERT, sinks_of(load_settings(alert_webhook=SecretStr(f"http://127.0.0.1:{port}/x"))))
    assert posted[0]["message"] == "1 cell differs in RSI"
    assert posted[0]["text"].startswith("btc_4h_v1 failed at indicator_bars_post_export_diff: 1 cell differs in RSI (run 01234567, nightly")


def test_a_mail_has_the_message_as_its_subject(caplog: pytest.LogCaptureFixture) -> None:
    """The mailbox of the settings receives a mail that can be read without opening it, and the log has the line as well."""
    Mailbox.received.clear()
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port, caplog.at_level(logging.ERROR):
        send(ALERT, sinks_of(load_settings(alert_email_to="trader@example.org", alert_smtp=f"127.0.0.1:{port}")))
    assert "Subject: btc_4h_v1: 1 cell differs in RSI" in Mailbox.received[0]
    assert ALERT.line() in caplog.text


def test_a_sink_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """A webhook nobody answers is a warning that names it, and the next sink is told all the same."""
    told: list[Alert] = []
    with serving(HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)) as port:
        pass
    sinks = sinks_of(load_settings(alert_webhook=SecretStr(f"http://127.0.0.1:{port}/secret")))
    send(ALERT, [*sinks, told.append])
    assert told == [ALERT]
    assert "webhook" in caplog.text
    assert "secret" not in caplog.text
