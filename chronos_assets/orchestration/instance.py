"""Where Dagster keeps things: the classes that `dagster.yaml` names, and how the command line opens the same instance.

Addresses and passwords are looked up when a process starts, from the settings or from the running services; none stands in a
configuration file.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg2
from dagster import DagsterInstance, DagsterRun
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError

from chronos_assets.errors import ChronosError, ServiceUnavailableError
from chronos_assets.orchestration.dagster_internals import (
    AssetCheckExecutionsTable,
    CheckRunHealthResult,
    ConcurrencyLimitsTable,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    DefaultRunLauncher,
    InstanceRef,
    LaunchRunContext,
    LocalArtifactStorage,
    LocalComputeLogManager,
    WorkerStatus,
)
from chronos_assets.orchestration.dagster_yaml import config_dir
from chronos_assets.orchestration.liveness import fail_dead_runs, worker_state
from chronos_assets.settings import Settings, environment_of, load_settings
from chronos_assets.storage.postgres_errors import said_by_postgres
from chronos_assets.storage.privacy import write_privately

write_privately()  # every process of Dagster loads this module, and captured output is written by Dagster itself
TIMED_OUT = "timed out due to taking longer than"  # in Dagster's error, if the code server was reached and did not answer
_WORKER_STATUS = {True: WorkerStatus.RUNNING, False: WorkerStatus.FAILED, None: WorkerStatus.UNKNOWN}


class ServicesStopped(click.ClickException):
    """Dagster's Postgres does not answer; a click error, so that `dagster ...` prints the sentence and no traceback."""

    exit_code = ServiceUnavailableError.exit_code


def storage_url(settings: Settings) -> str:
    """The SQLAlchemy URL of Dagster's own records; raises `ServiceUnavailableError` if nothing runs."""
    from chronos_assets.services import Connections, connect, dagster_postgres_url

    nowhere = Connections("", "", None, None, "")  # a URL of its own needs no servers of ours
    return dagster_postgres_url(nowhere if settings.dagster_postgres_url else connect(settings, start=False), settings)


class OwnEventLogStorage(PostgresEventLogStorage):
    """Dagster's event log, with two things mended.

    A pool that has its row already (another run met it first, or its limit changed) is no error. And the checks of a run go with its
    events: Dagster itself leaves them for ever, and of a year of nights they were most of what is left.
    """

    def delete_events_for_run(self, conn: Connection, run_id: str) -> None:
        super().delete_events_for_run(conn, run_id)
        conn.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        try:
            return super().initialize_concurrency_limit_to_default(concurrency_key)
        except DBAPIError:
            # A row that is there makes Dagster's own fail, and it goes on in a transaction that Postgres has given up: here is a new one.
            if concurrency_key not in self.get_concurrency_keys():
                raise
            limit, row = self._instance.global_op_concurrency_default_limit, ConcurrencyLimitsTable.c
            assert limit is not None  # without one Dagster inserts nothing
            with self.index_transaction() as connection:
                ours = (row.concurrency_key == concurrency_key) & row.using_default_limit & (row.limit != limit)
                if connection.execute(ConcurrencyLimitsTable.update().values(limit=limit).where(ours)).rowcount:
                    self._allocate_concurrency_slots(connection, concurrency_key, limit)
            return True


class ServicesPostgresStorage(DagsterPostgresStorage):
    """dagster-postgres on the URL of the settings or of the running services."""

    def __init__(self, postgres_url: str, **options: Any) -> None:
        super().__init__(postgres_url, **options)
        self._event_log_storage = OwnEventLogStorage(postgres_url)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # the argument list is Dagster's
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  of the interface
    ) -> ServicesPostgresStorage:
        try:
            url = storage_url(load_settings())
        except ServiceUnavailableError as error:
            raise ServicesStopped(
                f"Dagster keeps its records in Postgres, which is not running: `chronos services start`. ({error})"
            ) from error
        return cls(postgres_url=url, inst_data=inst_data)


