"""Dead rows: how many each QuestDB table holds, and their space coming back where they are more than half of a table."""

from __future__ import annotations

from dataclasses import dataclass

from chronos_assets.errors import ConflictError
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.storage.alive import KEYS, alive_keys, registered_columns
from chronos_assets.storage.compaction import TableSpace, compact, rows_by_key, table_space
from chronos_assets.storage.questdb_tables import INDICATOR_BARS, TABLES, TableSpec
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import alone_with


@dataclass(frozen=True)
class Compacted:
    """A table before and after it was made again."""

    before: TableSpace
    after: TableSpace

    @property
    def bytes_freed(self) -> int:
        """Bytes on disk that came back."""
        return self.before.bytes - self.after.bytes


def table_spaces(stores: Stores) -> list[TableSpace]:
    """Rows, dead rows and bytes of each table."""
    return [_space(stores, spec) for spec in TABLES]


def compact_where_due(stores: Stores, *, progress: Progress = silent) -> tuple[list[Compacted], list[str]]:
    """Make again each table of which more than half is dead. Also gives why a table that is due had to wait."""
    compacted, waiting = [], []
    for spec in TABLES:
        if not _space(stores, spec).is_due:
            continue
        progress("compact", 0, None, spec.name)
        try:
            with alone_with(stores.postgres, spec.name):
                compacted.append(_compact(stores, spec))
        except ConflictError as error:
            waiting.append(f"{spec.name} is not compacted: {error.message}")
    return compacted, waiting


def _compact(stores: Stores, spec: TableSpec) -> Compacted:
    """Under the table's lock: what is alive is asked for now, since nobody can write rows of anything new."""
    key, before = KEYS[spec.name], _space(stores, spec)
    stored = rows_by_key(stores.questdb, spec.name, key)
    alive = sorted(alive_keys(stores.postgres, key, set(stored)))
    columns = registered_columns(stores.postgres) if spec == INDICATOR_BARS else set()
    compact(stores.questdb, spec, key, alive, columns, timeout_seconds=stores.settings.apply_timeout_seconds)
    return Compacted(before, _space(stores, spec))


def _space(stores: Stores, spec: TableSpec) -> TableSpace:
    key = KEYS[spec.name]
    by_key = rows_by_key(stores.questdb, spec.name, key)
    return table_space(stores.questdb, spec.name, by_key, alive_keys(stores.postgres, key, set(by_key)))
