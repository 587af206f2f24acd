"""The embedded Postgres: how its data are made, how it is launched, how it is told from any other process.

It listens on the loopback only, has no Unix socket, and lets nobody in without the generated password.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import ports, processes
from chronos_assets.services.connections import DAGSTER_DATABASE, POSTGRES
from chronos_assets.services.embedded import Answer, Say, check_marker
from chronos_assets.services.places import Places, cannot_write
from chronos_assets.services.postgres_user import Housing, choose_housing, make_base
from chronos_assets.services.state import Passwords, ServerRecord
from chronos_assets.settings import Settings

USER = "chronos"
DATABASE = "chronos"
MAJOR = "18"
_SMALL_MEMORY = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One Postgres below `places`. `durable` False turns fsync off: for tests, whose data nobody keeps."""

    settings: Settings
    places: Places
    passwords: Passwords
    durable: bool = True
    name: str = POSTGRES
    title: str = "Postgres"
    version: str = f"{MAJOR}.4"

    @cached_property
    def housing(self) -> Housing:
        return choose_housing(self.settings, self.places)

    @property
    def data_dir(self) -> Path:
        return self.housing.base / "data"

    @property
    def _unfinished(self) -> Path:
        return self.housing.base / "data.new"

    @property
    def os_user(self) -> str | None:
        return self.housing.user.name if self.housing.user else None

    @property
    def programs(self) -> str | None:
        return str(self.housing.programs)

    def preferred_ports(self) -> dict[str, tuple[str, int]]:
        return {"sql": ("postgres_port", self.settings.postgres_port)}

    def options(self) -> dict[str, str]:
        return {"durable": str(self.durable).lower()}

    def owns(self, process: psutil.Process) -> bool:
        words = processes.command_line(process)
        return bool(words) and Path(words[0]).name == "postgres" and words[1:3] == ["-D", str(self.data_dir)]

    def leftovers(self) -> list[psutil.Process]:
        """Children that have outlived the main process, and an initdb whose command was killed."""
        folders = {str(self.data_dir), str(self._unfinished)}

        def is_leftover(process: psutil.Process) -> bool:
            if process.name() not in ("postgres", "initdb") or self.owns(process):
                return False
            return processes.folder_of(process) in folders or not folders.isdisjoint(processes.command_line(process))

        return processes.find(is_leftover)

    def spawn(self, record: ServerRecord, lock: int, say: Say) -> int:
        make_base(self.housing)
        check_marker(self.housing.base, self.name, MAJOR)
        if self.data_dir.is_dir():
            self._check_version()
            self._remove_stale_pid_file()
        else:
            say(f"creating the Postgres databases in {self.data_dir}")
            self._initdb(lock)
        log = self.places.log(self.name)
        environment = processes.clean_environment({"TZ": "UTC"})
        command = [str(self.housing.programs / "postgres"), "-D", str(self.data_dir), *self._arguments(record.ports["sql"])]
        return processes.spawn_detached(command, log=log, cwd=Path("/"), environment=environment, lock=lock, user=self.housing.user)

    def answer(self, record: ServerRecord) -> Answer:
        try:
            with self._connect(record, "postgres"):
                return Answer.READY
        except psycopg.OperationalError as error:
            return Answer.DENIED if "password authentication failed" in str(error) else Answer.NONE

    def after_start(self, record: ServerRecord) -> None:
        """Both databases exist afterwards, whether or not an earlier start was cut short."""
        with self._connect(record, "postgres") as connection:
            known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for database in (DATABASE, DAGSTER_DATABASE):
                if database not in known:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def stop_signals(self) -> list[tuple[signal.Signals, float]]:
        # SIGINT: sessions are ended, data are written out. SIGQUIT: recovery at the next start.
        return [(signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)]

    def _connect(self, record: ServerRecord, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=ports.LOOPBACK,
            port=record.ports["sql"],
            user=USER,
            password=self.passwords.postgres,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _arguments(self, port: int) -> list[str]:
        values = {
            "port": str(port),
            "listen_addresses": ports.LOOPBACK,
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_min_messages": "warning",
            "log_line_prefix": "%m [%p] ",
            **_SMALL_MEMORY,
        }
        if not self.durable:
            values |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [part for key, value in values.items() for part in ("-c", f"{key}={value}")]

    def _initdb(self, lock: int) -> None:
        """Make the data folder under another name and rename it, so that a folder with the right name is complete."""
        self._remove(self._unfinished)
        secret = self.housing.base / "initdb.password"
        self._write_secret(secret)
        command = [str(self.housing.programs / "initdb"), "-D", str(self._unfinished), "-U", USER, "--pwfile", str(secret)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        if not self.durable:
            command.append("--no-sync")
        outcome = subprocess.run(
            command,
            cwd="/",
            env=processes.clean_environment({}),
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(lock,),
            start_new_session=True,
            **processes.as_user(self.housing.user),
        )
        secret.unlink()
        if outcome.returncode != 0:
            self._remove(self._unfinished)
            raise _initdb_failed(outcome.stderr, self.housing.base)
        self._unfinished.rename(self.data_dir)

    def _write_secret(self, secret: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            secret.unlink()
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.passwords.postgres)
            if self.housing.user is not None:
                os.fchown(file.fileno(), self.housing.user.uid, self.housing.user.gid)

    def _check_version(self) -> None:
        try:
            found = (self.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError as error:
            raise cannot_write(self.data_dir, error) from error
        if found != MAJOR:
            raise ServiceStartError(
                "the data folder was written by another major version of Postgres",
                code="foreign_data_directory",
                expected=MAJOR,
                found=found,
                hint="Set CHRONOS_HOME to another folder, or move that one away.",
                folder=self.data_dir,
            )

    def _remove_stale_pid_file(self) -> None:
        """Called only when nothing of ours runs: Postgres itself would be afraid of any process that was given the old number."""
        with contextlib.suppress(FileNotFoundError):
            (self.data_dir / "postmaster.pid").unlink()

    def _remove(self, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)


def embedded_dsn(record: ServerRecord, secrets: Passwords) -> str:
    """The address of our database on the server of `record`."""
    return f"postgresql://{USER}:{secrets.postgres}@{ports.LOOPBACK}:{record.ports['sql']}/{DATABASE}"


def _initdb_failed(output: str, folder: Path) -> ServiceStartError:
    if "No space left on device" in output:
        return cannot_write(folder, OSError(errno.ENOSPC, "No space left on device"))
    last = " ".join(output.strip().splitlines()[-3:])
    return ServiceStartError("the Postgres databases could not be created", code="initdb_failed", found=last, folder=folder)
