"""Documents about exports: what one did, what one would do, and those of a whole folder."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from chronos_assets.views.documents.base import Document, Json, Warn
from chronos_assets.views.documents.datasets import Column


class ColumnDifference(Document):
    """A column whose stored values differ from the file: in how many bars, and the worst of them."""

    column: str
    differing: int
    compared: int
    worst_absolute: float | None
    worst_relative: float | None
    worst_bar: str | None


class AuditVerdict(Document):
    """What comparing QuestDB with the file came to. `examples` and `failure_cases` are bounded; `artifact` is the file with all of them."""

    passed: bool
    mode: Literal["full", "sample"]
    rows_expected: int
    rows_found: int
    rows_compared: int
    columns_compared: int
    cells_compared: int
    rows_missing: int
    rows_stale: int
    rows_duplicate: int
    rows_wrong_tags: int
    cells_differing: int
    columns: list[ColumnDifference]
    examples: list[Json]
    failure_cases: list[Json]
    seconds: float
    artifact: str | None
    cells_foreign: int


class Export(Document):
    """What one export did. `published` false: the audit failed, or the export was not to be registered."""

    dataset: str
    questdb_tag: str
    kind: str
    transport: str
    rows_written: int
    rows_total: int
    unchanged: bool
    published: bool
    revision: int | None
    first_bar: datetime | None
    last_bar: datetime | None
    checksum: str
    content_hash: str
    audit_id: int | None
    audit: AuditVerdict | None
    batch_rows: int | None
    senders: int | None
    resent_slices: int
    seconds: dict[str, float]
    exit_code: int


class ExportPlan(Document):
    """What an export would do; nothing was written."""

    dataset: str
    dry_run: Literal[True]
    rows_total: int
    first_bar: datetime
    last_bar: datetime
    checksum: str
    content_hash: str
    columns: list[Column]
    warnings: list[Warn]
    kind: str
    questdb_tag: str
    rows_to_write: int
    columns_to_add: list[str]
    exit_code: int


class ExportFailure(Document):
    """A dataset that could not be exported, and why; the others of the folder go on."""

    dataset: str
    published: Literal[False]
    error: Json
    exit_code: int


class ExportAll(Document):
    """Exports of all manifests; `exit_code` is the worst of them."""

    datasets: list[Export | ExportPlan | ExportFailure]
    rows_written: int
    exit_code: int
