"""The registry's tables as SQLAlchemy metadata: what the migrations must add up to, checked by the suite with Alembic's autogenerate."""

from __future__ import annotations

from typing import Any

from chronos_assets.storage.postgres_schema import datasets, models, nights, selections, simulations, trials, walkforward
from chronos_assets.storage.postgres_schema.columns import METADATA

__all__ = ["METADATA", "is_ours"]

_GROUPS = (datasets, walkforward, simulations, selections, trials, nights, models)
"""The modules that define the tables; importing one adds its tables to METADATA."""


def is_ours(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """True for our tables and what belongs to them: other programs may keep theirs in the same database."""
    table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return table in METADATA.tables
