"""Validate a dataset: do the stores still hold what was published? Reads only; trusts nothing that was said before.

A dataset is compared with its registry row (counts, edges, tags, content hash), with its audits, and cell by cell with its file if
that is still the one that was published. Runs have a module of their own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from chronos_assets.domain.audit import Tolerance
from chronos_assets.domain.audit_report import AuditReport
from chronos_assets.domain.content import ContentHasher
from chronos_assets.domain.slug import Slug
from chronos_assets.errors import ChronosError, StoreError
from chronos_assets.pipeline.export.audit import audit_tag
from chronos_assets.pipeline.export.growth import blanked
from chronos_assets.pipeline.export.normalize import normalize_dataset
from chronos_assets.pipeline.export.planning import abandoned_growth, columns_digest, require_sound
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.validation.report import Check, ValidationReport, equal
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.storage.audits import AuditRecord, list_attempts
from chronos_assets.storage.datasets import KEY_COLUMNS, DatasetRecord, get_dataset, iter_bars
from chronos_assets.storage.delivery import summarize_tag
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores

__all__ = ["ValidationReport", "validate_dataset", "validate_run"]

_COLUMNS = "columns and roles are those that were published"


def validate_dataset(slug: str, stores: Stores, *, loaded: LoadedManifest | None = None, progress: Progress = silent) -> ValidationReport:
    """Compare what QuestDB holds of a published dataset with the registry, and with its file if `loaded` leads to the same content.

    Raises `NotPublishedError` if the registry does not know it.
    """
    started = time.monotonic()
    record = get_dataset(stores.postgres, slug)
    attempts = list_attempts(stores.postgres, slug)
    behind, growth = _audits_of(record, attempts), abandoned_growth(record, attempts)
    stores.questdb.wait_applied(INDICATOR_BARS.name, stores.settings.apply_timeout_seconds)
    checks = [
        *_count_checks(stores, record, growth),
        *_registry_checks(record, behind),
        _content_check(stores, record, behind, growth, progress),
    ]
    audit, file_check = _file_check(stores, record, loaded, _tolerance(behind), growth, progress)
    checks.append(file_check)
    return ValidationReport("dataset", slug, checks, time.monotonic() - started, audit=audit)


def _audits_of(record: DatasetRecord, attempts: Sequence[AuditRecord]) -> list[AuditRecord]:
    """Full audits of exactly the tag and content that the registry names, the oldest first."""
    said = (record.questdb_tag, record.checksum, record.content_hash, "full")
    return [a for a in attempts if (a.questdb_tag, a.checksum, a.content_hash, a.mode) == said]


def _registry_checks(record: DatasetRecord, behind: Sequence[AuditRecord]) -> list[Check]:
    """The registry row against its slug and against the attempt that it was published from."""
    slug = Slug.parse(record.dataset_id)
    passed = [a for a in behind if a.verdict == "passed"]
    verdicts = [a.verdict for a in behind]
    checks = [
        equal("symbol and granularity are those of the slug", [slug.symbol, slug.granularity], [record.symbol, record.granularity]),
        Check("it has a passed full audit", bool(passed) and "failed" not in verdicts, "passed", verdicts or "no audit"),
    ]
    if not passed:
        return checks
    audited = [passed[-1].row_count, passed[-1].first_bar_ts.isoformat(), passed[-1].last_bar_ts.isoformat()]
    stored = [record.row_count, record.first_bar_ts.isoformat(), record.last_bar_ts.isoformat()]
    checks.append(equal("bars, first and last are those that were audited", audited, stored))
    revisions = sorted({a.base_revision + 1 for a in passed})
    digests = {a.report.get("columns_digest") for a in passed} - {None}
    checks.append(Check("its revision is the one that was published", record.revision in revisions, revisions, record.revision))
    if not digests:
        return [*checks, Check(_COLUMNS, None, None, "published by an older program, which kept no digest of them")]
    roles = {role: len(record.names(role)) for role in ("feature", "target", "price")}
    same = columns_digest(record.columns) in digests
    return [*checks, Check(_COLUMNS, same, "those of the attempt", roles if same else f"others: {roles}")]


def _tolerance(behind: Sequence[AuditRecord]) -> Tolerance:
    """The tolerance that the last passed audit was made with."""
    kept = [a.report.get("tolerance") for a in behind if a.verdict == "passed"]
    told = kept[-1] if kept and kept[-1] else {}
    columns = {name: (pair[0], pair[1]) for name, pair in told.get("columns", {}).items()}
    return Tolerance(told.get("absolute", 0.0), told.get("relative", 0.0), columns)


def _count_checks(stores: Stores, record: DatasetRecord, growth: AuditRecord | None) -> list[Check]:
    inside = summarize_tag(stores.questdb, record.questdb_tag, record.first_bar_ts, record.last_bar_ts)
    everything = summarize_tag(stores.questdb, record.questdb_tag)
    return [
        equal("bars", record.row_count, inside.bars),
        equal("bars at different times", record.row_count, inside.times),
        equal("first bar", record.first_bar_ts.isoformat(), inside.first),
        equal("last bar", record.last_bar_ts.isoformat(), inside.last),
        equal("source and granularity of every bar", [[record.source, record.granularity, record.row_count]], inside.tags),
        _outside_check(everything.bars - inside.bars, growth),
    ]


def _outside_check(outside: int, growth: AuditRecord | None) -> Check:
    """Rows of the tag before the first or after the last published bar: only an unpublished growth may have left them."""
    name = "no bars outside the published range"
    if outside and growth is not None:
        return Check(name, None, 0, f"{outside}, left by attempt {growth.audit_id}, which was not published; no reader sees them")
    return equal(name, 0, outside)


def _known_rows(behind: Sequence[AuditRecord]) -> dict[str, int]:
    """For each target the row after its last value that was known when the dataset was published."""
    kept = [a.report.get("known_rows") for a in behind if a.verdict == "passed"]
    return dict(kept[-1] or {}) if kept else {}


def _content_check(
    stores: Stores, record: DatasetRecord, behind: Sequence[AuditRecord], growth: AuditRecord | None, progress: Progress
) -> Check:
    """The hash of all values that QuestDB gives back, against the registry's."""
    name = "content hash"
    if not record.content_hash:
        return Check(name, None, None, "published by an older program, which kept none; export once more")
    known_rows = _known_rows(behind) if growth is not None and growth.report.get("filled_rows") else {}
    hasher, before, done = ContentHasher(), ContentHasher(), 0
    try:
        for piece in iter_bars(stores.questdb, record, keys=KEY_COLUMNS):
            hasher.update(piece)
            if known_rows:
                before.update(blanked(piece, done, known_rows))
            done += piece.height
            progress("read back", done, record.row_count)
    except ChronosError as error:
        if not isinstance(error, StoreError) and error.exit_code != 1:
            raise
        return Check(name, passed=False, expected=record.content_hash, found=str(error))
    found = hasher.hexdigest()
    if found != record.content_hash and growth is not None and known_rows and before.hexdigest() == record.content_hash:
        said = f"as published, but for null targets that attempt {growth.audit_id} has filled; it was not published"
        return Check(name, None, record.content_hash, said)
    if found != record.content_hash and _tolerance(behind) != Tolerance():
        return Check(name, None, record.content_hash, "published within a tolerance, so its bits may differ; its cells are compared below")
    return equal(name, record.content_hash, found)


