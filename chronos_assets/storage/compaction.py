"""A QuestDB table made again with the rows that are alive: how dead rows give their space back, since QuestDB has no row delete.

Under the table's lock, which keeps writers out (`table_locks`), the rows alive are copied to `T__copy`, compared, and swapped in:

| tables there | what a process that was killed left | the next one |
|---|---|---|
| `T`, `T__copy` | a copy that was never whole | drops the copy |
| `T`, `T__ready` | a whole copy, not swapped in; `T` may have new rows by now | drops the copy |
| `T__old`, `T__ready` | the swap, half done | names the copy `T` |
| `T`, `T__old` | the swap, done | drops the old table |

So `T` holds every row alive at every moment but between two renames. Readers that meet that gap ask again (`questdb_http`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chronos_assets.errors import StoreError
from chronos_assets.storage.identifiers import quote_identifier, quote_literal
from chronos_assets.storage.questdb import COLUMNS_PER_QUERY, QuestDB
from chronos_assets.storage.questdb_tables import COPY, OLD, READY, TIMESTAMP, TableSpec

KEYS_PER_COPY = 40
RENAME_TRIES = 5


@dataclass(frozen=True)
class TableSpace:
    """One table: rows and bytes on disk in all, and rows that no reader can reach any more."""

    table: str
    rows: int
    dead_rows: int
    bytes: int

    @property
    def is_due(self) -> bool:
        """Whether more than half of its rows are dead."""
        return 2 * self.dead_rows > self.rows


def rows_by_key(questdb: QuestDB, table: str, key: str) -> dict[str, int]:
    """Rows of each value of a SYMBOL column; rows without one are not counted."""
    name = quote_identifier(key)
    sql = f"SELECT {name} AS key, count() AS n FROM {quote_identifier(table)} WHERE {name} IS NOT NULL GROUP BY {name}"  # noqa: S608 - quoted
    return {str(row["key"]): int(row["n"]) for row in questdb.rows(sql)}


def table_space(questdb: QuestDB, table: str, by_key: dict[str, int], alive: Collection[str]) -> TableSpace:
    """Rows, dead rows and bytes of a table whose rows by key are `by_key`."""
    found = questdb.rows(f"SELECT diskSize FROM table_storage() WHERE tableName = {quote_literal(table)}")  # noqa: S608 - quoted
    dead = sum(n for key, n in by_key.items() if key not in alive)
    return TableSpace(table, sum(by_key.values()), dead, int(found[0]["diskSize"]) if found else 0)


def finish_swap(questdb: QuestDB, table: str) -> None:
    """Bring a table into order after a compaction that was killed; call it under the table's lock. Raises `StoreError` if it cannot."""
    copy, ready, old = (f"{table}{suffix}" for suffix in (COPY, READY, OLD))
    there = _there(questdb, table, copy, ready, old)
    if {old, ready} <= there:
        _name(questdb, ready, table)
        there = (there - {ready}) | {table}
    if table not in there:
        if there & {ready, old}:
            raise StoreError(
                f"QuestDB's table {table!r} is gone, and only {', '.join(sorted(there))} is there",
                code="swap_broken",
                hint=f"Rename the one that holds its rows to {table} in QuestDB's console.",
            )
        return
    for name in sorted(there - {table}):
        _drop(questdb, name)


