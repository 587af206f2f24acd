"""Bars of a tag in QuestDB: how many there are, and the wait until those that were sent are."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_write import WriteResult
from chronos_assets.storage.tables import INDICATOR_BARS

Waiting = Callable[[str, int, int | None], None]
# Over TCP the server commits what a closed connection left within a second or two.
TCP_SETTLE_SECONDS = 2.0
# After so long without a new row, the missing ones will not come.
TCP_SILENCE_SECONDS = 15.0


def bars_of(questdb: QuestDB, tag: str, first: datetime | None = None, last: datetime | None = None) -> int:
    """Bars under `tag`, all or those between two times (both included)."""
    where = f"dataset = {quote_literal(tag)}"
    if first is not None and last is not None:
        where += f" AND timestamp BETWEEN {int(first.timestamp()) * 1_000_000_000} AND {int(last.timestamp()) * 1_000_000_000}"
    rows = questdb.rows(f"SELECT count() AS bars FROM {INDICATOR_BARS.name} WHERE {where}")  # noqa: S608 - quoted
    return int(rows[0]["bars"])


def wait_delivered(
    questdb: QuestDB, tag: str, *, rows: int, before: int, written: WriteResult, timeout_seconds: float, waiting: Waiting
) -> None:
    """Return once the rows of a write are visible; `rows` is what the tag holds then, `before` what it held before.

    Over HTTP every batch was acknowledged, so waiting for the table is enough. Over TCP nothing was: wait until the rows are counted, and
    where some of them replace others, until the table's log has come to rest. Raises `ServiceUnavailableError` when rows do not come.
    """
    table = INDICATOR_BARS.name
    if written.transport == "ilp-tcp":
        settle_seconds = 0.0 if before + written.rows == rows else TCP_SETTLE_SECONDS
        _wait_counted(questdb, tag, rows, settle_seconds, timeout_seconds, waiting)
    questdb.wait_applied(table, timeout_seconds, lambda pending: waiting("apply", 0, pending))


def _wait_counted(questdb: QuestDB, tag: str, rows: int, settle_seconds: float, timeout_seconds: float, waiting: Waiting) -> None:  # noqa: PLR0917 - one caller
    table = INDICATOR_BARS.name
    deadline = time.monotonic() + timeout_seconds
    moved, last, pause = time.monotonic(), (-1, -1), 0.01
    while True:
        questdb.wait_applied(table, timeout_seconds)
        seen = (bars_of(questdb, tag), questdb.sequencer_transaction(table))
        if seen != last:
            moved, last = time.monotonic(), seen
        waiting("deliver", seen[0], rows)
        quiet = time.monotonic() - moved
        if seen[0] >= rows and quiet >= settle_seconds:
            return
        if time.monotonic() > deadline or quiet > TCP_SILENCE_SECONDS:
            raise ServiceUnavailableError(
                "not all rows that were sent over TCP have arrived",
                code="rows_not_delivered",
                expected=rows,
                found=seen[0],
                hint="ILP over TCP acknowledges nothing and reports no errors. Run the same command again, or use http::.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
