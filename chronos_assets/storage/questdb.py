"""QuestDB as the rest of the house sees it: tables made beforehand, rows in by ILP, frames out as Parquet, and a wait until visible.

Nothing here knows what a dataset, a run or a simulation is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from chronos_assets.errors import ServiceUnavailableError, StoreError, UsageError
from chronos_assets.storage.client_string import ClientString, parse_client_string
from chronos_assets.storage.frames import prepare
from chronos_assets.storage.identifiers import quote_identifier, quote_literal
from chronos_assets.storage.questdb_http import HttpReader, Patience, as_rows
from chronos_assets.storage.questdb_tables import TABLES, TIMESTAMP, TableSpec
from chronos_assets.storage.questdb_write import RowsWritten, WriteResult, check_conf, send

_FIXED = {spec.name: spec.types for spec in TABLES}
_DDL_TRIES = 6
_DDL_SECONDS = 60.0
# Longer queries would not fit into the request line that the server takes.
COLUMNS_PER_QUERY = 400
# `Waiting(pending_transactions)` is called now and then while rows become visible.
Waiting = Callable[[int], None]


class QuestDB:
    """One QuestDB server. `conf` chooses the transport of writes; reads go to `http_addr`. `pid` is its process if we run it."""

    def __init__(
        self,
        conf: str,
        http_addr: str,
        user: str | None = None,
        password: str | None = None,
        *,
        patience: Patience | None = None,
        pid: int | None = None,
    ) -> None:
        self.conf: ClientString = parse_client_string(conf)
        self.pid = pid
        options = self.conf.options
        self.http = HttpReader(
            f"{self.conf.read_scheme}://{http_addr}",
            user or options.get("username"),
            password or options.get("password"),
            options.get("token"),
            patience=patience,
        )

    def __repr__(self) -> str:
        return f"QuestDB(write={self.conf.scheme}::{self.conf.address}, read={self.http.base})"

    @property
    def transport(self) -> str:
        """`ilp-http` or `ilp-tcp`."""
        return self.conf.transport

    def ping(self) -> None:
        """Raise `ServiceUnavailableError` unless the server answers."""
        self.http.ping()

    def execute(self, sql: str) -> None:
        """Run one statement."""
        self.http.exec(sql)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a small query as dictionaries (JSON types: timestamps are text)."""
        return as_rows(self.http.exec(sql), self.http.base)

    def read(self, sql: str) -> pl.DataFrame:
        """Rows of a query as a typed frame; timestamps are `Datetime[ns, UTC]`. Ask for bounded ranges."""
        return self.http.parquet(sql)

    def read_columns(self, table: str, columns: Sequence[str], *, condition: str, names: Sequence[str] | None = None) -> pl.DataFrame:
        """Columns of the rows that `condition` (after WHERE, already quoted) chooses, called `names`; in as many queries as it takes."""
        parts = []
        for start in range(0, len(columns), COLUMNS_PER_QUERY):
            chosen = ", ".join(quote_identifier(name) for name in columns[start : start + COLUMNS_PER_QUERY])
            try:
                part = self.read(f"SELECT {chosen} FROM {quote_identifier(table)} WHERE {condition}")  # noqa: S608 - quoted
            except StoreError as error:
                raise (_columns_missing(table, error) if "Invalid column" in str(error.found) else error) from error.__cause__
            part.columns = list(names or columns)[start : start + COLUMNS_PER_QUERY]
            parts.append(part)
        return parts[0] if len(parts) == 1 else pl.concat(parts, how="horizontal")

    # Tables

    def has_table(self, table: str) -> bool:
        """True if the table exists."""
        return bool(self.rows(f"SELECT 1 FROM tables() WHERE table_name = {quote_literal(table)}"))  # noqa: S608 - quoted

    def table_names(self) -> set[str]:
        """Names of all tables."""
        return {str(row["table_name"]) for row in self.rows("SELECT table_name FROM tables()")}

    def columns(self, table: str) -> dict[str, dict[str, Any]]:
        """Columns of a table as `SHOW COLUMNS` tells them, by name as stored."""
        return {row["column"]: row for row in self.rows(f"SHOW COLUMNS FROM {quote_identifier(table)}")}

    def partitions(self, table: str) -> int:
        """How many partitions (years) a table has."""
        return int(self.rows(f"SELECT count() AS n FROM table_partitions({quote_literal(table)})")[0]["n"])  # noqa: S608 - quoted

    def ensure_table(self, spec: TableSpec) -> None:
        """Create the table if it is missing; raises `StoreError` if one of that name has another shape."""
        self._ddl(spec.ddl())
        shape = self._shape(spec)
        found = {name.casefold(): row for name, row in self.columns(spec.name).items()}
        for name, kind in spec.types.items():
            if name.casefold() not in found:
                self._ddl(f"ALTER TABLE {quote_identifier(spec.name)} ADD COLUMN IF NOT EXISTS {quote_identifier(name)} {kind}")
            else:
                _same_type(spec.name, name, kind, found[name.casefold()]["type"], hint=_NOT_OURS)
        keys = sorted(name for name, row in self.columns(spec.name).items() if row["upsertKey"])
        expected, expected_keys = (TIMESTAMP, "YEAR", True, True), sorted((TIMESTAMP, *spec.keys))
        if shape != expected or keys != expected_keys:
            raise _another_shape(spec.name, _shape_words(*expected, expected_keys), _shape_words(*shape, keys))

    def _shape(self, spec: TableSpec) -> tuple[str | None, str, bool, bool]:
        """Designated timestamp, partitions, WAL and DEDUP of a table; QuestDB knows its name in whatever letters, and SQL does not."""
        columns = "table_name, designatedTimestamp, partitionBy, walEnabled, dedup"
        rows = self.rows(f"SELECT {columns} FROM tables() WHERE lower(table_name) = {quote_literal(spec.name.lower())}")  # noqa: S608 - quoted
        called = rows[0]["table_name"] if rows else None
        if called != spec.name:
            raise _another_shape(spec.name, f"a table called {spec.name}", f"one called {called}" if rows else "none")
        return rows[0]["designatedTimestamp"], rows[0]["partitionBy"], rows[0]["walEnabled"], rows[0]["dedup"]

    def ensure_columns(self, table: str, double_names: Iterable[str]) -> None:
        """Add DOUBLE columns one statement at a time and wait until they are there; raises `StoreError` if one has another type.

        Then none is added.
        """
        names = list(double_names)
        found = {name.casefold(): row["type"] for name, row in self.columns(table).items()}
        for name in names:
            _same_type(table, name, "DOUBLE", found.get(name.casefold(), "DOUBLE"))
        added = [name for name in names if name.casefold() not in found]
        for name in added:
            self._ddl(f"ALTER TABLE {quote_identifier(table)} ADD COLUMN IF NOT EXISTS {quote_identifier(name)} DOUBLE")
            found[name.casefold()] = "DOUBLE"
        if added:
            self._await_columns(table, found)

    def _await_columns(self, table: str, folded: Iterable[str]) -> None:
        """Wait for columns that were just added: the statement goes through the table's log and returns before it is applied."""
        wanted, deadline, resumed = set(folded), time.monotonic() + _DDL_SECONDS, False
        while missing := wanted - {name.casefold() for name in self.columns(table)}:
            resumed |= self._resumed(table, self._wal_state(table), again=resumed)
            if time.monotonic() > deadline:
                raise StoreError(
                    f"columns added to {table} do not appear",
                    code="columns_not_applied",
                    found=f"{len(missing)} missing after {_DDL_SECONDS:.0f} s",
                    hint="Run the same command again when QuestDB is less busy; its log says what holds it up.",
                )
            time.sleep(0.02)

    def _ddl(self, sql: str) -> None:
        """Run a statement that several processes may run at once: the ones that lose the race try again."""
        for attempt in range(_DDL_TRIES):
            try:
                self.execute(sql)
            except StoreError as error:
                text = str(error.found)
                contended = any(
                    word in text for word in ("busy", "txn", "concurrent", "table creation", "metadata", "not distinct", "duplicate column")
                )
                if attempt == _DDL_TRIES - 1 or not contended:
                    raise
                time.sleep(0.05 * 2**attempt)
            else:
                return

    # Rows in

    def check_conf(self) -> None:
        """Raise `UsageError` if the client that sends rows would not take the client string; nothing is connected to."""
        check_conf(self.conf)

    def write(
        self,
        frame: pl.DataFrame,
        *,
        table: str,
        symbols: Sequence[str],
        at: str = TIMESTAMP,
        transport: str | None = None,
        batch_rows: int = 2000,
        senders: int = 1,
        progress: RowsWritten | None = None,
    ) -> WriteResult:
        """Send the rows of `frame`: cast to the table's types, sorted by `at`, nulls left out, again if in doubt.

        `at` may also be a column of int64 seconds. Columns are not added: call `ensure_columns` first. Returns once the rows were
        acknowledged (HTTP) or handed over (TCP); `wait_applied` says when they are visible.
        """
        types = _FIXED.get(table) or {name: str(row["type"]) for name, row in self.columns(table).items()}
        ready = prepare(frame, types, symbols=symbols, at=at)
        return self.write_prepared(
            [[ready]], table=table, symbols=symbols, at=at, transport=transport, batch_rows=batch_rows, senders=senders, progress=progress
        )

    def write_prepared(
        self,
        parts: Iterable[Iterable[pl.DataFrame]],
        *,
        table: str,
        symbols: Sequence[str],
        at: str = TIMESTAMP,
        transport: str | None = None,
        batch_rows: int = 2000,
        senders: int = 1,
        progress: RowsWritten | None = None,
    ) -> WriteResult:
        """Send frames as `frames.prepare` makes them. The frames of a part are sent in order; parts are sent side by side."""
        if transport is not None and transport != self.conf.transport:
            raise UsageError(
                f"transport {transport} does not go with a {self.conf.scheme}:: client string",
                code="transport_disagrees",
                expected=self.conf.transport,
                found=transport,
                hint="The scheme of the client string chooses the transport: http:: or tcp::.",
            )
        return send(self.conf, parts, table=table, symbols=symbols, at=at, batch_rows=batch_rows, senders=senders, progress=progress)

    def wait_applied(self, table: str, timeout_seconds: float = 300.0, waiting: Waiting | None = None) -> None:
        """Return once every transaction that the table had at the time of the call is visible.

        A table that QuestDB has suspended (a full disk, say) is resumed once: QuestDB then tries the same transaction again. Raises
        `StoreError` if that does not help, `ServiceUnavailableError` when the deadline passes.
        """
        started, target, resumed = time.monotonic(), None, False
        while True:
            state = self._wal_state(table)
            target = int(state["sequencerTxn"]) if target is None else target
            pending = target - int(state["writerTxn"])
            resumed |= self._resumed(table, state, again=resumed)
            if pending <= 0 and not state["suspended"]:
                return
            waited = time.monotonic() - started
            if waited > timeout_seconds:
                raise ServiceUnavailableError(
                    f"QuestDB has not applied all rows of {table!r} in {timeout_seconds:g} s",
                    code="questdb_slow",
                    found=f"{pending} transactions waiting",
                    hint="Run the same command again, or raise CHRONOS_APPLY_TIMEOUT_SECONDS.",
                )
            if waiting is not None:
                waiting(pending)
            time.sleep(poll_pause(waited, most=0.1))

    def _resumed(self, table: str, state: dict[str, Any], *, again: bool) -> bool:
        """Let QuestDB go on with a table that it has suspended; True if it was. Raises `StoreError` the second time (`again`)."""
        if not state["suspended"]:
            return False
        if again:
            raise _suspended(table, state)
        try:
            self.execute(f"ALTER TABLE {quote_identifier(table)} RESUME WAL")
        except StoreError as error:
            raise _suspended(table, state) from error
        return True

    def sequencer_transaction(self, table: str) -> int:
        """Number of the last transaction that the table was given, applied or not."""
        return int(self._wal_state(table)["sequencerTxn"])

    def _wal_state(self, table: str) -> dict[str, Any]:
        columns = "suspended, writerTxn, sequencerTxn, errorTag, errorMessage"
        rows = self.rows(f"SELECT {columns} FROM wal_tables() WHERE name = {quote_literal(table)}")  # noqa: S608 - quoted
        if not rows:
            raise StoreError(f"QuestDB has no table {table!r} with a write-ahead log", code="table_missing")
        return rows[0]


