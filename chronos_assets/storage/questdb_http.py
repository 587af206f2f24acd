"""QuestDB over HTTP: statements and JSON rows from `/exec`, typed frames from `/exp` as Parquet.

Requests carry the password in a header only; no error shows it. A server that cannot be reached and one that refuses are two
different errors.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import requests

from chronos_assets.errors import ServiceUnavailableError, StoreError
from chronos_assets.storage.questdb_tables import OLD, READY

RESTART_POLL_SECONDS = 0.3
BUSY_POLL_SECONDS = 0.05
# How long a query waits for a table between the two renames of a compaction.
SWAP_SECONDS = 10.0
# The server sends a row group while it makes the next one; with fewer rows their number costs more than that saves.
ROW_GROUP_ROWS = "5000"
PIECE_BYTES = 1 << 20
PARQUET_MAGIC = b"PAR1"
_MISSING_TABLE = re.compile(rb"table does not exist \[table=([^\]]+)\]")
_OTHER_PROGRAMS = {404, 405, 501, 502}  # what a web server or a proxy says of a path that it does not know
READ_ONLY = (
    "It is a replica, or readonly, http.security.readonly or an access list keeps writers out: name another server, or allow writing."
)


@dataclass(frozen=True)
class Patience:
    """How long a request waits, in seconds: to connect, for an answer to begin, for the next piece of one that has begun, for a server that
    was there a moment ago and may be starting again, and for one that lets a few exports run at once and refuses the others at the door.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 300.0
    silence_seconds: float = 30.0
    restart_seconds: float = 20.0
    busy_seconds: float = 120.0


