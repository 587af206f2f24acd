"""Audit: the second step of an export. All of a tag is read back and compared with the Arrow file; the verdict is kept in Postgres.

Ranges of time that together cover everything are read in order, the next two while the last is compared, so memory is flat in rows, and
rows that lie before, between or after the file's bars are met too. Columns of the table that the file does not have must be
empty in its rows.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import polars as pl

from chronos_assets.domain.audit import Audit, Tolerance, fixed
from chronos_assets.domain.audit_report import AuditReport, judge
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.progress import Progress
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.bars_table import ForeignValues, Span, count_rows, foreign_values, read_rows
from chronos_assets.storage.datasets import KEY_COLUMNS
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import TIMESTAMP

SAMPLE_ROWS = 100
# The server filters and packs a range on one core.
READERS = 2
# Rows more than the file has that one range may bring along, so that a tag full of foreign rows does not fill the memory.
SPARE_ROWS = 10_000
# The server takes more than twice as long if it has to pick rows out by their tag: if a range holds at most so many times the
# rows of the file, all are read, and picked out here.
MOST_BESIDE = 1.5
_FIXED = (TIMESTAMP, "dataset", "source", "granularity")


@dataclass(frozen=True)
class _Piece:
    """One piece of the file: how many rows it has, and the span of time that belongs to it."""

    rows: int
    span: Span


def audit_tag(
    source: Source,
    questdb: QuestDB,
    tag: str,
    progress: Progress,
    *,
    tolerance: Tolerance | None = None,
    keep: Callable[[pl.DataFrame], str] | None = None,
    within: bool = False,
) -> AuditReport:
    """Compare every row and every numeric column of `tag` with the file. Failing rows and cells go to `keep`, which gives where they are.

    With `within`, rows before the file's first bar and after its last are left out.
    """
    started = time.monotonic()
    audit = Audit([*KEY_COLUMNS, *(c.name for c in source.columns)], source.tags, tolerance)
    surplus = bars_of(questdb, tag) - source.rows
    with BarsFile(source.path) as bars, ThreadPoolExecutor(READERS, thread_name_prefix="audit-read") as pool:
        pieces = (pool.submit(_read, questdb, tag, source, piece, surplus) for piece in _pieces(source, bars, within=within))
        readings: deque[Future[pl.DataFrame]] = deque(itertools.islice(pieces, READERS))
        elsewhere = pool.submit(_elsewhere, questdb, tag, source)
        for expected in bars.frames(source.piece_rows):
            found = readings.popleft().result()
            readings.extend(itertools.islice(pieces, 1))
            audit.add(expected, found)
            progress("audit", audit.rows.expected, source.rows)
        for foreign in elsewhere.result():
            audit.add_foreign(foreign.column, foreign.values, foreign.stamps)
    report = judge(audit, seconds=time.monotonic() - started)
    return report if report.passed or keep is None else replace(report, artifact=keep(audit.cells()))


def sample_tag(source: Source, questdb: QuestDB, tag: str, *, tolerance: Tolerance | None = None) -> AuditReport:
    """The quick form: the first 100 rows. It never leads to a publication."""
    started = time.monotonic()
    audit = Audit([*KEY_COLUMNS, *(c.name for c in source.columns)], source.tags, tolerance)
    with BarsFile(source.path) as bars:
        expected = next(bars.frames(SAMPLE_ROWS, 0, SAMPLE_ROWS))
    last = int(expected["timestamp_unix"][-1])
    audit.add(expected, _read(questdb, tag, source, _Piece(expected.height, Span(None, last + 1)), 0))
    return judge(audit, mode="sample", seconds=time.monotonic() - started)


def _pieces(source: Source, bars: BarsFile, *, within: bool) -> list[_Piece]:
    """Pieces of the file; the first reaches back to the beginning of time, the last to its end, unless `within` the file is asked for."""
    starts = range(0, bars.rows, source.piece_rows)
    edges: list[int | None] = [*bars.stamps_at(starts), int(source.last_bar.timestamp()) + 1 if within else None]
    edges[0] = int(source.first_bar.timestamp()) if within else None
    return [
        _Piece(min(source.piece_rows, bars.rows - start), Span(first, before))
        for start, (first, before) in zip(starts, itertools.pairwise(edges), strict=True)
    ]


def _read(questdb: QuestDB, tag: str, source: Source, piece: _Piece, surplus: int) -> pl.DataFrame:
    """Rows of `tag` in the span of `piece`, under the file's column names."""
    columns = [*_FIXED, *KEY_COLUMNS, *(c.questdb_column for c in source.columns)]
    names = [*map(fixed, _FIXED), *KEY_COLUMNS, *(c.name for c in source.columns)]
    if surplus > SPARE_ROWS:
        return read_rows(questdb, piece.span, columns, names, tag=tag, limit=piece.rows + SPARE_ROWS)
    if count_rows(questdb, piece.span) > piece.rows * MOST_BESIDE:
        return read_rows(questdb, piece.span, columns, names, tag=tag)
    found = read_rows(questdb, piece.span, columns, names)
    ours = found[fixed("dataset")] == tag
    return found if ours.all() else found.filter(ours)


def _elsewhere(questdb: QuestDB, tag: str, source: Source) -> list[ForeignValues]:
    """Values of `tag` in columns that belong to other datasets: a careless UPDATE leaves them, no file of ours does."""
    return list(foreign_values(questdb, tag, (c.questdb_column for c in source.columns), sample=SAMPLE_ROWS))
