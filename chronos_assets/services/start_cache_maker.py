"""Makes the cache that `start_cache` speaks of; run by it as a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import signal
import sys
import tempfile
import urllib.parse
from base64 import b64encode
from pathlib import Path

import psycopg

from chronos_assets.services import ports, processes
from chronos_assets.services.launch import Launch
from chronos_assets.services.places import Places
from chronos_assets.services.questdb import EmbeddedQuestDB
from chronos_assets.services.start_cache import cache_of
from chronos_assets.services.state import passwords
from chronos_assets.settings import Settings

log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 600.0
_TABLE = "start_cache"
_ROWS = 2_000


def make(server_jar: Path, cache: Path, memory: str) -> Path:
    """Run a QuestDB of its own in a temporary folder, have it do what a run does, end it, and put its cache in place."""
    wanted = cache_of(server_jar, cache)
    with tempfile.TemporaryDirectory(prefix="start-cache-", dir=cache) as folder:
        written = Path(folder) / wanted.name
        http_port = ports.free()
        settings = Settings(
            home=Path(folder),
            cache=cache,
            questdb_jar=server_jar,
            questdb_memory=memory,
            questdb_http_port=http_port,
            questdb_pg_port=ports.free({http_port}),
            start_timeout_seconds=_PATIENCE_SECONDS,
        )
        places = Places.of(settings)
        places.create()
        secrets = passwords(places.passwords)
        server = EmbeddedQuestDB(settings, places, secrets, java_options=(f"-XX:AOTCacheOutput={written}",))
        launch = Launch(server, log.info)
        try:
            launch.begin()
            record = launch.finish()
            _work(record.ports, secrets.questdb_http, secrets.questdb_pg)
            assert record.pid is not None
            os.kill(record.pid, signal.SIGTERM)  # a gentle end, and time for it: the file is written now
            processes.wait_until(lambda: processes.lookup(record.pid, server.owns) is None, _PATIENCE_SECONDS)
            written.replace(wanted)
        finally:
            launch.abandon()
    return wanted


def _work(chosen: dict[str, int], http_password: str, pg_password: str) -> None:
    """What a run asks of QuestDB: a table, rows over ILP, SQL over both protocols, Parquet out."""
    client = http.client.HTTPConnection(ports.LOOPBACK, chosen["http"], timeout=_PATIENCE_SECONDS)
    access = {"Authorization": f"Basic {b64encode(f'chronos:{http_password}'.encode()).decode()}"}

    def ask(path: str, *, body: str | None = None, **query: str) -> None:
        client.request("GET" if body is None else "POST", f"{path}?{urllib.parse.urlencode(query)}", body=body, headers=access)
        client.getresponse().read()

    ask(
        "/exec",
        query=f"CREATE TABLE {_TABLE} (dataset SYMBOL, value DOUBLE, row LONG, ts TIMESTAMP_NS) TIMESTAMP(ts) "
        "PARTITION BY YEAR WAL DEDUP UPSERT KEYS(ts, dataset)",
    )
    day = 86_400_000_000_000
    for first in (0, _ROWS // 2):  # the second half comes to a table with rows
        rows = range(first, first + _ROWS)
        ask("/write", body="".join(f"{_TABLE},dataset=d value={k / 3},row={k}i {k * day}\n" for k in rows), precision="n")
        ask("/exec", query=f"SELECT wait_wal_table('{_TABLE}')")
    ask("/exec", query=f"ALTER TABLE {_TABLE} ADD COLUMN more DOUBLE")
    condition = f"FROM {_TABLE} WHERE dataset = 'd' AND ts >= '1971-01-01' AND ts < '1975-01-01'"
    for question in (f"SELECT count(), min(ts), max(ts), sum(value) {condition}", f"SHOW COLUMNS FROM {_TABLE}", "SELECT * FROM tables()"):
        ask("/exec", query=question)
    ask("/exp", query=f"SELECT ts, value, row {condition} ORDER BY ts", fmt="parquet")
    address = f"host={ports.LOOPBACK} port={chosen['pg']} user=chronos password={pg_password} dbname=qdb"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"SELECT ts, value, row {condition}".encode()).fetchall()
    client.close()


def main() -> None:
    """`python -m chronos_assets.services.start_cache_maker JAR CACHE MEMORY`, in the time that nobody else wants."""
    os.nice(19)
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])


if __name__ == "__main__":
    main()
