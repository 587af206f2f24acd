"""One row per night."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, json_column, utc

Table(
    "nights",
    METADATA,
    Column("night", Text, primary_key=True),
    utc("started_at", null=False),
    utc("completed_at", null=False, default=NOW),
    json_column("document"),
    Index("nights_completed", text("completed_at DESC"), info={"about": "the nights, the newest first"}),
    info={
        "about": "One row per night or backfill: what each dataset came to, what did not run and why, and the size of the stores, as "
        "`chronos night` shows it (`document`).",
    },
)