class HomeArtifactStorage(LocalArtifactStorage):
    """Local files of Dagster below `CHRONOS_HOME`."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # the argument list is Dagster's
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  of the interface
    ) -> HomeArtifactStorage:
        return cls(base_dir=str(files_dir(load_settings())), inst_data=inst_data)


class HomeComputeLogManager(LocalComputeLogManager):
    """Captured output of steps below `CHRONOS_HOME`."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # the argument list is Dagster's
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  of the interface
    ) -> HomeComputeLogManager:
        return cls(base_dir=str(files_dir(load_settings()) / "output"), inst_data=inst_data)


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher, which also answers whether a run's process still lives on this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Ask the code server for the run's process. If it does not answer in time it may still have heard: the run waits for it.

        Dagster itself would fail the run, and a process that starts late would find it failed. If none comes, `start_timeout_seconds` of
        run_monitoring ends the wait, and the run is repeated.
        """
        try:
            super().launch_run(context)
        except DagsterUserCodeUnreachableError as error:
            if TIMED_OUT not in str(error):
                raise  # nobody heard: the run goes back into the queue
            self._instance.report_engine_event(
                "Dagster's code server did not answer in time (a busy machine?); the run starts as soon as it does.", context.dagster_run
            )

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        alive, words = worker_state(self._instance, run)
        status = _WORKER_STATUS[alive]
        # "cannot tell" (another machine) must not end a run: only the limits of run_monitoring do
        return CheckRunHealthResult(WorkerStatus.RUNNING if status is WorkerStatus.UNKNOWN else status, words)


def files_dir(settings: Settings) -> Path:
    """Folder of Dagster's local files, created if missing."""
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def open_instance(settings: Settings, *, captured_output: bool = True) -> Iterator[DagsterInstance]:
    """The persistent instance that the UI shows; `captured_output=False` leaves this process's stdout and stderr alone."""
    overrides: dict[str, Any] = {}
    if not captured_output:
        overrides["compute_logs"] = {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
            "config": {},
        }
    with pinned_environment(settings), _records_reachable():
        ref = InstanceRef.from_dir(str(files_dir(settings)), config_dir=str(config_dir()), overrides=overrides)
        with DagsterInstance.from_ref(ref) as instance, _kept_connections(instance):
            yield instance


@contextmanager
def passing_instance() -> Iterator[DagsterInstance]:
    """An instance whose records are in memory and end with it: for runs that no page is to show."""
    with DagsterInstance.ephemeral() as instance:
        yield instance


@contextmanager
def _kept_connections(instance: DagsterInstance) -> Iterator[None]:
    """Keep a connection per store of records while the instance is open.

    Dagster opens one for every event, some five hundred in a run, and each costs both sides a login. A connection that Postgres has closed
    meanwhile is made again before it is used.
    """
    engines = []
    for store in (instance.event_log_storage, instance.run_storage, instance.schedule_storage):
        if isinstance(store, PostgresEventLogStorage | PostgresRunStorage | PostgresScheduleStorage):
            engine = create_engine(store.postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1, pool_pre_ping=True)
            store._engine = engine
            engines.append(engine)
    try:
        yield
    finally:
        for engine in engines:
            engine.dispose()


@contextmanager
def _records_reachable() -> Iterator[None]:
    """Say in one sentence that Dagster's Postgres has gone away; Dagster itself has tried again by then."""
    try:
        yield
    except (DagsterPostgresException, DBAPIError, psycopg2.Error) as error:
        raise _lost_records(error) from error


def _lost_records(error: Exception) -> ChronosError:
    """What Dagster's storage met, in one sentence: its Postgres is gone, or is there and refuses."""
    driver = _driver_error(error)
    if driver is not None:
        text = str(driver).strip() or type(driver).__name__
        operational = isinstance(driver, psycopg2.OperationalError)
        said = said_by_postgres(text, driver.pgcode or "", operational=operational, address="of Dagster's records")
        if said.code == "postgres_denied":
            said.hint = "Check CHRONOS_DAGSTER_POSTGRES_URL, or CHRONOS_POSTGRES_DSN if that is not set."
        if said.code != "postgres_unreachable":
            return said
    return ServiceUnavailableError(
        "the Postgres that holds Dagster's records cannot be reached",
        code="dagster_postgres_unreachable",
        hint="`chronos services start` starts the embedded one; then call this again: what was complete is kept.",
    )


def _driver_error(error: BaseException | None) -> psycopg2.Error | None:
    """The driver's own error below those of SQLAlchemy and Dagster."""
    while error is not None and not isinstance(error, psycopg2.Error):
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return error


@contextmanager
def pinned_environment(settings: Settings) -> Iterator[None]:
    """Set `environment_of(settings)` for this process and its children, and put it back afterwards."""
    before = {name: os.environ.get(name) for name in environment_of(settings)}
    os.environ.update(environment_of(settings))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def free_port(host: str, preferred: int) -> int:
    """`preferred` if nobody listens there, else a free port of the system's choice."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceUnavailableError(f"no free port on {host}", code="no_free_port")


def fail_dead_runs_of(settings: Settings) -> list[str]:
    """Open the instance and mark runs failed whose process is gone; returns their ids."""
    with open_instance(settings) as instance:
        return fail_dead_runs(instance)
