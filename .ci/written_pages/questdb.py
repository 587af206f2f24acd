"""docs/storage/QUESTDB_INGESTION.md, from `storage/questdb_tables.py`."""

from __future__ import annotations

from chronos_assets.storage.questdb_tables import TABLES, TIMESTAMP, TableSpec
from written_pages.common import NOTE, wrapped


def questdb_page() -> str:
    """Every QuestDB table: what it holds, its columns and keys, how a row of it is written and how it is read."""
    lines = [
        "# QuestDB: what is written, and how to read it",
        NOTE,
        "",
        *wrapped(
            "All tables are WAL tables, partitioned by year, with nanosecond timestamps in UTC and DEDUP keys: sending the same rows "
            "twice leaves one copy, and a row with the same keys replaces the whole old row. They are created before the first write, "
            "never by the server itself. A null is left out of the line. Names and types are a contract with other programs: columns "
            "are added, never renamed or removed."
        ),
        "",
        "## Read through the registry, never the table alone",
        "",
        *wrapped(
            "QuestDB has no row delete and acknowledges rows before they are visible, so a table may hold rows that are half written, "
            "stale or replaced. The registry in Postgres names the tag and the range of bars that were compared in full with their "
            "source. Read in two steps:"
        ),
        "",
        "```sql",
        "-- 1. Postgres: what is published for the slug",
        "SELECT questdb_tag, first_bar_ts, last_bar_ts FROM indicator_datasets WHERE dataset_id = 'btc_4h_v1';",
        "-- 2. QuestDB: exactly that tag and that range, both ends included",
        f"SELECT * FROM indicator_bars WHERE dataset = '<questdb_tag>' AND \"{TIMESTAMP}\" BETWEEN '<first_bar_ts>' AND '<last_bar_ts>';",  # noqa: S608
        "```",
        "",
        *wrapped(
            "Runs and simulations are read by their id, if `status` of their row in Postgres (`walkforward_runs`, `simulation_runs`) "
            "is `completed`. In Python `storage.datasets.read_bars` does both steps; `GET` requests of `chronos serve` do them too."
        ),
    ]
    for spec in TABLES:
        lines += _questdb_table(spec)
    return "\n".join(lines) + "\n"


def _questdb_table(spec: TableSpec) -> list[str]:
    doubles = "one per indicator, target and price column, added when a dataset first has it" if not spec.doubles else ""
    rows = [("tag (SYMBOL)", spec.symbols, ""), ("LONG", spec.longs, ""), ("DOUBLE", spec.doubles, doubles)]
    listed = [f"| {kind} | {', '.join(f'`{name}`' for name in names) or words or 'none'} |" for kind, names, words in rows]
    return [
        "",
        f"## {spec.name}",
        "",
        *wrapped(spec.about),
        "",
        "| columns | |",
        "|---|---|",
        *listed,
        f"| DEDUP keys | `{TIMESTAMP}`, {', '.join(f'`{name}`' for name in spec.keys)} |",
        "",
        "```sql",
        _broken(spec.ddl()),
        "```",
        "",
        "A row as ILP (over HTTP `POST /write`, over TCP the same text; the last number is the timestamp in nanoseconds):",
        "",
        "```",
        ilp_line(spec),
        "```",
    ]


def ilp_line(spec: TableSpec) -> str:
    """A row of the table as a line of ILP, made from the example in its definition."""
    example = dict(spec.example)
    moment = example.pop(TIMESTAMP)
    tags = "".join(f",{name}={example.pop(name)}" for name in spec.symbols if name in example)
    fields = ",".join(f"{name}={value}i" if isinstance(value, int) else f"{name}={value}" for name, value in example.items())
    return f"{spec.name}{tags} {fields} {moment}"


def _broken(ddl: str) -> str:
    head, _, rest = ddl.partition(" (")
    columns, _, tail = rest.partition(") TIMESTAMP(")
    return f"{head} (\n    {columns.replace(', ', f',{chr(10)}    ')}\n) TIMESTAMP({tail};"
