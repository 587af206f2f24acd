"""What the attempts before an export say, and whether the normalized file is still what its report says: questions that a plan asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from chronos_assets.domain.content import ContentHasher
from chronos_assets.errors import StoreError
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.storage.audits import AuditRecord
from chronos_assets.storage.bars_file import MADE_AGAIN, BarsFile
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord


def columns_digest(columns: Sequence[DatasetColumn]) -> str:
    """Digest of names, roles and QuestDB names: kept with the attempt, so that the registry's can be compared with it."""
    told = json.dumps([[c.name, c.role, c.questdb_column] for c in columns])
    return hashlib.sha256(told.encode()).hexdigest()


def on_columns(options: ExportOptions, source: Source) -> ExportOptions:
    """`options` with the tolerance of single columns found among those of the file; raises `UsageError` for one that it does not have."""
    return replace(options, tolerance=options.tolerance.on(c.name for c in source.columns))


def is_unchanged(source: Source, record: DatasetRecord, attempts: Sequence[AuditRecord]) -> bool:
    """True if the registry says all this of the file, and no growth that was given up has filled targets of the published bars."""
    since = publishing_attempt(record, attempts)
    first = 0 if since is None else since.audit_id
    spoilt = any(a.questdb_tag == record.questdb_tag and a.audit_id > first and a.report.get("filled_rows") for a in attempts)
    return source.is_published_as(record) and not spoilt


def abandoned_growth(record: DatasetRecord, attempts: Sequence[AuditRecord]) -> AuditRecord | None:
    """The attempt that may have left rows outside the published range under the registered tag: the last one on it, if of another file."""
    on_tag = [a for a in attempts if a.questdb_tag == record.questdb_tag]
    return on_tag[-1] if on_tag and on_tag[-1].content_hash != record.content_hash else None


def publishing_attempt(record: DatasetRecord, attempts: Sequence[AuditRecord]) -> AuditRecord | None:
    """The attempt that the registry row was published from."""
    said = (record.questdb_tag, record.checksum, record.content_hash, "passed")
    ours = [a for a in attempts if (a.questdb_tag, a.checksum, a.content_hash, a.verdict) == said]
    return ours[-1] if ours else None


def require_sound(source: Source, progress: Progress = silent) -> None:
    """Raise `StoreError` if the normalized file is damaged: asked before QuestDB is blamed for what differs."""
    with BarsFile(source.path) as bars:
        same_as_reported(bars, source, progress)


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
            "the normalized file is damaged: it is not what its report says",
            code="arrow_damaged",
            hint=MADE_AGAIN,
            slug=source.slug,
            file=str(source.path),
        )
    return known_rows
