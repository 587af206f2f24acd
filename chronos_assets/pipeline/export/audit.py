"""Audit: the second step of an export. All of a tag is read back and compared with the Arrow file; the verdict is kept in Postgres.

Ranges of time that together cover everything are read in order, the next two while the last is compared, so memory is flat in rows, and
rows that lie before, between or after the file's bars are met too. Columns of the table that the file does not have must be
empty in its rows.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from chronos_assets.domain.audit import Audit, Tolerance, fixed
from chronos_assets.domain.audit_report import AuditReport, judge
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.progress import Progress
from chronos_assets.storage.atomic_write import replacing
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import KEY_COLUMNS
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.identifiers import is_identifier, quote_identifier, quote_literal
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.tables import INDICATOR_BARS, TIMESTAMP

SAMPLE_ROWS = 100
# The server filters and packs a range on one core.
READERS = 2
# Columns that the file does not have, counted by one query.
FOREIGN_PER_QUERY = 200
# Rows more than the file has that one range may bring along, so that a tag full of foreign rows does not fill the memory.
SPARE_ROWS = 10_000
# The server takes more than twice as long where it has to pick rows out by their tag: where a range holds at most so many times the
# rows of the file, all are read, and picked out here.
MOST_BESIDE = 1.5
_NS = 1_000_000_000
# Types whose NULL can be told from a number.
_NUMBERS = {"DOUBLE", "FLOAT", "LONG", "INT"}
_FIXED = (TIMESTAMP, "dataset", "source", "granularity")
# A column that the file does not have, how many values are in it, and the times of some of them (unix seconds).
_Foreign = tuple[str, int, list[int]]


@dataclass(frozen=True)
class _Range:
    """One piece: how many rows of the file it has, and the span of time that belongs to it (unix seconds; None is open)."""

    rows: int
    first: int | None
    before: int | None


def audit_tag(
    source: Source,
    questdb: QuestDB,
    tag: str,
    progress: Progress,
    *,
    tolerance: Tolerance | None = None,
    artifact: Path | None = None,
    within: bool = False,
) -> AuditReport:
    """Compare every row and every numeric column of `tag` with the file. Failing cells go to `artifact` (Parquet).

    With `within`, rows before the file's first bar and after its last are left out.
    """
    started = time.monotonic()
    audit = Audit([*KEY_COLUMNS, *(c.name for c in source.columns)], source.tags, tolerance)
    surplus = bars_of(questdb, tag) - source.rows
    with BarsFile(source.path) as bars, ThreadPoolExecutor(READERS, thread_name_prefix="audit-read") as pool:
        pieces = (pool.submit(_read, questdb, tag, source, piece, surplus) for piece in _ranges(source, bars, within=within))
        readings: deque[Future[pl.DataFrame]] = deque(itertools.islice(pieces, READERS))
        elsewhere = pool.submit(_elsewhere, questdb, tag, source)
        for expected in bars.frames(source.piece_rows):
            found = readings.popleft().result()
            readings.extend(itertools.islice(pieces, 1))
            audit.add(expected, found)
            progress("audit", audit.rows.expected, source.rows)
        for foreign in elsewhere.result():
            audit.add_foreign(*foreign)
    report = judge(audit, seconds=time.monotonic() - started)
    return report if report.passed or artifact is None else replace(report, artifact=str(_keep(audit.cells(), artifact)))


def sample_tag(source: Source, questdb: QuestDB, tag: str, *, tolerance: Tolerance | None = None) -> AuditReport:
    """The quick form: the first 100 rows. It never leads to a publication."""
    started = time.monotonic()
    audit = Audit([*KEY_COLUMNS, *(c.name for c in source.columns)], source.tags, tolerance)
    with BarsFile(source.path) as bars:
        expected = next(bars.frames(SAMPLE_ROWS, 0, SAMPLE_ROWS))
    last = int(expected["timestamp_unix"][-1])
    audit.add(expected, _read(questdb, tag, source, _Range(expected.height, None, last + 1), 0))
    return judge(audit, mode="sample", seconds=time.monotonic() - started)


def _ranges(source: Source, bars: BarsFile, *, within: bool) -> list[_Range]:
    """Pieces of the file; the first reaches back to the beginning of time, the last to its end, unless `within` the file is asked for."""
    starts = range(0, bars.rows, source.piece_rows)
    edges: list[int | None] = [*bars.stamps_at(starts), int(source.last_bar.timestamp()) + 1 if within else None]
    edges[0] = int(source.first_bar.timestamp()) if within else None
    return [
        _Range(min(source.piece_rows, bars.rows - start), first, before)
        for start, (first, before) in zip(starts, itertools.pairwise(edges), strict=True)
    ]


def _read(questdb: QuestDB, tag: str, source: Source, piece: _Range, surplus: int) -> pl.DataFrame:
    """Rows of `tag` in the span of `piece`, under the file's column names."""
    span = [] if piece.first is None else [f"timestamp >= {piece.first * _NS}"]
    span += [] if piece.before is None else [f"timestamp < {piece.before * _NS}"]
    tagged = [f"dataset = {quote_literal(tag)}", *span]
    if surplus > SPARE_ROWS:
        return _select(questdb, source, tagged, limit=f" LIMIT {piece.rows + SPARE_ROWS}")
    if _rows(questdb, span) > piece.rows * MOST_BESIDE:
        return _select(questdb, source, tagged)
    found = _select(questdb, source, span)
    ours = found[fixed("dataset")] == tag
    return found if ours.all() else found.filter(ours)


