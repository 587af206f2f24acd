"""Taking a dataset out of the registry, and what stands on it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import DictRow

from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query


@dataclass(frozen=True)
class Standing:
    """Runs and simulations that refer to a dataset."""

    runs: int
    simulations: int


def standing_on(postgres: Postgres, slug: str) -> Standing:
    """How many runs and simulations refer to the dataset."""
    with postgres.connection() as connection:
        row = connection.execute(query("standing_on"), {"slug": slug}).fetchone()
    assert row is not None
    return Standing(row["runs"], row["simulations"])


def delete_dataset(connection: psycopg.Connection[DictRow], slug: str) -> None:
    """Delete a dataset with all runs and simulations on it, in one transaction. Its audits stay: they know which tags hold rows."""
    with connection.transaction():
        for name in ("retire_simulations", "retire_runs", "retire_dataset"):
            connection.execute(query(name), {"slug": slug})
