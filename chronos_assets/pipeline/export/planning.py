"""What an export is about to do, from the file, the registry and the attempts before it. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from chronos_assets.domain.attempts import Plan, Published, choose_plan
from chronos_assets.domain.content import ContentHasher
from chronos_assets.errors import StoreError
from chronos_assets.pipeline.export.growth import Growth, compare_with_published
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.progress import Progress
from chronos_assets.storage.audits import AuditRecord, NewAttempt
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.tables import INDICATOR_BARS


def columns_digest(columns: Sequence[DatasetColumn]) -> str:
    """Digest of names, roles and QuestDB names: kept with the attempt, so that the registry's can be compared with it."""
    told = json.dumps([[c.name, c.role, c.questdb_column] for c in columns])
    return hashlib.sha256(told.encode()).hexdigest()


def on_columns(options: ExportOptions, source: Source) -> ExportOptions:
    """`options` with the tolerance of single columns found among those of the file; raises `UsageError` for one that it does not have."""
    return replace(options, tolerance=options.tolerance.on(c.name for c in source.columns))


def is_unchanged(source: Source, record: DatasetRecord, attempts: Sequence[AuditRecord]) -> bool:
    """True where the registry says all this of the file, and no growth that was given up has filled targets of the published bars."""
    since = _publishing(record, attempts)
    first = 0 if since is None else since.audit_id
    spoilt = any(a.questdb_tag == record.questdb_tag and a.audit_id > first and a.report.get("filled_rows") for a in attempts)
    return source.is_published_as(record) and not spoilt


def abandoned_growth(record: DatasetRecord, attempts: Sequence[AuditRecord]) -> AuditRecord | None:
    """The attempt that may have left rows outside the published range under the registered tag: the last one on it, if of another file."""
    on_tag = [a for a in attempts if a.questdb_tag == record.questdb_tag]
    return on_tag[-1] if on_tag and on_tag[-1].content_hash != record.content_hash else None


def _publishing(record: DatasetRecord, attempts: Sequence[AuditRecord]) -> AuditRecord | None:
    """The attempt that the registry row was published from."""
    said = (record.questdb_tag, record.checksum, record.content_hash, "passed")
    ours = [a for a in attempts if (a.questdb_tag, a.checksum, a.content_hash, a.verdict) == said]
    return ours[-1] if ours else None


def same_as_reported(bars: BarsFile, source: Source, progress: Progress) -> dict[str, int]:
    """The Arrow file may have lain there for long: it must still be what its report says.

    Returns for each target the row after its last known value.
    """
    hasher = ContentHasher()
    known_rows = {c.name: 0 for c in source.columns if c.role == "target"}
    done = 0
    for frame in bars.frames(source.piece_rows):
        hasher.update(frame)
        for name, row in known_rows.items():
            known = frame[name].is_not_null().arg_true()
            known_rows[name] = done + int(known[-1]) + 1 if known.len() else row
        done += frame.height
        progress("check file", done, source.rows)
    if hasher.hexdigest() != source.content_hash:
        raise StoreError(
            "the normalized file is not what its report says",
            code="arrow_damaged",
            hint="Delete it; it is made again.",
            slug=source.slug,
            file=str(source.path),
        )
    return known_rows


def find_growth(
    stores: Stores,
    record: DatasetRecord | None,
    source: Source,
    bars: BarsFile,
    *,
    replace: bool,
    attempts: Sequence[AuditRecord],
) -> Growth:
    """What is new against the registry; everything where nothing is published or all is to be replaced."""
    if record is None or replace:
        return Growth(0)
    stores.questdb.wait_applied(INDICATOR_BARS.name, stores.settings.apply_timeout_seconds)
    publishing = _publishing(record, attempts)
    known_rows = None if publishing is None else publishing.report.get("known_rows")
    return compare_with_published(stores.questdb, record, source, bars, known_rows)


def make_plan(stores: Stores, record: DatasetRecord | None, source: Source, *, replace: bool, attempts: Sequence[AuditRecord]) -> Plan:
    """Choose the tag from what is recorded, and from what QuestDB holds under tags that look free."""
    published = None if record is None else Published(record.questdb_tag, record.checksum, record.content_hash, record.revision)
    taken: list[str] = []
    while True:
        plan = choose_plan(
            source.slug,
            [a.as_attempt() for a in attempts],
            published,
            checksum=source.checksum,
            content_hash=source.content_hash,
            replace=replace,
            taken=taken,
        )
        # A fresh tag is fresh in QuestDB too: another registry may have used it.
        if plan.kind not in {"fresh", "replacement"} or not _holds_bars(stores.questdb, plan.tag):
            return plan
        taken.append(plan.tag)


def _holds_bars(questdb: QuestDB, tag: str) -> bool:
    return questdb.has_table(INDICATOR_BARS.name) and bars_of(questdb, tag) > 0


def new_attempt(
    source: Source, plan: Plan, growth: Growth, *, known_rows: dict[str, int], options: ExportOptions, transport: str
) -> NewAttempt:
    """What is recorded before the first bar is written."""
    return NewAttempt(
        dataset_id=source.slug,
        questdb_tag=plan.tag,
        checksum=source.checksum,
        mode=options.verify,
        row_count=source.rows,
        first_bar_ts=source.first_bar,
        last_bar_ts=source.last_bar,
        content_hash=source.content_hash,
        base_revision=plan.base_revision,
        report={
            "plan": asdict(plan),
            "transport": transport,
            "known_rows": known_rows,
            "filled_rows": len(growth.filled) if plan.only_growth else 0,
            "columns_digest": columns_digest(source.columns),
        },
    )