def _rows(questdb: QuestDB, span: Sequence[str]) -> int:
    """Rows of all tags together in a span of time: the server knows that without reading them."""
    rows = questdb.rows(f"SELECT count() AS n FROM {INDICATOR_BARS.name} WHERE {' AND '.join(span) or 'true'}")  # noqa: S608 - numbers
    return int(rows[0]["n"])


def _select(questdb: QuestDB, source: Source, where: Sequence[str], *, limit: str = "") -> pl.DataFrame:
    """Rows of the table in order of time, with the columns of `source`."""
    return questdb.read_columns(
        INDICATOR_BARS.name,
        [*_FIXED, *KEY_COLUMNS, *(c.questdb_column for c in source.columns)],
        names=[*map(fixed, _FIXED), *KEY_COLUMNS, *(c.name for c in source.columns)],
        condition=f"{' AND '.join(where) or 'true'} ORDER BY timestamp{limit}",
    )


def _elsewhere(questdb: QuestDB, tag: str, source: Source) -> list[_Foreign]:
    """Values of `tag` in columns that belong to other datasets: a careless UPDATE leaves them, no file of ours does."""
    found: list[_Foreign] = []
    ours = {c.questdb_column.casefold() for c in source.columns} | {name.casefold() for name in INDICATOR_BARS.types}
    there = questdb.columns(INDICATOR_BARS.name)
    others = [name for name, row in there.items() if name.casefold() not in ours and row["type"] in _NUMBERS and is_identifier(name)]
    where = f"dataset = {quote_literal(tag)}"
    for start in range(0, len(others), FOREIGN_PER_QUERY):
        some = others[start : start + FOREIGN_PER_QUERY]
        counts = ", ".join(f"count({quote_identifier(name)}) AS n{number}" for number, name in enumerate(some))
        row = questdb.rows(f"SELECT {counts} FROM {INDICATOR_BARS.name} WHERE {where}")[0]  # noqa: S608 - quoted
        for name, values in zip(some, row.values(), strict=True):
            if values:
                condition = f"{where} AND {quote_identifier(name)} != NULL LIMIT {SAMPLE_ROWS}"
                bars = questdb.read_columns(INDICATOR_BARS.name, [TIMESTAMP], condition=condition)
                found.append((name, values, (bars[TIMESTAMP].to_physical() // _NS).to_list()))
    return found


def _keep(cells: pl.DataFrame, path: Path) -> Path:
    """Write the failing rows and cells beside each other, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        cells.write_parquet(file)
    return path
