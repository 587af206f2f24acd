"""`export_audits` and the transaction that publishes a dataset.

An attempt is opened before its first bar is written, and closed with a verdict. `publish` is one transaction: it changes the
registry only if a full audit of exactly this content and tag has passed, no later attempt on the tag was opened, and nobody else
has published meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from chronos_assets.domain.attempts import Attempt, Verdict
from chronos_assets.errors import ConflictError, StoreError, ValidationFailedError
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord, record_from
from chronos_assets.storage.postgres import Asked, Connection, Postgres
from chronos_assets.storage.queries import query

Mode = Literal["full", "sample"]


@dataclass(frozen=True)
class AuditRecord:
    """One row of `export_audits`."""

    audit_id: int
    dataset_id: str
    questdb_tag: str
    checksum: str
    mode: Mode
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    content_hash: str
    verdict: Verdict
    report: dict[str, Any]
    base_revision: int
    started_at: datetime
    completed_at: datetime | None

    @property
    def placement(self) -> dict[str, str]:
        """Name -> QuestDB column of the columns that are not kept under a name of their own."""
        return dict(self.report.get("placement", {}))

    def as_attempt(self) -> Attempt:
        """What the choice of a tag depends on."""
        return Attempt(self.audit_id, self.questdb_tag, self.checksum, self.content_hash, self.verdict)


@dataclass(frozen=True)
class NewAttempt:
    """What is known when an attempt is opened."""

    dataset_id: str
    questdb_tag: str
    checksum: str
    mode: Mode
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    content_hash: str
    base_revision: int
    report: dict[str, Any]


@dataclass(frozen=True)
class Publication:
    """What a publication writes besides what its audit says."""

    symbol: str
    granularity: str
    source: str
    columns: tuple[DatasetColumn, ...]


def dataset_with_attempts(postgres: Postgres, slug: str) -> tuple[DatasetRecord | None, list[AuditRecord]]:
    """The published dataset, if it is, and all attempts on it, the oldest first; by one trip."""
    published, attempts = postgres.ask((query("dataset"), {"slug": slug}), (query("attempts"), {"slug": slug}))
    return record_from(published[0]) if published else None, [AuditRecord(**row) for row in attempts]


def list_attempts(postgres: Postgres, slug: str) -> list[AuditRecord]:
    """All attempts on a dataset, the oldest first."""
    with postgres.connection() as connection:
        return [AuditRecord(**row) for row in connection.execute(query("attempts"), {"slug": slug}).fetchall()]


def open_attempt(connection: Connection, attempt: NewAttempt) -> AuditRecord:
    """Record that bars are about to be written; call it under the slug's lock."""
    binds = {**vars(attempt), "report": Jsonb(attempt.report)}
    row = connection.execute(query("open_attempt"), binds).fetchone()
    assert row is not None
    return AuditRecord(**row)


def close_attempt(postgres: Postgres, audit_id: int, *, passed: bool, report: dict[str, Any]) -> AuditRecord:
    """Record the verdict. An audit that failed stays failed; raises `ConflictError` for an attempt to turn it."""
    binds = {"audit_id": audit_id, "verdict": "passed" if passed else "failed", "report": Jsonb(report)}
    with postgres.connection() as connection:
        row = connection.execute(query("close_attempt"), binds).fetchone()
    if row is None:
        raise ConflictError(
            "the audit of this attempt has failed before, or its record is gone",
            code="attempt_closed",
            hint="Export again: it writes under a fresh tag.",
            audit=audit_id,
        )
    return AuditRecord(**row)


def publish(connection: Connection, audit: AuditRecord, publication: Publication) -> DatasetRecord:
    """Write the registry row of `audit` in one transaction on `connection`, which holds the slug's lock.

    Publishing the same audit again gives the record that is there. Raises `ValidationFailedError` without a passed full audit,
    `ConflictError` if somebody else was faster.
    """
    if connection.closed:
        raise psycopg.OperationalError("the connection that held the lock is lost")
    look: list[Asked] = [
        (query("attempt_for_publishing"), {"audit_id": audit.audit_id}),
        (query("dataset_for_update"), {"slug": audit.dataset_id}),
    ]
    with connection.pipeline(), connection.transaction():  # two trips: what is looked at, then the change with its COMMIT
        looked = [connection.execute(*one) for one in look]
        kept, current = (cursor.fetchone() for cursor in looked)
        _must_have_passed(kept, audit)
        record = None if current is None else record_from(current)
        if record is not None and is_published(record, audit):
            return record
        binds = {**_identity(audit), **_values(publication)}
        changed = connection.execute(query("publish_growth" if audit.base_revision else "publish_first"), binds)
    row = changed.fetchone()
    if row is None:
        raise ConflictError(
            f"dataset {audit.dataset_id} was published by another process meanwhile",
            code="revision_conflict",
            expected=f"revision {audit.base_revision}" if audit.base_revision else "no such dataset",
            found="no such dataset" if record is None else f"revision {record.revision}",
            hint="Run the command again: it starts from what is published now.",
            slug=audit.dataset_id,
        )
    return record_from(row)


def is_published(record: DatasetRecord, audit: AuditRecord) -> bool:
    """True if `record` is what publishing `audit` writes."""
    return record.revision == audit.base_revision + 1 and (record.questdb_tag, record.checksum, record.content_hash, record.row_count) == (
        audit.questdb_tag,
        audit.checksum,
        audit.content_hash,
        audit.row_count,
    )


def _must_have_passed(kept: dict[str, Any] | None, audit: AuditRecord) -> None:
    if kept is None:
        raise StoreError("the record of this attempt is gone", code="attempt_missing", slug=audit.dataset_id, audit=audit.audit_id)
    same = all(kept[k] == getattr(audit, k) for k in ("dataset_id", "questdb_tag", "checksum", "content_hash", "row_count"))
    if not same or kept["mode"] != "full" or kept["verdict"] != "passed":
        raise ValidationFailedError(
            f"dataset {audit.dataset_id} cannot be published: no full audit of this content has passed",
            code="audit_not_passed",
            expected="a full audit with verdict passed",
            found=f"a {kept['mode']} audit with verdict {kept['verdict']}",
            slug=audit.dataset_id,
            audit=audit.audit_id,
        )
    if kept["later_attempt"] is not None:
        raise ConflictError(
            f"a later attempt on tag {audit.questdb_tag} was opened: what was audited may have changed",
            code="attempt_overtaken",
            found=f"attempt {kept['later_attempt']}",
            hint="Run the export again.",
            slug=audit.dataset_id,
            audit=audit.audit_id,
        )


def _identity(audit: AuditRecord) -> dict[str, Any]:
    names = ("dataset_id", "questdb_tag", "row_count", "first_bar_ts", "last_bar_ts", "checksum", "content_hash", "base_revision")
    return {name: getattr(audit, name) for name in names}


def _values(publication: Publication) -> dict[str, Any]:
    columns = [{"name": c.name, "role": c.role, "questdb_column": c.questdb_column} for c in publication.columns]
    return {
        "symbol": publication.symbol,
        "granularity": publication.granularity,
        "source": publication.source,
        "columns": Jsonb(columns),
    }
