"""docs/storage/postgres_schema.sql and POSTGRES.md, from `storage/postgres_schema/`."""

from __future__ import annotations

import re

from sqlalchemy import Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from chronos_assets.storage.postgres_schema import METADATA
from written_pages.common import COMMAND, NOTE, wrapped


def postgres_schema() -> str:
    """The registry's tables as SQL, as the migrations leave them."""
    dialect = postgresql.dialect()
    parts = [
        f"-- The registry's schema, as the migrations leave it. Written by `{COMMAND}`; do not edit.",
        "-- `chronos` makes it by itself (storage/migrations); this file is for reading. POSTGRES.md says what each table and index is "
        "for.",
    ]
    for table in METADATA.sorted_tables:
        parts.append(str(CreateTable(table).compile(dialect=dialect)).strip().replace("\t", "    ").replace(" \n", "\n") + ";")
        parts += [str(CreateIndex(index).compile(dialect=dialect)).strip() + ";" for index in sorted(table.indexes, key=_name)]
    return "\n\n".join(parts) + "\n"


def postgres_page() -> str:
    """What each table and index of the registry is for."""
    lines = [
        "# Postgres: the registry",
        NOTE,
        "",
        *wrapped(
            "Postgres keeps what is known about datasets, runs and simulations; QuestDB keeps their rows. The schema is in "
            "[postgres_schema.sql](postgres_schema.sql); `storage/migrations` makes it, step by step, when a command first opens the "
            "stores, and the table `chronos_schema_version` says how far it is. Times are UTC. Dagster's own records are in a database "
            "of their own."
        ),
    ]
    for table in METADATA.sorted_tables:
        lines += _postgres_table(table)
    return "\n".join(lines) + "\n"


def _postgres_table(table: Table) -> list[str]:
    keys = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
    references = [f"`{key.parent.name}` -> `{key.target_fullname}`" for key in sorted(table.foreign_keys, key=lambda k: k.parent.name)]
    lines = ["", f"## {table.name}", "", *wrapped(about(table)), "", f"Primary key: {keys}."]
    lines += [f"References: {', '.join(references)}."] if references else []
    if table.indexes:
        lines += ["", "| index | on | serves |", "|---|---|---|"]
        lines += [f"| `{index.name}` | {_columns(index)} | {about(index)} |" for index in sorted(table.indexes, key=_name)]
    return lines


def about(item: Table | Index) -> str:
    """The words beside the definition."""
    words = item.info.get("about")
    if not words:
        raise LookupError(f"{item.name} in storage/postgres_schema/ has no info={{'about': ...}}: say in one sentence what it is for")
    return str(words)


def _columns(index: Index) -> str:
    found = re.search(r"\((.*)\)", str(CreateIndex(index).compile(dialect=postgresql.dialect())))
    assert found is not None
    return f"`{found[1]}`"


def _name(item: Index) -> str:
    return str(item.name)
