"""Documents about upkeep: what the retention policy keeps and lets go."""

from __future__ import annotations

from pydantic import Field

from chronos_assets.views.documents.base import Document


class PrunedRun(Document):
    """A run that the policy does not keep, and what goes with it."""

    dataset_id: str
    run_id: str
    profiles: list[str]
    folds: int
    simulations: int
    rows: int = Field(description="Predictions in QuestDB.")
    bytes: int = Field(description="Bytes of files that only it uses.")


class TableSpace(Document):
    """One QuestDB table: rows in all, dead rows (of nothing in the registry any more) and bytes on disk."""

    table: str
    rows: int
    dead_rows: int
    bytes: int


class CompactedTable(Document):
    """A QuestDB table that was made again without its dead rows."""

    table: str
    rows_dropped: int
    bytes_freed: int


class Space(Document):
    """What the stores take, how fast they grow, and where that leads."""

    tables: list[TableSpace]
    questdb_bytes: int = Field(description="Of the tables above.")
    postgres_bytes: int = Field(description="Of our database, and of Dagster's if it is beside it.")
    files_bytes: int = Field(description="Of models, Arrow files, audits, prices, tear sheets and captured output.")
    total_bytes: int
    nights: int = Field(description="Nights on record that the growth is taken from.")
    bytes_per_night: float | None = Field(description="Median growth of the total from night to night; null before the second night.")
    bytes_in_a_year: float | None = Field(description="The total after 365 more nights of that growth; null before the second night.")


class Prune(Document):
    """What a prune did, or with `--dry-run` would do."""

    dry_run: bool
    runs: list[PrunedRun]
    kept: dict[str, int] = Field(description="How many runs stay, by reason.")
    files: int = Field(description="Files of bars, audits and prices that go.")
    bytes: int = Field(description="Bytes of files that go.")
    models: int = Field(0, description="Records of models that go with their signals: of retired runs, and never named.")
    attempts: int = Field(description="Records of export attempts that went; 0 in a dry run.")
    compacted: list[CompactedTable] = Field(description="QuestDB tables that were made again: over half of their rows were dead.")
    dagster_runs: int = Field(description="Dagster runs that go, with their events and captured output.")
    skipped: list[str] = Field(description="What stays because somebody works on it, and why.")


class Backup(Document):
    """A backup that was written or restored. `questdb` is null if its files are not part of it; `bytes` counts holes."""

    folder: str
    created_at: str
    program: str = Field(description="Version of chronos_assets that wrote it.")
    schema_version: str
    postgres: str
    questdb: str | None
    datasets: int
    files: int
    bytes: int
