"""Which rows of the QuestDB tables are alive: their key is in the registry."""

from __future__ import annotations

from datetime import timedelta

from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import (
    INDICATOR_BARS,
    LIVE_SIGNALS,
    TRADING_SIM_EQUITY,
    TRADING_SIM_TRACES,
    WALKFORWARD_PREDICTIONS,
)

# Readers that began before a revision was replaced may still read its tag.
YOUNG = timedelta(hours=1)
# The column of each table whose value is in the registry while a row is alive.
KEYS = {
    INDICATOR_BARS.name: "dataset",
    WALKFORWARD_PREDICTIONS.name: "run_id",
    TRADING_SIM_TRACES.name: "simulation_id",
    TRADING_SIM_EQUITY.name: "simulation_id",
    LIVE_SIGNALS.name: "model_id",
}


def alive_keys(postgres: Postgres, key: str, stored: set[str]) -> set[str]:
    """Values of `key` whose rows are alive, among those `stored`. A tag that no attempt of ours used is alive: it is not ours to drop."""
    names = {
        "run_id": ("alive_runs",),
        "simulation_id": ("alive_simulations",),
        "model_id": ("alive_models",),
        "dataset": ("alive_tags", "attempted_tags"),
    }[key]
    with postgres.connection() as connection:
        found = [{str(row["key"]) for row in connection.execute(query(name), {"young": YOUNG}).fetchall()} for name in names]
    alive = found[0] & stored
    return alive if len(found) == 1 else alive | (stored - found[1])


def registered_columns(postgres: Postgres) -> set[str]:
    """QuestDB columns of published datasets."""
    with postgres.connection() as connection:
        return {str(row["key"]) for row in connection.execute(query("registered_columns")).fetchall()}


def database_bytes(postgres: Postgres) -> int:
    """Bytes on disk of our database, and of Dagster's if it is beside it."""
    with postgres.connection() as connection:
        row = connection.execute(query("database_bytes")).fetchone()
    return int(row["bytes"]) if row else 0
