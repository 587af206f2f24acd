"""Nights on record: what each came to, as the document that readers are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_tables import TIMESTAMP, WALKFORWARD_PREDICTIONS
from chronos_assets.storage.stores import Stores

MOST_NIGHTS = 1_000
NIGHTS_LOOKED_AT = 100


@dataclass(frozen=True)
class NightRecord:
    """One row of `nights`."""

    night: str
    started_at: datetime
    completed_at: datetime
    document: dict[str, Any]


def write_night(postgres: Postgres, night: str, started_at: datetime, document: Mapping[str, Any]) -> None:
    """Record a night, or its document once more; only the newest `MOST_NIGHTS` stay."""
    with postgres.connection() as connection, connection.transaction():
        connection.execute(query("night_write"), {"night": night, "started_at": started_at, "document": Jsonb(dict(document))})
        connection.execute(query("nights_prune"), {"newest": MOST_NIGHTS})


def newest_nights(postgres: Postgres, limit: int, before: datetime | None = None) -> list[NightRecord]:
    """The newest nights (that were completed before `before`), the newest first."""
    with postgres.connection() as connection:
        return [NightRecord(**row) for row in connection.execute(query("nights_newest"), {"limit": limit, "before": before}).fetchall()]


def quiet_nights(postgres: Postgres, beginning: str, *, since: datetime, limit: int) -> list[NightRecord]:
    """Nights completed after `since`, with names that begin like that, whose datasets are all unchanged; the newest first."""
    binds = {"names": f"{beginning}%", "since": since, "limit": limit}
    with postgres.connection() as connection:
        return [NightRecord(**row) for row in connection.execute(query("nights_quiet"), binds).fetchall()]


def datasets_before(postgres: Postgres, night: str, slugs: Sequence[str]) -> list[dict[str, Any]]:
    """Each of these datasets as the latest night but `night` that knew it left it, of the last `NIGHTS_LOOKED_AT`."""
    binds = {"night": night, "slugs": list(slugs), "nights": NIGHTS_LOOKED_AT}
    with postgres.connection() as connection:
        return [row["document"] for row in connection.execute(query("night_datasets_before"), binds).fetchall()]


@dataclass(frozen=True)
class LastPrediction:
    """The newest prediction of a run, with the thresholds of its fold; null for a side that is off."""

    bar: datetime
    prediction: float | None
    long_threshold: float | None
    short_threshold: float | None


def current_runs(postgres: Postgres, slug: str) -> dict[str, str]:
    """The current run of each profile of a dataset, baselines left out."""
    with postgres.connection() as connection:
        rows = connection.execute(query("night_runs"), {"dataset_id": slug}).fetchall()
    return {row["profile"]: row["run_id"] for row in rows}


def simulations_of_night(postgres: Postgres, run_id: str) -> list[dict[str, Any]]:
    """Completed simulations of a run: `simulation_id`, `mode`, `configuration` (names its parameters), `equity`, `total_return_pct`."""
    with postgres.connection() as connection:
        return [dict(row) for row in connection.execute(query("night_simulations"), {"run_id": run_id}).fetchall()]


def last_prediction(stores: Stores, run_id: str) -> LastPrediction | None:
    """The prediction of a run for its last bar."""
    columns = f"{TIMESTAMP}, prediction, long_threshold, short_threshold"
    where = f"run_id = {quote_literal(run_id)} ORDER BY {TIMESTAMP} DESC LIMIT 1"
    rows = stores.questdb.read(f"SELECT {columns} FROM {WALKFORWARD_PREDICTIONS.name} WHERE {where}").to_dicts()  # noqa: S608 - quoted
    if not rows:
        return None
    (row,) = rows
    values = {name: None if row[name] is None or math.isnan(row[name]) else float(row[name]) for name in columns.split(", ")[1:]}
    return LastPrediction(row[TIMESTAMP], **values)
