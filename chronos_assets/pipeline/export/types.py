"""What goes into an export and what comes out of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from chronos_assets.domain.audit import Tolerance
from chronos_assets.domain.audit_report import AuditReport
from chronos_assets.pipeline.export.source import Source
from chronos_assets.storage.audits import AuditRecord
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord

LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class ExportOptions:
    """How to export. `batch_rows` and `senders` default to the settings and to what the transport gains from."""

    batch_rows: int | None = None
    senders: int | None = None
    transport: str | None = None
    verify: Literal["full", "sample"] = "full"
    tolerance: Tolerance = field(default_factory=Tolerance)
    replace: bool = False
    lock_wait_seconds: float = LOCK_SECONDS


@dataclass(frozen=True)
class ExportAttempt:
    """What the write step did. `opened` is its record; `unchanged` means that the registry has this very content already.

    `columns` says which QuestDB column each went into.
    """

    dataset_id: str
    tag: str
    kind: str
    opened: AuditRecord | None
    checksum: str
    rows_written: int
    rows_total: int
    transport: str
    senders: int = 1
    batch_rows: int = 0
    seconds: float = 0.0
    visible_seconds: float = 0.0
    resent_slices: int = 0
    columns: tuple[DatasetColumn, ...] = ()
    record: DatasetRecord | None = None

    @property
    def unchanged(self) -> bool:
        return self.kind == "unchanged"

    @property
    def audit_id(self) -> int | None:
        """The number of its record."""
        return None if self.opened is None else self.opened.audit_id


@dataclass(frozen=True)
class ExportResult:
    """What an export did, from the file to the registry."""

    dataset_id: str
    tag: str
    kind: str
    transport: str
    rows_written: int
    rows_total: int
    unchanged: bool
    published: bool
    record: DatasetRecord | None
    audit: AuditReport | None
    audit_id: int | None
    checksum: str
    content_hash: str
    seconds: dict[str, float] = field(default_factory=dict)
    batch_rows: int = 0
    senders: int = 1
    resent_slices: int = 0

    @classmethod
    def of(
        cls,
        source: Source,
        attempt: ExportAttempt,
        *,
        record: DatasetRecord | None,
        audit: AuditReport | None,
        seconds: dict[str, float],
    ) -> ExportResult:
        """Put together from the steps; `record` is what was published."""
        return cls(
            dataset_id=source.slug,
            tag=attempt.tag,
            kind=attempt.kind,
            transport=attempt.transport,
            rows_written=attempt.rows_written,
            rows_total=attempt.rows_total,
            unchanged=attempt.unchanged,
            published=record is not None,
            record=record,
            audit=audit,
            audit_id=attempt.audit_id,
            checksum=source.checksum,
            content_hash=source.content_hash,
            seconds=seconds,
            batch_rows=attempt.batch_rows,
            senders=attempt.senders,
            resent_slices=attempt.resent_slices,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        record = self.record
        return {
            "dataset": self.dataset_id,
            "questdb_tag": self.tag,
            "kind": self.kind,
            "transport": self.transport,
            "rows_written": self.rows_written,
            "rows_total": self.rows_total,
            "unchanged": self.unchanged,
            "published": self.published,
            "revision": None if record is None else record.revision,
            "first_bar": None if record is None else record.first_bar_ts.isoformat(),
            "last_bar": None if record is None else record.last_bar_ts.isoformat(),
            "checksum": self.checksum,
            "content_hash": self.content_hash,
            "audit_id": self.audit_id,
            "audit": None if self.audit is None else self.audit.as_dict(),
            "batch_rows": self.batch_rows,
            "senders": self.senders,
            "resent_slices": self.resent_slices,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }
