"""Nights on record: what each came to, as the document that readers are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query


@dataclass(frozen=True)
class NightRecord:
    """One row of `nights`."""

    night: str
    started_at: datetime
    completed_at: datetime
    document: dict[str, Any]


def newest_nights(postgres: Postgres, limit: int, before: datetime | None = None) -> list[NightRecord]:
    """The newest nights (that were completed before `before`), the newest first."""
    with postgres.connection() as connection:
        return [NightRecord(**row) for row in connection.execute(query("nights_newest"), {"limit": limit, "before": before}).fetchall()]
