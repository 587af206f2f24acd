"""Documents about datasets: the registry's row, its columns with statistics, audits, the space of its tags."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json, Warn


class Column(Document):
    """One column of a dataset: its name in the file, what it is for, and its name in QuestDB."""

    name: str
    role: Literal["feature", "target", "price"]
    questdb_column: str


class ColumnStatistics(Column):
    """A column with what its published bars hold."""

    nulls: int
    min: float | None
    max: float | None
    mean: float | None


class TargetStatistics(ColumnStatistics):
    """A target, with the bars that it looks ahead."""

    horizon: int = Field(description="Bars ahead that the target uses prices of.")
    horizon_assumed: bool = Field(description="True if no manifest declares it.")


class Audit(Document):
    """One attempt to export a dataset (`export_audits`) and what its audit said."""

    audit_id: int
    dataset_id: str
    questdb_tag: str
    checksum: str
    mode: Literal["full", "sample"]
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    content_hash: str
    verdict: Literal["running", "passed", "failed"]
    report: Json
    base_revision: int
    started_at: datetime
    completed_at: datetime | None


class Dataset(Document):
    """One row of the registry (`indicator_datasets`), with counts of its columns and of what was made from it."""

    dataset_id: str
    symbol: str
    granularity: str
    source: str
    questdb_tag: str
    row_count: int
    first_bar_ts: datetime
    last_bar_ts: datetime
    created_at: datetime
    revision: int
    checksum: str
    content_hash: str
    updated_at: datetime
    features: int
    targets: int
    runs: int
    simulations: int


class DatasetDetail(Dataset):
    """A dataset with its columns, its last audit, and the profiles of its manifest by name."""

    columns: list[Column]
    last_audit: Audit | None
    walkforward_profiles: dict[str, Json]
    simulation_profiles: dict[str, Json]
    warnings: list[Warn]


class DatasetSummary(Document):
    """A dataset as `chronos datasets list --json` shows it."""

    dataset: str
    symbol: str
    granularity: str
    source: str
    questdb_tag: str
    revision: int
    rows: int
    first_bar: datetime
    last_bar: datetime
    features: int
    targets: list[str]
    prices: list[str]
    checksum: str
    content_hash: str
    updated_at: datetime


class DatasetList(Document):
    """All published datasets by name."""

    datasets: list[DatasetSummary]


class TagSpace(Document):
    """Rows under one tag of a dataset, the bytes they take, and whether readers use it."""

    tag: str
    rows: int
    bytes: int
    registered: bool


class AuditLine(Document):
    """An audit in one line."""

    audit_id: int
    questdb_tag: str
    mode: Literal["full", "sample"]
    verdict: Literal["running", "passed", "failed"]
    rows: int
    started_at: datetime


class DatasetReport(DatasetSummary):
    """A dataset as `chronos datasets show --json` shows it: with columns, revisions and the space they take, last audits, runs."""

    columns: list[Column]
    tags: list[TagSpace]
    old_revision_rows: int
    old_revision_bytes: int
    audits: list[AuditLine]
    runs: int
    simulations: int
    reclaim: str | None
