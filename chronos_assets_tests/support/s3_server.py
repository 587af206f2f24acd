"""A server of the S3 protocol on a free loopback port (moto's), which keeps its objects in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import requests

BUCKET = "artifacts"
KEY, SECRET = "AKIAEXAMPLEKEY", "a-secret-of-nobody"


@contextmanager
def s3_server() -> Iterator[tuple[str, int]]:
    """Host and port of a server with an empty bucket `BUCKET`."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"}
        requests.put(f"http://{host}:{port}/{BUCKET}", headers=signed, timeout=60).raise_for_status()
        yield host, port
    finally:
        server.stop()


def environment(address: tuple[str, int]) -> dict[str, str]:
    """The standard variables that lead to a server at `address`."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{address[0]}:{address[1]}",
    }
