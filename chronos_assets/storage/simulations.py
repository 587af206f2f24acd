"""Simulations in both stores: their rows and buckets in Postgres, their trades and equity in QuestDB.

The order is fixed: the row as `running`; trades and equity, visible; then buckets, summary and `completed` in one transaction. A
simulation is named by what determines it, so an attempt that died is repeated with the same rows, and the DEDUP keys keep one copy.
Whether anybody works on one is told by the session advisory lock on its id, never by its status alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from psycopg.types.json import Jsonb

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import NotPublishedError
from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.postgres import Connection, Postgres, Row
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import TIMESTAMP, TRADING_SIM_EQUITY, TRADING_SIM_TRACES, TableSpec
from chronos_assets.storage.runs import hint_prefix
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing

TRADE_VALUES = TRADING_SIM_TRACES.doubles
ROWS_PER_READ = 500_000
DIED = {"code": "died", "message": "the process that made it is gone; the same request makes it again"}


@dataclass(frozen=True)
class SimulationRecord:
    """One row of `simulation_runs`."""

    simulation_id: str
    run_id: str
    dataset_id: str
    mode: str
    config: dict[str, Any]
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    summary_metrics: dict[str, Any] | None
    questdb_namespace: str | None
    created_at: datetime


def simulation_lock(postgres: Postgres, simulation_id: str) -> AbstractContextManager[Connection]:
    """The session lock of a simulation; raises `ConflictError` if another process works on it."""
    return postgres.session_lock(lock_key(simulation_id), what=f"simulation {simulation_id}")


def declare_dead_simulations(postgres: Postgres) -> list[str]:
    """Set every simulation that is `running` while nobody holds its lock to `failed`; returns their ids."""
    with postgres.connection() as connection:
        running = [str(row["simulation_id"]) for row in connection.execute(query("simulations_running")).fetchall()]
    dead = [simulation_id for simulation_id in running if postgres.lock_is_free(lock_key(simulation_id))]
    for simulation_id in dead:
        fail_simulation(postgres, simulation_id, "failed", DIED)
    return dead


def find_simulation(postgres: Postgres, simulation_id: str) -> SimulationRecord | None:
    """The simulation, or None. A text that is no UUID is no simulation."""
    try:
        UUID(simulation_id)
    except ValueError:
        return None
    with postgres.connection() as connection:
        row = connection.execute(query("simulation_get"), {"simulation_id": simulation_id}).fetchone()
    return None if row is None else _record(row)


def get_simulation(postgres: Postgres, simulation_id: str) -> SimulationRecord:
    """The simulation; raises `NotPublishedError` with the nearest known id."""
    record = find_simulation(postgres, simulation_id)
    if record is None:
        with postgres.connection() as connection:
            near = connection.execute(query("simulations_near"), {"prefix": hint_prefix(simulation_id)}).fetchall()
        close = nearest(simulation_id, [row["id"] for row in near])
        raise NotPublishedError(
            f"there is no simulation {simulation_id}",
            code="simulation_unknown",
            hint=(f"Did you mean {close}? " if close else "") + "`chronos simulate RUN_ID` makes one.",
        )
    return record


def list_simulations(postgres: Postgres, run_id: str | None = None) -> list[SimulationRecord]:
    """Simulations, newest first; of one run if it is named."""
    with postgres.connection() as connection:
        return [_record(row) for row in connection.execute(query("simulation_list"), {"run_id": run_id}).fetchall()]


def get_buckets(postgres: Postgres, simulation_id: str) -> list[dict[str, Any]]:
    """The rows of `simulation_trade_buckets` of a simulation, by side."""
    with postgres.connection() as connection:
        return [dict(row) for row in connection.execute(query("simulation_buckets"), {"simulation_id": simulation_id}).fetchall()]


def begin_simulation(postgres: Postgres, simulation_id: str, *, run_id: str, dataset_id: str, mode: str, config: Mapping[str, Any]) -> None:
    """Write the request and the status `running`; call it under the simulation's lock."""
    binds = {
        "simulation_id": simulation_id,
        "run_id": run_id,
        "dataset_id": dataset_id,
        "mode": mode,
        "config": Jsonb(dict(config)),
        "questdb_namespace": f"{TRADING_SIM_TRACES.name}/simulation_id={simulation_id}",
    }
    with postgres.connection() as connection:
        connection.execute(query("simulation_begin"), binds)