class HttpReader:
    """One QuestDB server as seen by readers. Safe to use from several threads: every request has its own connection."""

    def __init__(
        self, base: str, user: str | None, password: str | None, token: str | None = None, *, patience: Patience | None = None
    ) -> None:
        self.base = base
        self._patience = patience or Patience()
        self._has_answered = False
        self._headers = _authorization(user, password, token)

    def __repr__(self) -> str:
        return f"HttpReader({self.base!r})"

    def ping(self) -> None:
        """Raise `ServiceUnavailableError` unless the server answers."""
        self._get("/ping", {}, timeout=self._patience.connect_seconds)

    def exec(self, sql: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Run one statement; the JSON answer."""
        body = self._get("/exec", {"query": sql, "nm": "false"}, timeout=timeout)
        with contextlib.suppress(ValueError):
            document = json.loads(body)
            if _is_result(document):
                return dict(document)
        raise _not_questdb(body, self.base)

    def parquet(self, sql: str, *, timeout: float | None = None) -> pl.DataFrame:
        """Rows of a query, typed. Timestamps are `Datetime[ns, UTC]`, NULLs are null."""
        parameters = {"query": sql, "fmt": "parquet", "compression_codec": "lz4_raw", "row_group_size": ROW_GROUP_ROWS}
        body = self._get("/exp", parameters, timeout=timeout)
        try:
            return pl.read_parquet(io.BytesIO(body))
        except pl.exceptions.PolarsError as error:
            if not body.startswith(PARQUET_MAGIC):
                raise _not_questdb(body, self.base) from error
            raise StoreError("QuestDB's answer is not a complete Parquet file", code="questdb_answer", found=str(error)[:200]) from error

    def _get(self, path: str, parameters: dict[str, str], *, timeout: float | None) -> bytes:
        """The body of an answer. Every request of ours may be asked again, so a server that answered before gets the time of a restart."""
        started = time.monotonic()
        deadline = started + (self._patience.restart_seconds if self._has_answered else 0.0)
        while True:
            try:
                status, body = self._get_once(path, parameters, timeout or self._patience.read_seconds)
            except requests.RequestException as error:
                lost = isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError))
                if lost and time.monotonic() < deadline:
                    time.sleep(RESTART_POLL_SECONDS)
                    continue
                raise ServiceUnavailableError(
                    "QuestDB cannot be reached" if lost else "QuestDB did not answer in time",
                    code="questdb_unreachable",
                    hint="`chronos services status` shows the embedded servers; `chronos config show` the addresses in use.",
                    address=self.base,
                ) from error
            self._has_answered = True
            if status >= 400:
                if b"exceeded connection limit" in body and time.monotonic() < started + self._patience.busy_seconds:
                    time.sleep(BUSY_POLL_SECONDS)
                    continue
                if time.monotonic() < started + SWAP_SECONDS and self._is_swapped(body):
                    time.sleep(BUSY_POLL_SECONDS)
                    continue
                raise _refused(status, body, self.base)
            return body

    def _is_swapped(self, body: bytes) -> bool:
        """Whether a table that was not there is being swapped for its compacted copy, or has come meanwhile."""
        missing = _MISSING_TABLE.search(body)
        if missing is None:
            return False
        name = missing[1].decode(errors="replace")
        status, answer = self._get_once("/exec", {"query": "SELECT table_name FROM tables()", "nm": "false"}, self._patience.read_seconds)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            there = {row[0] for row in json.loads(answer)["dataset"]}
            return status < 400 and (name in there or {f"{name}{READY}", f"{name}{OLD}"} <= there)
        return False

    def _get_once(self, path: str, parameters: dict[str, str], timeout: float) -> tuple[int, bytes]:
        """Status and body. In large pieces: by itself `requests` takes 10 KB at a time, a third of the work of a long answer."""
        with requests.Session() as session:
            # Proxies and .netrc of the environment are not meant for a database.
            session.trust_env = False
            url, patience = self.base + path, (self._patience.connect_seconds, timeout)
            with session.get(url, params=parameters, headers=self._headers, timeout=patience, stream=True) as response:
                _hurry(response, self._patience.silence_seconds)
                try:
                    return response.status_code, b"".join(response.iter_content(PIECE_BYTES))
                except requests.ConnectionError as error:
                    if "timed out" not in str(error):
                        raise
                    raise self._silent() from error

    def _silent(self) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            "QuestDB fell silent in the middle of an answer",
            code="questdb_silent",
            found=f"nothing for {self._patience.silence_seconds:g} s",
            hint="Run the same command again. If it happens again, look into the log of QuestDB and at the network.",
            address=self.base,
        )


def _hurry(response: requests.Response, seconds: float) -> None:
    """From here on wait at most so long for each piece of an answer that has begun."""
    raw = response.raw
    sock = getattr(getattr(raw, "connection", None), "sock", None)
    if sock is None:  # a server that closes the connection after its answer leaves the socket with the stream alone
        sock = getattr(getattr(getattr(getattr(raw, "_fp", None), "fp", None), "raw", None), "_sock", None)
    if sock is not None:
        sock.settimeout(seconds)


def _is_result(document: object) -> bool:
    """Whether a JSON answer has the form of QuestDB's: columns and rows of as many values, or the word that a statement was done."""
    if not isinstance(document, dict):
        return False
    columns, rows = document.get("columns"), document.get("dataset")
    if columns is None and rows is None:
        return any(isinstance(document.get(name), str) for name in ("ddl", "dml"))
    named = isinstance(columns, list) and all(isinstance(c, dict) and isinstance(c.get("name"), str) for c in columns)
    return named and isinstance(rows, list) and all(isinstance(row, list) and len(row) == len(columns or ()) for row in rows)


def _not_questdb(body: bytes, address: str) -> StoreError:
    return StoreError(
        "what answers at this address is not QuestDB",
        code="questdb_answer",
        found=repr(body[:120].decode(errors="replace")),
        hint="CHRONOS_QUESTDB_CONF and CHRONOS_QUESTDB_HTTP name the address; `chronos config show` prints it.",
        address=address,
    )


def _authorization(user: str | None, password: str | None, token: str | None) -> dict[str, str]:
    """The header that lets us in. UTF-8, as the client that sends rows has it: `requests` by itself knows Latin-1 only."""
    if user:
        secret = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        return {"Authorization": f"Basic {secret}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _refused(status: int, body: bytes, address: str) -> StoreError:
    if status == 401:
        return StoreError(
            "QuestDB refused the user or password",
            code="questdb_denied",
            hint="Check username and password in CHRONOS_QUESTDB_CONF, or CHRONOS_QUESTDB_USER and CHRONOS_QUESTDB_PASSWORD.",
            address=address,
        )
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        if status in _OTHER_PROGRAMS or body.lstrip().startswith((b"<", b"{")):
            return _not_questdb(body or f"HTTP {status}".encode(), address)
        reason = body.decode(errors="replace")
    if status == 403 or "permission denied" in reason or "read only" in reason:
        return StoreError(
            "QuestDB is read-only for this user", code="questdb_read_only", found=reason[:200], hint=READ_ONLY, address=address
        )
    return StoreError("QuestDB refused a statement", code="questdb_refused", found=reason[:500] or f"HTTP {status}")


class Row(dict[str, Any]):
    """One row of an answer by column. A column that was asked for and is not there is an answer of another program."""

    address = ""

    def __missing__(self, name: str) -> Any:
        raise _not_questdb(f"columns {', '.join(self)}, without {name}".encode(), self.address)


def as_rows(document: dict[str, Any], address: str) -> list[dict[str, Any]]:
    """The rows of a JSON answer as dictionaries."""
    names: Sequence[str] = [column["name"] for column in document.get("columns", ())]
    rows = [Row(zip(names, row, strict=True)) for row in document.get("dataset", ())]
    for row in rows:
        row.address = address
    return list(rows)
