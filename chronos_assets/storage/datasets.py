"""The registry of published datasets, and the one way to read their bars.

A reader asks the registry first: it gives the tag and the range of bars that were published, so that rows which are being written,
or were left by an attempt that failed, are never seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import NotPublishedError, StoreError, UsageError
from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.postgres import Connection, Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores

Role = Literal["feature", "target", "price"]
KEY_COLUMNS = ("date_i", "time_i", "timestamp_unix")
# Cells in one answer of QuestDB: about 100 MB, whatever the number of columns.
CELLS_PER_READ = 12_000_000


@dataclass(frozen=True)
class DatasetColumn:
    """One column of a dataset: its name in the file, what it is for, and its name in QuestDB."""

    name: str
    role: Role
    questdb_column: str


@dataclass(frozen=True)
class DatasetRecord:
    """One row of `indicator_datasets`. `checksum` and `content_hash` are empty if an older program published it."""

    dataset_id: str
    symbol: str
    granularity: str
    source: str
    questdb_tag: str
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    revision: int
    checksum: str
    content_hash: str
    columns: tuple[DatasetColumn, ...]
    created_at: datetime
    updated_at: datetime

    @property
    def placement(self) -> dict[str, str]:
        """Name -> QuestDB column."""
        return {column.name: column.questdb_column for column in self.columns}

    def names(self, role: Role) -> list[str]:
        """Names of the columns with `role`, in file order."""
        return [column.name for column in self.columns if column.role == role]

    def column(self, name: str) -> DatasetColumn:
        """The column called `name` (exactly, else whatever the case); raises `UsageError` that names the nearest one."""
        folded = [c for c in self.columns if c.name == name] or [c for c in self.columns if c.name.casefold() == name.casefold()]
        if not folded:
            close = nearest(name, [c.name for c in self.columns])
            raise UsageError(
                f"dataset {self.dataset_id} has no column {name!r}",
                code="column_unknown",
                hint=f"Did you mean {close!r}?" if close else f"`chronos datasets show {self.dataset_id}` lists its columns.",
                slug=self.dataset_id,
            )
        return folded[0]


def lock_key(slug: str) -> str:
    """Name of the session lock of a dataset."""
    return f"dataset:{slug}"


def find_dataset(postgres: Postgres, slug: str) -> DatasetRecord | None:
    """The published dataset `slug`, or None."""
    with postgres.connection() as connection:
        row = connection.execute(query("dataset"), {"slug": slug}).fetchone()
    return None if row is None else record_from(row)


def get_dataset(postgres: Postgres, slug: str) -> DatasetRecord:
    """The published dataset `slug`; raises `NotPublishedError`."""
    record = find_dataset(postgres, slug)
    if record is None:
        close = nearest(slug, [r.dataset_id for r in list_datasets(postgres)])
        raise NotPublishedError(
            f"not published: dataset {slug} is not in the registry",
            code="not_published",
            hint=(f"Did you mean {close!r}? " if close else "") + f"`chronosflow_export {slug}` publishes it.",
            slug=slug,
        )
    return record


def list_datasets(postgres: Postgres) -> list[DatasetRecord]:
    """All published datasets by name."""
    with postgres.connection() as connection:
        return [record_from(row) for row in connection.execute(query("datasets")).fetchall()]


def record_from(row: dict[str, Any]) -> DatasetRecord:
    """A registry row as a record."""
    columns = tuple(DatasetColumn(c["name"], c["role"], c["questdb_column"]) for c in row["columns"])
    kept = {k: v for k, v in row.items() if k in DatasetRecord.__dataclass_fields__}
    return DatasetRecord(**(kept | {"columns": columns, "checksum": row["checksum"] or "", "content_hash": row["content_hash"] or ""}))


def read_bars(
    stores: Stores, record: DatasetRecord, columns: Sequence[str] | None = None, *, rows: tuple[int, int] | None = None
) -> pl.DataFrame:
    """Published bars in order: `timestamp_unix` (int64), then the asked `columns` (default: all) as float64 under their dataset names.

    `rows` (half-open): only these are kept while the others pass by, so that few rows of a long dataset take little memory.
    Raises `StoreError` if QuestDB does not hold as many bars as were published.
    """
    asked = record.columns if columns is None else [record.column(c) for c in columns]
    start, end = rows or (0, record.row_count)
    kept, passed = [], 0
    for piece in iter_bars(stores.questdb, record, asked):
        first = min(max(0, start - passed), piece.height)
        part = piece.slice(first, max(0, end - passed - first))
        kept.append(part if part.height == piece.height else part.rechunk())
        passed += piece.height
    bars = pl.concat(kept)
    if passed != record.row_count:
        raise StoreError(
            f"QuestDB holds another number of bars of {record.dataset_id} than were published",
            code="bars_missing",
            expected=record.row_count,
            found=passed,
            hint=f"`validate_dataset {record.dataset_id}` says what differs.",
            slug=record.dataset_id,
        )
    return bars


def iter_bars(
    questdb: QuestDB,
    record: DatasetRecord,
    columns: Sequence[DatasetColumn] | None = None,
    *,
    keys: Sequence[str] = ("timestamp_unix",),
    cells: int = CELLS_PER_READ,
) -> Iterator[pl.DataFrame]:
    """Published bars in order, in pieces of about `cells` values: the key columns, then `columns` (default: all). At least one piece."""
    asked = record.columns if columns is None else columns
    first, last = int(record.first_bar_ts.timestamp()), int(record.last_bar_ts.timestamp())
    pieces = max(1, -(-record.row_count * (len(asked) + len(keys)) // cells))
    step = max(1, -(-(last - first + 1) // pieces))
    for start in range(first, last + 1, step):
        yield read_range(questdb, record.questdb_tag, asked, first=start, last=min(start + step - 1, last), keys=keys)


def read_last_bars(
    questdb: QuestDB, record: DatasetRecord, columns: Sequence[DatasetColumn], bars: int, *, keys: Sequence[str] = ()
) -> pl.DataFrame:
    """The last `bars` published bars in order: the key columns, then `columns` under their dataset names."""
    first, last = (int(ts.timestamp()) * 1_000_000_000 for ts in (record.first_bar_ts, record.last_bar_ts))
    where = f"dataset = {quote_literal(record.questdb_tag)} AND timestamp BETWEEN {first} AND {last}"
    return questdb.read_columns(
        INDICATOR_BARS.name,
        [*keys, *(c.questdb_column for c in columns)],
        names=[*keys, *(c.name for c in columns)],
        condition=f"{where} ORDER BY timestamp LIMIT -{int(bars)}",
    )


def read_range(
    questdb: QuestDB, tag: str, columns: Sequence[DatasetColumn], *, first: int, last: int, keys: Sequence[str] = ("timestamp_unix",)
) -> pl.DataFrame:
    """Bars of `tag` between two times (unix seconds, both included), in order: the key columns, then `columns`."""
    where = f"dataset = {quote_literal(tag)} AND timestamp BETWEEN {first * 1_000_000_000} AND {last * 1_000_000_000}"
    return questdb.read_columns(
        INDICATOR_BARS.name,
        [*keys, *(c.questdb_column for c in columns)],
        names=[*keys, *(c.name for c in columns)],
        condition=f"{where} ORDER BY timestamp",
    )


@dataclass(frozen=True)
class Standing:
    """Runs and simulations that refer to a dataset."""

    runs: int
    simulations: int


def standing_on(postgres: Postgres, slug: str) -> Standing:
    """How many runs and simulations refer to the dataset."""
    with postgres.connection() as connection:
        row = connection.execute(query("standing_on"), {"slug": slug}).fetchone()
    assert row is not None
    return Standing(row["runs"], row["simulations"])


def delete_dataset(connection: Connection, slug: str) -> None:
    """Delete a dataset with all runs and simulations on it, in one transaction. Its audits stay: they know which tags hold rows."""
    with connection.transaction():
        for name in ("retire_simulations", "retire_runs", "retire_dataset"):
            connection.execute(query(name), {"slug": slug})
