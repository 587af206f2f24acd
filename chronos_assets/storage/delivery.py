"""Bars of a tag in QuestDB: how many there are, and the wait until those that were sent are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.questdb import QuestDB, poll_pause
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.questdb_write import WriteResult

_NS = 1_000_000_000
Waiting = Callable[[str, int, int | None], None]
# Over TCP the server commits what a closed connection left within a second or two.
TCP_SETTLE_SECONDS = 2.0
# After so long without a new row, the missing ones will not come.
TCP_SILENCE_SECONDS = 15.0


@dataclass(frozen=True)
class TagSummary:
    """Rows of a tag: how many, at how many times, the first and the last (ISO, UTC), and `[source, granularity, rows]` of each kind."""

    bars: int
    times: int
    first: str | None
    last: str | None
    tags: list[list[Any]]


def summarize_tag(questdb: QuestDB, tag: str, first: datetime | None = None, last: datetime | None = None) -> TagSummary:
    """What QuestDB holds under `tag`, all of it or between two times (both included)."""
    where = _where(tag, first, last)
    table = INDICATOR_BARS.name
    edges = questdb.read(
        f"SELECT count() AS bars, count_distinct(timestamp) AS times, min(timestamp) AS first, max(timestamp) AS last "  # noqa: S608 - quoted
        f"FROM {table} WHERE {where}"
    ).to_dicts()[0]
    kinds = questdb.rows(f"SELECT source, granularity, count() AS bars FROM {table} WHERE {where} ORDER BY source, granularity")  # noqa: S608 - quoted
    tags = [[row["source"], row["granularity"], row["bars"]] for row in kinds]
    return TagSummary(edges["bars"], edges["times"], _iso(edges["first"]), _iso(edges["last"]), tags)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def bars_of(questdb: QuestDB, tag: str, first: datetime | None = None, last: datetime | None = None) -> int:
    """Bars under `tag`, all or those between two times (both included)."""
    rows = questdb.rows(f"SELECT count() AS bars FROM {INDICATOR_BARS.name} WHERE {_where(tag, first, last)}")  # noqa: S608 - quoted
    return int(rows[0]["bars"])


def _where(tag: str, first: datetime | None, last: datetime | None) -> str:
    where = f"dataset = {quote_literal(tag)}"
    if first is None or last is None:
        return where
    return where + f" AND timestamp BETWEEN {int(first.timestamp()) * _NS} AND {int(last.timestamp()) * _NS}"


def table_bytes(questdb: QuestDB) -> float:
    """Bytes on disk per row of `indicator_bars`, all tags together; 0 if the server does not say."""
    rows = questdb.rows(f"SELECT rowCount, diskSize FROM table_storage() WHERE tableName = {quote_literal(INDICATOR_BARS.name)}")  # noqa: S608 - quoted
    return float(rows[0]["diskSize"]) / rows[0]["rowCount"] if rows and rows[0]["rowCount"] else 0.0


def wait_delivered(
    questdb: QuestDB, tag: str, *, rows: int, before: int, written: WriteResult, timeout_seconds: float, waiting: Waiting
) -> None:
    """Return once the rows of a write are visible; `rows` is what the tag holds then, `before` what it held before.

    Over HTTP every batch was acknowledged, so waiting for the table is enough. Over TCP nothing was: wait until the rows are counted, and
    if some of them replace others, until the table's log has come to rest. Raises `ServiceUnavailableError` when rows do not come.
    """
    table = INDICATOR_BARS.name
    if written.transport == "ilp-tcp":
        settle_seconds = 0.0 if before + written.rows == rows else TCP_SETTLE_SECONDS
        _wait_counted(questdb, tag, rows, settle_seconds, timeout_seconds, waiting)
    questdb.wait_applied(table, timeout_seconds, lambda pending: waiting("apply", 0, pending))


def _wait_counted(questdb: QuestDB, tag: str, rows: int, settle_seconds: float, timeout_seconds: float, waiting: Waiting) -> None:  # noqa: PLR0917 - one caller
    table = INDICATOR_BARS.name
    started = moved = time.monotonic()
    last = (-1, -1)
    while True:
        questdb.wait_applied(table, timeout_seconds)
        seen = (bars_of(questdb, tag), questdb.sequencer_transaction(table))
        if seen != last:
            moved, last = time.monotonic(), seen
        waiting("deliver", seen[0], rows)
        now = time.monotonic()
        quiet, waited = now - moved, now - started
        if seen[0] >= rows and quiet >= settle_seconds:
            return
        if waited > timeout_seconds or quiet > TCP_SILENCE_SECONDS:
            raise ServiceUnavailableError(
                "not all rows that were sent over TCP have arrived",
                code="rows_not_delivered",
                expected=rows,
                found=seen[0],
                hint="ILP over TCP acknowledges nothing and reports no errors. Run the same command again, or use http::.",
            )
        time.sleep(poll_pause(waited, most=0.2))
