"""The embedded Postgres: how its data are made, how it is launched, how it is told from any other process.

It listens on the loopback only, has no Unix socket, and lets nobody in without the generated password.
"""

from __future__ import annotations

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
from chronos_assets.services.embedded import Answer, Say
from chronos_assets.services.places import FREE_BYTES_NEEDED, Places, cannot_write, check_marker
from chronos_assets.services.postgres_user import Housing, choose_housing, choose_programs, hand_over, make_base
from chronos_assets.services.state import Passwords, ServerRecord
from chronos_assets.settings import Settings

USER = "chronos"
DATABASE = "chronos"
MAJOR = "18"
_SMALL_MEMORY = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "min_wal_size": "32MB",
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

    @cached_property
    def housing(self) -> Housing:
        return choose_housing(self.settings, self.places)

    @property
    def data_dir(self) -> Path:
        return self.housing.data

    @property
    def _unfinished(self) -> Path:
        return self.housing.base / "data.new"

    @property
    def os_user(self) -> str | None:
        return self.housing.user.name if self.housing.user else None

    @cached_property
    def _programs(self) -> Path:
        return choose_programs(self.housing.user)

    @cached_property
    def version(self) -> str:
        """As the programs say it: `postgres (PostgreSQL) 18.4`."""
        return subprocess.run([self._programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    @property
    def programs(self) -> str | None:
        return str(self._programs)

    @property
    def password_is_in_data(self) -> bool:
        return True

    def preferred_ports(self) -> dict[str, tuple[str, int]]:
        return {"sql": ("postgres_port", self.settings.postgres_port)}

    def options(self) -> dict[str, str]:
        return {}

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
        hand_over(self.housing)
        try:
            if self.data_dir.is_dir():
                self._check_version()
                # Only here, where nothing of ours runs: Postgres would be afraid of any process that was given the old number.
                (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
            else:
                say(f"creating the Postgres databases in {self.data_dir}")
                self._initdb(lock)
        except OSError as error:
            raise cannot_write(self.housing.base, error) from error
        log = self.places.log(self.name)
        environment = processes.clean_environment({"TZ": "UTC"})
        command = [str(self._programs / "postgres"), "-D", str(self.data_dir), *self._arguments(record.ports["sql"])]
        return processes.spawn_detached(command, log=log, cwd=Path("/"), environment=environment, lock=lock, user=self.housing.user)

    def answer(self, record: ServerRecord) -> Answer:
        if not self._says_ready(record.ports["sql"]):
            return Answer.NONE  # who answers on the port now is somebody else
        try:
            with self._connect(record, "postgres"):
                return Answer.READY
        except psycopg.OperationalError as error:
            return Answer.DENIED if "password authentication failed" in str(error) else Answer.NONE

    def after_start(self, record: ServerRecord) -> None:
        """Both databases exist afterwards, whether or not an earlier start was cut short."""
        try:
            with self._connect(record, "postgres") as connection:
                known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
                for database in (DATABASE, DAGSTER_DATABASE):
                    if database not in known:
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        except psycopg.Error as error:
            reason = str(error).partition("\n")[0]
            raise ServiceStartError(
                "Postgres started, but its databases could not be made",
                code="databases_failed",
                found=reason,
                log=self.places.log(self.name),
            ) from error

    def reset_password(self, lock: int) -> None:
        """In single-user mode, where no password is asked for."""
        self._run(
            "postgres",
            "--single",
            "-D",
            str(self.data_dir),
            "postgres",
            lock=lock,
            given=f"ALTER ROLE {USER} PASSWORD '{self.passwords.postgres}'\n",
        )

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
        arguments = ["-D", str(self._unfinished), "-U", USER, "--pwfile", str(secret), "--auth=scram-sha-256"]
        arguments += ["--encoding=UTF8", "--no-locale", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        try:
            self._run("initdb", *arguments, lock=lock)
            self._unfinished.rename(self.data_dir)
        finally:
            secret.unlink()
            self._remove(self._unfinished)

    def _run(self, program: str, *arguments: str, lock: int, given: str = "") -> None:
        """Run one of the programs to its end, as the user of Postgres, with the server's lock."""
        outcome = subprocess.run(
            [str(self._programs / program), *arguments],
            input=given,
            cwd="/",
            env=processes.clean_environment({}),
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(lock,),
            start_new_session=True,
            **processes.as_user(self.housing.user),
        )
        if outcome.returncode != 0:
            raise _program_failed(program, outcome.stderr, self.housing.base)

    def _write_secret(self, secret: Path) -> None:
        secret.unlink(missing_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.passwords.postgres)
            if self.housing.user is not None:
                os.fchown(file.fileno(), self.housing.user.uid, self.housing.user.gid)

    def _check_version(self) -> None:
        found = (self.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR:
            raise ServiceStartError(
                "the data folder was written by another major version of Postgres",
                code="foreign_data_directory",
                expected=MAJOR,
                found=found,
                hint="Set CHRONOS_HOME to another folder, or move that one away.",
                folder=self.data_dir,
            )

    def _says_ready(self, port: int) -> bool:
        """Whether our own server has written that it listens on `port` and is ready."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[3].strip() == str(port) and lines[7].strip() == "ready"

    def _remove(self, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)


def embedded_dsn(record: ServerRecord, secrets: Passwords) -> str:
    """The address of our database on the server of `record`."""
    return f"postgresql://{USER}:{secrets.postgres}@{ports.LOOPBACK}:{record.ports['sql']}/{DATABASE}"


def _program_failed(program: str, output: str, folder: Path) -> ServiceStartError:
    if "No space left on device" in output or shutil.disk_usage(folder).free < FREE_BYTES_NEEDED:
        return cannot_write(folder, OSError(errno.ENOSPC, "No space left on device"))
    last = " ".join(output.strip().splitlines()[-3:])
    return ServiceStartError(f"the Postgres program {program} failed", code=f"{program}_failed", found=last, folder=folder)