def compact(questdb: QuestDB, spec: TableSpec, key: str, alive: Sequence[str], columns: Collection[str], *, timeout_seconds: float) -> None:
    """Make a table again with the rows whose `key` is one of `alive`, and its fixed columns and `columns`.

    Call it under the table's lock. Raises `StoreError` if the copy does not hold exactly these rows; the table is then as it was.
    """
    finish_swap(questdb, spec.name)
    questdb.wait_applied(spec.name, timeout_seconds)
    copy, ready, old = (f"{spec.name}{suffix}" for suffix in (COPY, READY, OLD))
    before = rows_by_key(questdb, spec.name, key)
    kept = [name for name in alive if name in before]
    names = _columns_to_copy(questdb, spec, key, kept, columns)
    questdb.execute(spec.ddl(copy, [name for name in names if name not in spec.types]))
    for start in range(0, len(kept), KEYS_PER_COPY):
        chosen = ", ".join(quote_literal(name) for name in kept[start : start + KEYS_PER_COPY])
        listed = ", ".join(map(quote_identifier, names))
        source, where = quote_identifier(spec.name), f"{quote_identifier(key)} IN ({chosen})"
        questdb.execute(f"INSERT INTO {quote_identifier(copy)} ({listed}) SELECT {listed} FROM {source} WHERE {where}")  # noqa: S608 - quoted
    questdb.wait_applied(copy, timeout_seconds)
    found, expected = _digest(questdb, copy, key), _digest(questdb, spec.name, key)
    if {name: expected[name] for name in kept} != found:
        _drop(questdb, copy)
        raise StoreError(
            f"the copy of {spec.name} does not hold the rows that are alive",
            code="compaction_differs",
            expected=f"{sum(before[name] for name in kept)} rows of {len(kept)} keys",
            found=f"{sum(int(str(row[0])) for row in found.values())} rows of {len(found)} keys",
            hint="The table is as it was. Another program writes to it: stop it, then prune again.",
        )
    _rename(questdb, copy, ready)
    _rename(questdb, spec.name, old)
    finish_swap(questdb, spec.name)


def _name(questdb: QuestDB, ready: str, table: str) -> None:
    """Give the copy its name. A table that a client made in the gap, without the lock, holds nothing that was registered, and goes."""
    for attempt in range(RENAME_TRIES):
        if _there(questdb, table):
            _drop(questdb, table)
        try:
            _rename(questdb, ready, table)
        except StoreError:
            if attempt == RENAME_TRIES - 1:
                raise
        else:
            return


def _columns_to_copy(questdb: QuestDB, spec: TableSpec, key: str, alive: Sequence[str], columns: Collection[str]) -> list[str]:
    """The fixed columns, those in `columns`, and every other one that a row alive has a value in."""
    stored = list(questdb.columns(spec.name))
    wanted = {name.casefold() for name in (*spec.types, *columns)}
    others = [name for name in stored if name.casefold() not in wanted]
    used: set[str] = set()
    if others and alive:
        where = f"{quote_identifier(key)} IN ({', '.join(map(quote_literal, alive))})" if len(alive) <= KEYS_PER_COPY else "true"
        for start in range(0, len(others), COLUMNS_PER_QUERY // 4):
            part = others[start : start + COLUMNS_PER_QUERY // 4]
            counts = ", ".join(f"count({quote_identifier(name)}) AS c{n}" for n, name in enumerate(part))
            (row,) = questdb.rows(f"SELECT {counts} FROM {quote_identifier(spec.name)} WHERE {where}")  # noqa: S608 - quoted
            used |= {name for n, name in enumerate(part) if row[f"c{n}"]}
    return [name for name in stored if name.casefold() in wanted or name in used]


def _digest(questdb: QuestDB, table: str, key: str) -> dict[str, tuple[object, ...]]:
    """Rows and the first and last time of each key."""
    name = quote_identifier(key)
    edges = f"count() AS n, min({TIMESTAMP}) AS first, max({TIMESTAMP}) AS last"
    sql = f"SELECT {name} AS key, {edges} FROM {quote_identifier(table)} WHERE {name} IS NOT NULL GROUP BY {name}"  # noqa: S608 - quoted
    return {str(row["key"]): (row["n"], row["first"], row["last"]) for row in questdb.rows(sql)}


def _there(questdb: QuestDB, *names: str) -> set[str]:
    """Those of these tables that are there."""
    listed = ", ".join(map(quote_literal, names))
    return {str(row["table_name"]) for row in questdb.rows(f"SELECT table_name FROM tables() WHERE table_name IN ({listed})")}  # noqa: S608 - quoted


def _rename(questdb: QuestDB, name: str, other: str) -> None:
    questdb.execute(f"RENAME TABLE {quote_identifier(name)} TO {quote_identifier(other)}")


def _drop(questdb: QuestDB, name: str) -> None:
    questdb.execute(f"DROP TABLE IF EXISTS {quote_identifier(name)}")