def write_trades_and_equity(stores: Stores, record_id: str, *, run_id: str, mode: str, trades: pl.DataFrame, equity: pl.DataFrame) -> None:
    """Write both series and return when they are visible.

    `trades` as the engine makes them (`entry_timestamp_unix`, ...); `equity` with `timestamp_unix`, `equity`, `drawdown_pct`, `position`.
    """
    keys = [pl.lit(value).alias(name) for name, value in (("simulation_id", record_id), ("run_id", run_id), ("mode", mode))]
    rows = trades.select(
        *keys,
        "side",
        pl.col("fold").cast(pl.String),
        "exit_reason",
        *TRADING_SIM_TRACES.longs,
        *TRADE_VALUES,
        pl.col("entry_timestamp_unix").alias(TIMESTAMP),
    )
    marks = equity.select(*keys, *TRADING_SIM_EQUITY.doubles, pl.col("timestamp_unix").alias(TIMESTAMP))
    with writing(stores.postgres, TRADING_SIM_TRACES.name, TRADING_SIM_EQUITY.name):
        for table, frame in ((TRADING_SIM_TRACES, rows), (TRADING_SIM_EQUITY, marks)):
            if frame.height:
                stores.questdb.write(frame, table=table.name, symbols=table.symbols, batch_rows=stores.settings.batch_rows * 5)
                stores.questdb.wait_applied(table.name, stores.settings.apply_timeout_seconds)


def complete_simulation(
    postgres: Postgres, simulation_id: str, *, summary: Mapping[str, Any], buckets: Sequence[Mapping[str, Any]]
) -> None:
    """Buckets, summary and the status `completed`, in one transaction. Call it once trades and equity are visible."""
    with postgres.connection() as connection, connection.transaction():
        rows = [{"simulation_id": simulation_id, **bucket} for bucket in buckets]
        connection.cursor().executemany(query("simulation_bucket_write"), rows)
        connection.execute(query("simulation_complete"), {"simulation_id": simulation_id, "summary_metrics": Jsonb(dict(summary))})


def fail_simulation(postgres: Postgres, simulation_id: str, status: str, reason: Mapping[str, Any]) -> None:
    """Write that an attempt ended as `failed` or `cancelled`, and why."""
    binds = {"simulation_id": simulation_id, "status": status, "summary_metrics": Jsonb({"error": dict(reason)})}
    with postgres.connection() as connection:
        connection.execute(query("simulation_fail"), binds)


def read_trades(stores: Stores, simulation_id: str) -> pl.DataFrame:
    """Stored trades in order: `trade_no`, `side`, `fold` (int64), `exit_reason`, the three times in int64 seconds, then float64 columns."""
    frame = _read(stores, TRADING_SIM_TRACES, simulation_id, ("side", "fold", "exit_reason", *TRADING_SIM_TRACES.longs, *TRADE_VALUES))
    return frame.select(
        pl.col("trade_no").cast(pl.Int64),
        pl.col("side").cast(pl.String),
        pl.col("fold").cast(pl.String).cast(pl.Int64),
        pl.col("exit_reason").cast(pl.String),
        pl.col("decision_timestamp_unix").cast(pl.Int64),
        pl.col("timestamp_unix").alias("entry_timestamp_unix"),
        pl.col("exit_timestamp_unix").cast(pl.Int64),
        *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in TRADE_VALUES),
    ).sort("trade_no")


def read_equity(stores: Stores, simulation_id: str) -> pl.DataFrame:
    """Stored equity in bar order: `timestamp_unix` (int64 seconds), `equity`, `drawdown_pct`, `position`."""
    frame = _read(stores, TRADING_SIM_EQUITY, simulation_id, TRADING_SIM_EQUITY.doubles)
    return frame.select("timestamp_unix", *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in TRADING_SIM_EQUITY.doubles))


def _read(stores: Stores, table: TableSpec, simulation_id: str, columns: Sequence[str]) -> pl.DataFrame:
    """Rows of one simulation in time order, in bounded pieces."""
    where = f"simulation_id = {quote_literal(simulation_id)}"
    total = int(stores.questdb.rows(f"SELECT count() AS n FROM {table.name} WHERE {where}")[0]["n"])  # noqa: S608 - quoted
    rows = f"SELECT {', '.join((TIMESTAMP, *columns))} FROM {table.name} WHERE {where} ORDER BY {TIMESTAMP}"  # noqa: S608 - quoted
    starts = range(0, max(total, 1), ROWS_PER_READ)
    parts = [stores.questdb.read(f"{rows} LIMIT {start}, {start + ROWS_PER_READ}") for start in starts]
    return pl.concat(parts).with_columns(timestamp_unix=pl.col(TIMESTAMP).dt.timestamp("ns") // 1_000_000_000)


def lock_key(simulation_id: str) -> str:
    """Name of the session lock of a simulation."""
    return f"simulation:{simulation_id}"


def _record(row: Row) -> SimulationRecord:
    kept = {name: value for name, value in row.items() if name in SimulationRecord.__dataclass_fields__}
    return SimulationRecord(**(kept | {"simulation_id": str(row["simulation_id"]), "run_id": str(row["run_id"])}))
