"""What answers at QuestDB's address: another program, or a server that falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chronos_assets.errors import ServiceUnavailableError, StoreError
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_http import HttpReader, Patience
from chronos_assets.storage.questdb_tables import INDICATOR_BARS


def other_program(status: int, body: bytes) -> ThreadingHTTPServer:
    """A server of something else, which says the same to whatever it is asked."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


ANSWERS = [
    (200, b"<html>a web server</html>"),
    (200, b'["a list"]'),
    (200, b"\xff\xfe"),
    (200, b""),
    (200, b'{"status": "ok"}'),
    (200, b'{"columns": [{"title": "n"}], "dataset": [[1]]}'),
    (200, b'{"columns": [{"name": "n"}], "dataset": [[1, 2]]}'),
    (200, b'{"columns": [{"name": "n"}]}'),
    (200, b'{"dataset": {}}'),
    (200, b'{"columns": [{"name": "x"}], "dataset": [[1]]}'),
    (404, b"not here"),
    (404, b'{"detail": "Not Found"}'),
    (500, b"<html>broken</html>"),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_an_answer_that_is_not_questdbs_is_one_error_of_ours(status: int, body: bytes) -> None:
    """Another program may listen at the address: what it says is told, with the address, whatever was asked."""
    with other_program(status, body) as server:
        questdb = QuestDB(f"http::addr=127.0.0.1:{server.server_port};", f"127.0.0.1:{server.server_port}")
        questions: list[Callable[[], object]] = [
            lambda: questdb.rows("SELECT 1 AS n")[0]["n"],
            lambda: questdb.read("SELECT 1 AS n"),
            lambda: questdb.ensure_table(INDICATOR_BARS),
            lambda: questdb.wait_applied("t"),
        ]
        for ask in questions:
            with pytest.raises(StoreError, match="is not QuestDB") as refused:
                ask()
            assert refused.value.code == "questdb_answer"
            assert refused.value.where["address"] == questdb.http.base
        server.shutdown()


@pytest.mark.parametrize("keeps_open", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_server_that_falls_silent_in_an_answer_is_noticed_soon(keeps_open: bool, chunked: bool) -> None:
    """What was waited for is told; a server that is slow to begin keeps its time."""
    released = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "slow" in self.path:
                time.sleep(0.8)
            self.send_response(200)
            self.send_header("Connection", "keep-alive" if keeps_open else "close")
            self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "1000")))
            self.end_headers()
            self.wfile.write(b'10\r\n{"columns": [{"\r\n' if chunked else b'{"columns":')
            self.wfile.flush()
            released.wait(120)

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patience = Patience(read_seconds=20, silence_seconds=0.4)
        reader = HttpReader(f"http://127.0.0.1:{server.server_port}", None, None, patience=patience)
        started = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match=r"silent in the middle of an answer.*nothing for 0\.4 s"):
            reader.exec("SELECT 'slow'")
        assert time.monotonic() - started < 10
        released.set()
        server.shutdown()


def test_a_silent_server_is_given_thirty_seconds() -> None:
    """By default; a long query keeps its five minutes until its answer begins."""
    assert (Patience().silence_seconds, Patience().read_seconds) == (30.0, 300.0)
