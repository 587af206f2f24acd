"""Write: the first step of an export. An attempt is recorded before the first bar goes out; then rows are sent until they are visible.

What goes out, and under which tag, is the plan's to say (`plan`); how it is sent is decided here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import polars as pl

from chronos_assets.errors import UsageError, ValidationFailedError
from chronos_assets.pipeline.export.plan import ExportPlan, History, plan_export
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportAttempt, ExportOptions
from chronos_assets.pipeline.progress import Progress
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import AuditRecord, open_attempt
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import DatasetRecord
from chronos_assets.storage.delivery import bars_of, wait_delivered
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_room import check_room, process_use
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.questdb_write import slice_rows
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing

# One makes requests while the other waits for its acknowledgement; over TCP they make them side by side.
SENDERS = 2
# What one sender gets ends with a request that may be short: one in so many at most.
PART_BATCHES = 5


def write(
    source: Source, stores: Stores, connection: Connection, history: History, *, options: ExportOptions, progress: Progress
) -> ExportAttempt:
    """Write what the registry does not have yet, under the slug's lock, which `connection` holds; `history` was asked under it."""
    plan = plan_export(source, stores.questdb, history, stores.settings, options=options, progress=progress)
    if plan.unchanged:
        assert plan.record is not None
        _still_there(stores.questdb, plan.record)
        return _unchanged(plan.record, source, stores.questdb.transport)
    with writing(stores.postgres, INDICATOR_BARS.name):
        make_ready(plan, stores.questdb)
        with stores.postgres.wrapped():
            attempt = open_attempt(connection, plan.attempt(options, stores.questdb.transport))
        return execute(plan, stores.questdb, options=options, settings=stores.settings, progress=progress, opened=attempt)


def check_transport(options: ExportOptions, transport: str) -> None:
    """Refuse a transport that the client string does not speak, before anything is done."""
    if options.transport is not None and options.transport != transport:
        raise UsageError(
            f"--transport {options.transport} disagrees with the QuestDB client string",
            code="transport_disagrees",
            expected=transport,
            found=options.transport,
            hint="Its scheme chooses the transport: http:: for ilp-http, tcp:: for ilp-tcp.",
        )


def _unchanged(record: DatasetRecord, source: Source, transport: str) -> ExportAttempt:
    return ExportAttempt(
        source.slug,
        record.questdb_tag,
        "unchanged",
        None,
        source.checksum,
        0,
        record.row_count,
        transport,
        columns=record.columns,
        record=record,
    )


def _still_there(questdb: QuestDB, record: DatasetRecord) -> None:
    """A registry that outlived the rows (a volume that was lost) must not answer "unchanged"."""
    found = bars_of(questdb, record.questdb_tag, record.first_bar_ts, record.last_bar_ts)
    if found != record.row_count:
        raise ValidationFailedError(
            f"dataset {record.dataset_id} is published, but QuestDB does not hold its bars",
            code="published_bars_missing",
            expected=f"{record.row_count} bars",
            found=f"{found} bars",
            hint=f"`chronosflow_export {record.dataset_id} --replace` writes all of them under a fresh tag and publishes that.",
            slug=record.dataset_id,
        )


def make_ready(plan: ExportPlan, questdb: QuestDB) -> None:
    """Add missing columns; raises, before an attempt is opened or a column added, if QuestDB or the client could not take the rows."""
    questdb.check_conf()
    if plan.columns_to_add:
        years = plan.source.last_bar.year - plan.source.first_bar.year + 1
        partitions = max(years, questdb.partitions(INDICATOR_BARS.name))
        check_room(process_use(questdb.pid), columns=plan.columns_there, added=len(plan.columns_to_add), partitions=partitions)
    questdb.ensure_columns(INDICATOR_BARS.name, [c.questdb_column for c in plan.source.columns])


def execute(
    plan: ExportPlan, questdb: QuestDB, *, options: ExportOptions, settings: Settings, progress: Progress, opened: AuditRecord | None = None
) -> ExportAttempt:
    """Send the rows of a plan (`make_ready` came before), and wait until they are visible."""
    source = plan.source
    batch_rows = options.batch_rows or settings.batch_rows
    before = bars_of(questdb, plan.tag) if questdb.transport == "ilp-tcp" else 0
    with BarsFile(source.path) as bars, warming_up():
        frames = _parts(bars, source.piece_rows, batch_rows, plan.first_row, plan.filled)
        written = questdb.write_prepared(
            [source.rows_for(plan.tag, part) for part in frames],
            table=INDICATOR_BARS.name,
            symbols=INDICATOR_BARS.symbols,
            transport=options.transport,
            batch_rows=batch_rows,
            senders=options.senders or SENDERS,
            progress=rate(progress, "write", plan.rows_to_write),
        )
        started = time.monotonic()
        wait_delivered(
            questdb,
            plan.tag,
            rows=source.rows,
            before=before,
            written=written,
            timeout_seconds=settings.apply_timeout_seconds,
            waiting=progress,
        )
    return ExportAttempt(
        dataset_id=source.slug,
        tag=plan.tag,
        kind=plan.kind,
        opened=opened,
        checksum=source.checksum,
        rows_written=written.rows,
        rows_total=source.rows,
        transport=questdb.transport,
        senders=written.senders,
        batch_rows=batch_rows,
        seconds=written.seconds,
        visible_seconds=time.monotonic() - started,
        resent_slices=written.resent_slices,
        columns=source.columns,
    )


def frame_rows(at_most: int, batch_rows: int) -> int:
    """Rows of one frame: whole slices if they fit, else whole batches, so that no request is cut short where a frame ends."""
    for unit in (slice_rows(batch_rows), batch_rows):
        if unit <= at_most:
            return at_most // unit * unit
    return at_most


def _parts(bars: BarsFile, at_most: int, batch_rows: int, start: int, filled: Sequence[int]) -> Iterator[Iterator[pl.DataFrame]]:
    """Filled bars first (they are older), then everything from `start` on: whole years together, as the table keeps them."""
    rows = frame_rows(at_most, batch_rows)
    if filled:
        span = pl.concat(list(bars.frames(rows, filled[0], filled[-1] + 1)))
        yield iter([span[[row - filled[0] for row in filled]]])
    for first, last in year_spans(bars.year_starts(), start, bars.rows, at_least=PART_BATCHES * batch_rows):
        yield bars.frames(rows, first, last)


def year_spans(year_starts: list[int], start: int, stop: int, *, at_least: int) -> Iterator[tuple[int, int]]:
    """Rows `[start, stop)` cut where years begin, into spans of `at_least` rows (the last one may be shorter)."""
    first = start
    for edge in (*year_starts, stop):
        if edge - first >= at_least or (edge == stop and edge > first):
            yield first, edge
            first = edge


def rate(progress: Progress, stage: str, total: int) -> Any:
    """Progress of rows with rows per second."""
    started = time.monotonic()

    def tell(rows: int) -> None:
        seconds = max(time.monotonic() - started, 1e-6)
        progress(stage, rows, total, f"{rows / seconds:,.0f} rows/s")

    return tell


@contextmanager
def warming_up() -> Iterator[None]:
    """Import pandera, which takes two seconds, while the server is busy with the rows."""
    thread = threading.Thread(target=_import_early, daemon=True)
    thread.start()
    yield
    thread.join()


def _import_early() -> None:
    # If it fails because the process ends meanwhile (Ctrl-C), nobody needs it; if it fails for good, the audit says so.
    with suppress(Exception):
        import_module("pandera.polars")