def _file_check(  # noqa: PLR0917 - one caller
    stores: Stores,
    record: DatasetRecord,
    loaded: LoadedManifest | None,
    tolerance: Tolerance,
    growth: AuditRecord | None,
    progress: Progress,
) -> tuple[AuditReport | None, Check]:
    """Every cell against the file, if the file is still the published one."""
    name = "every cell agrees with the file"
    if loaded is None:
        return None, Check(name, None, None, "there is no manifest")
    try:
        normalized = normalize_dataset(loaded, stores.settings, published=lambda: record.checksum, afresh=True)
    except ChronosError as error:
        return None, Check(name, None, None, f"the file cannot be read: {error}")
    source = Source.of(loaded, normalized)
    if not source.is_published_as(record):
        return None, Check(name, None, None, "the file or its manifest has changed since it was published")
    source = source.placed_as(record)
    try:
        audit = audit_tag(source, stores.questdb, record.questdb_tag, progress, tolerance=tolerance, within=growth is not None)
        if not audit.passed:
            require_sound(source)
    except StoreError as error:
        if error.code in {"arrow_damaged", "arrow_unreadable"}:
            return None, Check(name, None, None, f"the file cannot be compared: {error}")
        return None, Check(name, passed=False, expected=f"{source.rows} rows x {len(source.columns)} columns", found=str(error))
    return audit, Check(name, audit.passed, f"{source.rows} rows x {len(source.columns) + len(KEY_COLUMNS)} columns", audit.summary)
