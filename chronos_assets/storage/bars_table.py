"""Rows of `indicator_bars` as the audit needs them: those of a span of time, and values in columns of other datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from chronos_assets.errors import StoreError
from chronos_assets.storage.identifiers import is_identifier, quote_identifier, quote_literal
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import INDICATOR_BARS, TIMESTAMP

# Columns that one query counts.
COLUMNS_PER_COUNT = 200
_TABLE = INDICATOR_BARS.name
_NS = 1_000_000_000
# Types whose NULL can be told from a number.
_NUMBERS = {"DOUBLE", "FLOAT", "LONG", "INT"}


@dataclass(frozen=True)
class Span:
    """A half-open span of time in unix seconds; None is open."""

    first: int | None
    before: int | None

    @property
    def conditions(self) -> list[str]:
        """The span as conditions of a query."""
        first = [] if self.first is None else [f"timestamp >= {self.first * _NS}"]
        return first + ([] if self.before is None else [f"timestamp < {self.before * _NS}"])


@dataclass(frozen=True)
class ForeignValues:
    """A column with values where there should be none: how many, and the times of some of them (unix seconds)."""

    column: str
    values: int
    stamps: list[int]


def count_rows(questdb: QuestDB, span: Span) -> int:
    """Rows of all tags together in a span of time: the server knows that without reading them."""
    rows = questdb.rows(f"SELECT count() AS n FROM {_TABLE} WHERE {' AND '.join(span.conditions) or 'true'}")  # noqa: S608 - numbers
    return int(rows[0]["n"])


def read_rows(
    questdb: QuestDB, span: Span, columns: Sequence[str], names: Sequence[str], *, tag: str | None = None, limit: int | None = None
) -> pl.DataFrame:
    """`columns`, called `names`, of the rows of `tag` (None: of every tag) in a span, in order of time, at most `limit`."""
    conditions = [*([] if tag is None else [f"dataset = {quote_literal(tag)}"]), *span.conditions]
    last = "" if limit is None else f" LIMIT {limit}"
    condition = f"{' AND '.join(conditions) or 'true'} ORDER BY timestamp{last}"
    return questdb.read_columns(_TABLE, columns, names=names, condition=condition)


def foreign_values(questdb: QuestDB, tag: str, own_columns: Iterable[str], *, sample: int) -> Iterator[ForeignValues]:
    """Numeric columns besides `own_columns` and the fixed ones that have values in rows of `tag`, with up to `sample` of their times."""
    ours = {name.casefold() for name in (*own_columns, *INDICATOR_BARS.types)}
    there = questdb.columns(_TABLE)
    others = [name for name, row in there.items() if name.casefold() not in ours and row["type"] in _NUMBERS and is_identifier(name)]
    of_tag = f"dataset = {quote_literal(tag)}"
    for start in range(0, len(others), COLUMNS_PER_COUNT):
        some = others[start : start + COLUMNS_PER_COUNT]
        counts = ", ".join(f"count({quote_identifier(name)}) AS n{number}" for number, name in enumerate(some))
        row = questdb.rows(f"SELECT {counts} FROM {_TABLE} WHERE {of_tag}")[0]  # noqa: S608 - quoted
        for name, values in zip(some, row.values(), strict=True):
            if values:
                condition = f"{of_tag} AND {quote_identifier(name)} != NULL LIMIT {sample}"
                bars = questdb.read_columns(_TABLE, [TIMESTAMP], condition=condition)
                yield ForeignValues(name, values, (bars[TIMESTAMP].to_physical() // _NS).to_list())


def corrupt_middle_cell(questdb: QuestDB, tag: str, column: str) -> str:
    """Change `column` of the middle bar of `tag` by SQL, as a careless user of the console would; returns the statement."""
    name, of_tag = quote_identifier(column), f"dataset = {quote_literal(tag)}"
    bars = questdb.rows(f"SELECT count() AS n FROM {_TABLE} WHERE {of_tag}")[0]["n"]  # noqa: S608 - quoted
    if not bars:
        raise StoreError("nothing was written under this tag", code="tag_empty", tag=tag)
    half = bars // 2
    middle = questdb.rows(f"SELECT timestamp FROM {_TABLE} WHERE {of_tag} ORDER BY timestamp LIMIT {half}, {half + 1}")  # noqa: S608 - quoted
    sql = f"UPDATE {_TABLE} SET {name} = {name} + 0.000001 WHERE {of_tag} AND timestamp = '{middle[0]['timestamp']}'"  # noqa: S608 - quoted
    questdb.execute(sql)
    questdb.wait_applied(_TABLE)
    return sql