def poll_pause(waited: float, *, most: float) -> float:
    """Seconds until a server is asked again: a tenth of the `waited` ones, from 5 ms to `most`."""
    return min(max(0.005, waited / 10), most)


_NOT_OURS = "Rename or drop that table; it is created by the next command."


def _another_shape(table: str, expected: str, found: str) -> StoreError:
    return StoreError(
        f"QuestDB's table {table!r} exists with another shape", code="table_shape", expected=expected, found=found, hint=_NOT_OURS
    )


def _shape_words(designated: str | None, partitions: str, wal: bool, dedup: bool, keys: Sequence[str]) -> str:
    log, copies = "with a WAL" if wal else "without a WAL", f"DEDUP on {', '.join(keys)}" if dedup else "no DEDUP"
    return f"designated timestamp {designated or 'none'}, partitioned by {partitions}, {log}, {copies}"


def _columns_missing(table: str, error: StoreError) -> StoreError:
    return StoreError(
        f"QuestDB's table {table!r} does not have all columns that were written to it",
        code="columns_missing",
        found=error.found,
        hint="It was changed or recreated behind the registry: `chronosflow_export SLUG --replace` writes all bars of a dataset again.",
    )


def _suspended(table: str, state: dict[str, Any]) -> StoreError:
    return StoreError(
        f"QuestDB has suspended table {table!r}, and again when it was resumed: rows are taken and stay invisible",
        code="table_suspended",
        found=f"{state['errorTag']} {state['errorMessage']}".strip() or None,
        hint="Free disk space there or repair the cause, then run the same command again: it resumes the table. If that does not help, "
        "start QuestDB again (`chronos services stop`, then `start`); its log says more.",
    )


def _same_type(
    table: str, column: str, expected: str, found: str, *, hint: str = "Rename the column in the file, or the one in QuestDB."
) -> None:
    if found != expected:
        raise StoreError(
            f"column {column!r} of QuestDB's table {table!r} exists with another type",
            code="column_type",
            expected=expected,
            found=found,
            hint=hint,
        )
