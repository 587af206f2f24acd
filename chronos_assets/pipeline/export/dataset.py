"""Export: write, audit, publish. What QuestDB holds is what the file said, or the registry does not know it.

The three steps can be called one after the other in one process (`export_dataset`) or each by itself, from separate processes: every
step re-reads the record of the one before in `export_audits`, and takes the slug's session lock for its own time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

import polars as pl

from chronos_assets.domain.audit import Tolerance
from chronos_assets.domain.audit_report import AuditReport
from chronos_assets.errors import NotPublishedError, ValidationFailedError
from chronos_assets.pipeline.export.audit import audit_tag, sample_tag
from chronos_assets.pipeline.export.normalize import NormalizedBars, normalize_dataset
from chronos_assets.pipeline.export.plan import History
from chronos_assets.pipeline.export.planning import abandoned_growth, is_unchanged, on_columns, require_sound
from chronos_assets.pipeline.export.publish import publish_audited
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportAttempt, ExportOptions, ExportResult
from chronos_assets.pipeline.export.write import check_transport, write
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.audit_cells import keep_cells
from chronos_assets.storage.audits import AuditRecord, close_attempt
from chronos_assets.storage.datasets import DatasetRecord, find_dataset, lock_key
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores

__all__ = ["ExportAttempt", "ExportOptions", "ExportResult", "audit_bars", "export_dataset", "publish_dataset", "run_export", "write_bars"]


def write_bars(
    normalized: NormalizedBars,
    loaded: LoadedManifest,
    stores: Stores,
    *,
    options: ExportOptions | None = None,
    progress: Progress = silent,
) -> ExportAttempt:
    """Step 1: record an attempt and write the bars that the registry does not have. The same content again writes nothing."""
    options = options or ExportOptions()
    source = Source.of(loaded, normalized)
    with _locked(stores, source.slug, options, progress) as (locked, connection):
        return write(source, locked, connection, History.of(locked.postgres, source.slug), options=options, progress=progress)


def audit_bars(
    normalized: NormalizedBars,
    loaded: LoadedManifest,
    stores: Stores,
    *,
    audit_id: int | None = None,
    options: ExportOptions | None = None,
    progress: Progress = silent,
) -> AuditReport:
    """Step 2: read back all of an attempt (default: the last one on this content) and keep the verdict. Does not raise if it fails.

    Where this content is published and no attempt on it is open, the published bars are audited and nothing is recorded.
    """
    source = Source.of(loaded, normalized)
    options = on_columns(options or ExportOptions(), source)
    with _locked(stores, source.slug, options, progress) as (locked, _):
        history = History.of(locked.postgres, source.slug)
        found = _attempt_on(source, history, audit_id)
        stores.questdb.wait_applied(INDICATOR_BARS.name, stores.settings.apply_timeout_seconds)
        if isinstance(found, DatasetRecord):
            return audit_published(source, locked, found, history.attempts, options=options, progress=progress)
        report, _ = audit_attempt(source, locked, found, options.tolerance, progress)
        return report


def publish_dataset(
    normalized: NormalizedBars,
    loaded: LoadedManifest,
    stores: Stores,
    *,
    audit_id: int | None = None,
    options: ExportOptions | None = None,
    progress: Progress = silent,
) -> DatasetRecord:
    """Step 3: put into the registry what a passed full audit vouches for; raises if none does. Publishing twice is the same as once."""
    options = options or ExportOptions()
    source = Source.of(loaded, normalized)
    with _locked(stores, source.slug, options, progress) as (locked, connection):
        found = _attempt_on(source, History.of(locked.postgres, source.slug), audit_id)
        if isinstance(found, DatasetRecord):
            return found
        return publish_audited(source, stores.postgres, connection, found, progress)


def export_dataset(
    loaded: LoadedManifest,
    stores: Stores,
    settings: Settings,
    *,
    options: ExportOptions | None = None,
    progress: Progress = silent,
    normalized: NormalizedBars | None = None,
) -> ExportResult:
    """The whole export of one dataset under one lock. Raises `ValidationFailedError` if the audit fails; then nothing is registered."""
    result = run_export(loaded, stores, settings, options=options, progress=progress, normalized=normalized)
    if result.audit is not None:
        must_pass(result.audit, result.dataset_id, result.tag)
    return result


def run_export(
    loaded: LoadedManifest,
    stores: Stores,
    settings: Settings,
    *,
    options: ExportOptions | None = None,
    progress: Progress = silent,
    normalized: NormalizedBars | None = None,
) -> ExportResult:
    """As `export_dataset`, but an audit that failed is told by the result (`published` is False), not raised."""
    options = options or ExportOptions()
    check_transport(options, stores.questdb.transport)
    clock = _Clock()
    normalized = normalized or normalize_dataset(loaded, settings, progress=progress, published=_published(stores, loaded))
    source = Source.of(loaded, normalized)
    options = on_columns(options, source)
    clock.lap("normalize")
    with _locked(stores, source.slug, options, progress) as (locked, connection):
        history = History.of(locked.postgres, source.slug)
        attempt = write(source, locked, connection, history, options=options, progress=progress)
        clock.lap("write")
        if attempt.opened is None:
            report = _audit_published(source, locked, attempt, history, options=options, progress=progress)
            clock.lap("audit")
            return ExportResult.of(source, attempt, record=attempt.record, audit=report, seconds=clock.laps)
        report, closed = audit_attempt(source, locked, attempt.opened, options.tolerance, progress)
        clock.lap("audit")
        record = None
        if report.passed and options.verify == "full":
            record = publish_audited(source, stores.postgres, connection, closed, progress)
            clock.lap("publish")
    return ExportResult.of(source, attempt, record=record, audit=report, seconds=clock.laps)


def _audit_published(
    source: Source, stores: Stores, attempt: ExportAttempt, history: History, *, options: ExportOptions, progress: Progress
) -> AuditReport | None:
    """Verify what is published already: the same request again is checked as fully as the first one. Raises if it differs."""
    if attempt.record is None:
        return None
    report = audit_published(source, stores, attempt.record, history.attempts, options=options, progress=progress)
    if not report.passed:
        raise ValidationFailedError(
            f"the published bars of {source.slug} differ from their file: {report.summary}",
            code="published_bars_differ",
            found=report.examples[0] if report.examples else None,
            hint=f"`chronosflow_export {source.slug} --replace` writes all of them under a fresh tag and publishes that.",
            slug=source.slug,
            tag=attempt.tag,
        )
    return report


def audit_published(
    source: Source, stores: Stores, record: DatasetRecord, attempts: Sequence[AuditRecord], *, options: ExportOptions, progress: Progress
) -> AuditReport:
    """Audit what is published. Rows outside its range are left out if a growth that was given up explains them: no reader sees them.

    Raises `StoreError` if the normalized file is what differs.
    """
    if options.verify == "sample":
        return sample_tag(source.placed_as(record), stores.questdb, record.questdb_tag, tolerance=options.tolerance)
    growth = abandoned_growth(record, attempts)
    source = source.placed_as(record)
    report = audit_tag(
        source,
        stores.questdb,
        record.questdb_tag,
        progress,
        tolerance=options.tolerance,
        within=growth is not None,
        keep=_cells_keeper(stores, source.slug, f"published_{record.revision}"),
    )
    if not report.passed:
        require_sound(source)
    return report


def audit_attempt(
    source: Source, stores: Stores, attempt: AuditRecord, tolerance: Tolerance, progress: Progress
) -> tuple[AuditReport, AuditRecord]:
    """Audit what an attempt wrote, and close it with the verdict: the report, and the record as it is now."""
    source = source.placed_as(attempt)
    if attempt.mode == "sample":
        report = sample_tag(source, stores.questdb, attempt.questdb_tag, tolerance=tolerance)
    else:
        keep = _cells_keeper(stores, source.slug, str(attempt.audit_id))
        report = audit_tag(source, stores.questdb, attempt.questdb_tag, progress, tolerance=tolerance, keep=keep)
    if not report.passed:
        require_sound(source)
    kept = {"audit": report.as_dict(), "tolerance": asdict(tolerance)}
    return report, close_attempt(stores.postgres, attempt.audit_id, passed=report.passed, report=kept)


def _cells_keeper(stores: Stores, slug: str, name: str) -> Callable[[pl.DataFrame], str]:
    """Keeps the failing rows and cells of an audit: `name` is the id of an attempt, or tells the revision of published bars."""
    return lambda cells: keep_cells(stores.artifacts, slug, name, cells)


def must_pass(report: AuditReport, slug: str, tag: str) -> None:
    """Raise `ValidationFailedError` for a failed audit, with the worst of it."""
    if report.passed:
        return
    raise ValidationFailedError(
        f"the audit of {slug} failed: {report.summary}; nothing was registered",
        code="audit_failed",
        found=report.examples[0] if report.examples else None,
        hint=f"Failing rows and cells: {report.artifact}. The next export writes under a fresh tag." if report.artifact else "",
        slug=slug,
        tag=tag,
    )


def _attempt_on(source: Source, history: History, audit_id: int | None) -> AuditRecord | DatasetRecord:
    """The attempt that a later step goes on with; the dataset if this content is published and nothing newer was tried."""
    record = history.record
    if audit_id is None and record is not None and is_unchanged(source, record, history.attempts):
        return record
    attempt = history.attempt(source.slug, audit_id)
    if (attempt.checksum, attempt.content_hash) != (source.checksum, source.content_hash):
        raise NotPublishedError(
            f"the last attempt on {source.slug} wrote another file",
            code="attempt_missing",
            expected=source.checksum,
            found=attempt.checksum,
            hint="Write this one first.",
            slug=source.slug,
        )
    return attempt


@contextmanager
def _locked(stores: Stores, slug: str, options: ExportOptions, progress: Progress) -> Iterator[tuple[Stores, Connection]]:
    """The lock of a dataset: the stores with all that is asked of Postgres going over the connection that holds it, and that connection."""
    with stores.postgres.session_lock(
        lock_key(slug),
        wait_seconds=options.lock_wait_seconds,
        what=f"dataset {slug}",
        waiting=lambda: progress("wait", 0, None, "another process works on this dataset"),
    ) as connection:
        yield replace(stores, postgres=stores.postgres.over(connection)), connection


def _published(stores: Stores, loaded: LoadedManifest) -> Callable[[], str | None]:
    def checksum() -> str | None:
        record = find_dataset(stores.postgres, loaded.manifest.dataset)
        return None if record is None else record.checksum

    return checksum


class _Clock:
    """Seconds of each step."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = now - self._last
        self._last = now
