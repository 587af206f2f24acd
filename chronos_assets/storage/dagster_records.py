"""Dagster's own records, read by SQL: loading Dagster costs more than a night that has nothing to do.

Read only, and never the last word: who finds something to do here, or cannot read, asks Dagster itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query


@dataclass(frozen=True)
class EndedRun:
    """A run of Dagster that has ended; `dataset` is None if it was of no single one."""

    run_id: str
    dataset: str | None
    succeeded: bool
    created_at: datetime


def covered_contents(records: Postgres, asset: str, slugs: Sequence[str], *, content_tag: str, dataset_tag: str) -> dict[str, str]:
    """By slug: the content whose run materialized `asset` last, if that run succeeded.

    `records`: Dagster's database. Raises `StoreError` if its tables are not as we know them.
    """
    binds = {"asset": json.dumps([asset]), "slugs": list(slugs), "content": content_tag, "dataset": dataset_tag}
    with records.connection() as connection:
        rows = connection.execute(query("dagster_covered"), binds).fetchall()
    return {row["slug"]: row["content"] for row in rows if row["status"] == "SUCCESS" and row["content"] and row["dataset"] == row["slug"]}


def ended_runs(records: Postgres, slug: str | None = None, *, dataset_tag: str) -> list[EndedRun]:
    """Runs that have ended, of a dataset or all, the newest first. Raises `StoreError` if Dagster's tables are not as we know them."""
    with records.connection() as connection:
        return [EndedRun(**row) for row in connection.execute(query("dagster_ended_runs"), {"slug": slug, "dataset": dataset_tag})]
