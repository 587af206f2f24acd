"""Validate a dataset: do the stores still hold what was published? Reads only; trusts nothing that was said before.

A dataset is compared with its registry row (counts, edges, tags, content hash), with its audits, and cell by cell with its file where
that is still the one that was published. Runs have a module of their own.
"""

from __future__ import annotations

import time

from chronos_assets.domain.audit_report import AuditReport
from chronos_assets.domain.content import ContentHasher
from chronos_assets.domain.manifest import LoadedManifest
from chronos_assets.errors import ChronosError, StoreError
from chronos_assets.pipeline.audit import audit_tag
from chronos_assets.pipeline.normalize import normalize_dataset
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.source import Source
from chronos_assets.pipeline.validate_run import validate_run
from chronos_assets.pipeline.validation_report import Check, ValidationReport, equal
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import KEY_COLUMNS, DatasetRecord, get_dataset, iter_bars
from chronos_assets.storage.delivery import summarize_tag
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.tables import INDICATOR_BARS

__all__ = ["ValidationReport", "validate_dataset", "validate_run"]


def validate_dataset(slug: str, stores: Stores, *, loaded: LoadedManifest | None = None, progress: Progress = silent) -> ValidationReport:
    """Compare what QuestDB holds of a published dataset with the registry, and with its file where `loaded` leads to the same content.

    Raises `NotPublishedError` where the registry does not know it.
    """
    started = time.monotonic()
    record = get_dataset(stores.postgres, slug)
    stores.questdb.wait_applied(INDICATOR_BARS.name, stores.settings.apply_timeout_seconds)
    checks = [*_count_checks(stores, record), _content_check(stores, record, progress), _audit_check(stores, record)]
    audit, file_check = _file_check(stores, record, loaded, progress)
    checks.append(file_check)
    return ValidationReport("dataset", slug, checks, time.monotonic() - started, audit=audit)


def _count_checks(stores: Stores, record: DatasetRecord) -> list[Check]:
    inside = summarize_tag(stores.questdb, record.questdb_tag, record.first_bar_ts, record.last_bar_ts)
    everything = summarize_tag(stores.questdb, record.questdb_tag)
    return [
        equal("bars", record.row_count, inside.bars),
        equal("bars at different times", record.row_count, inside.times),
        equal("first bar", record.first_bar_ts.isoformat(), inside.first),
        equal("last bar", record.last_bar_ts.isoformat(), inside.last),
        equal("source and granularity of every bar", [[record.source, record.granularity, record.row_count]], inside.tags),
        _outside_check(stores, record, everything.bars - inside.bars),
    ]


def _outside_check(stores: Stores, record: DatasetRecord, outside: int) -> Check:
    """Rows of the tag before the first or after the last published bar: only an unpublished growth may have left them."""
    name = "no bars outside the published range"
    on_tag = [a for a in list_attempts(stores.postgres, record.dataset_id) if a.questdb_tag == record.questdb_tag]
    if outside and on_tag and on_tag[-1].content_hash != record.content_hash:
        return Check(name, None, 0, f"{outside}, left by attempt {on_tag[-1].audit_id}, which was not published; no reader sees them")
    return equal(name, 0, outside)


def _content_check(stores: Stores, record: DatasetRecord, progress: Progress) -> Check:
    """The hash of all values that QuestDB gives back, against the registry's."""
    name = "content hash"
    if not record.content_hash or not record.columns:
        return Check(name, None, None, "published by an older program, which kept none; export once more")
    hasher, done = ContentHasher(), 0
    try:
        for piece in iter_bars(stores.questdb, record, keys=KEY_COLUMNS):
            hasher.update(piece)
            done += piece.height
            progress("read back", done, record.row_count)
    except ChronosError as error:
        if not isinstance(error, StoreError) and error.exit_code != 1:
            raise
        return Check(name, passed=False, expected=record.content_hash, found=str(error))
    return equal(name, record.content_hash, hasher.hexdigest())


def _audit_check(stores: Stores, record: DatasetRecord) -> Check:
    """A passed full audit of exactly this tag and content must stand behind the registry row, and none after it may have failed."""
    ours = [
        a
        for a in list_attempts(stores.postgres, record.dataset_id)
        if (a.questdb_tag, a.checksum, a.content_hash, a.mode) == (record.questdb_tag, record.checksum, record.content_hash, "full")
    ]
    verdicts = [a.verdict for a in ours]
    return Check(
        "a passed full audit stands behind it", "passed" in verdicts and "failed" not in verdicts, "passed", verdicts or "no audit"
    )


def _file_check(
    stores: Stores, record: DatasetRecord, loaded: LoadedManifest | None, progress: Progress
) -> tuple[AuditReport | None, Check]:
    """Every cell against the file, where the file is still the published one."""
    name = "every cell agrees with the file"
    if loaded is None:
        return None, Check(name, None, None, "there is no manifest at hand")
    try:
        normalized = normalize_dataset(loaded, stores.settings, published=lambda: record.checksum)
    except ChronosError as error:
        return None, Check(name, None, None, f"the file cannot be read: {error}")
    source = Source.of(loaded, normalized)
    if not source.is_published_as(record):
        return None, Check(name, None, None, "the file or its manifest has changed since it was published")
    audit = audit_tag(source, stores.questdb, record.questdb_tag, progress)
    return audit, Check(name, audit.passed, f"{source.rows} rows x {len(source.columns) + len(KEY_COLUMNS)} columns", audit.summary)
