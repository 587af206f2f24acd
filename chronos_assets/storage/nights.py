"""Nights on record: what each came to, as the document that readers are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query

MOST_NIGHTS = 1_000


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


def find_night(postgres: Postgres, night: str) -> NightRecord | None:
    """One night by its name."""
    with postgres.connection() as connection:
        row = connection.execute(query("night_get"), {"night": night}).fetchone()
    return None if row is None else NightRecord(**row)
