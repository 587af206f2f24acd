"""Local Feature Selections and what they found of each feature."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Table, Text, Uuid, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, STATUS, count_column, json_column, text_column, utc

Table(
    "lfs_runs",
    METADATA,
    Column("lfs_id", Uuid, primary_key=True),
    Column(
        "dataset_id",
        Text,
        ForeignKey("indicator_datasets.dataset_id", name="lfs_runs_dataset_id_fkey", ondelete="CASCADE"),
        nullable=False,
    ),
    text_column("target_column", null=False),
    *(json_column(name) for name in ("feature_columns", "config")),
    text_column("status", null=False),
    *(text_column(name) for name in ("requested_by", "dagster_run_id")),
    utc("created_at", null=False, default=NOW),
    *(utc(name) for name in ("started_at", "completed_at")),
    count_column("duration_ms", null=True),
    *(json_column(name, null=True) for name in ("progress", "summary_metrics")),
    *(text_column(name) for name in ("dataset_checksum", "questdb_tag", "content_hash", "code_version", "device")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(STATUS, name="lfs_runs_status_check"),
    Index(
        "lfs_runs_dataset_created",
        "dataset_id",
        text("created_at DESC"),
        info={"about": "the feature selections of a dataset, the newest first"},
    ),
    info={
        "about": "One row per Local Feature Selection of a dataset's features for a target, with its resolved parameters (`config`), its "
        "progress while it runs and its summary. Setting `cancel_requested` asks the process that works on it to stop."
    },
)

Table(
    "lfs_features",
    METADATA,
    Column("lfs_id", Uuid, ForeignKey("lfs_runs.lfs_id", name="lfs_features_lfs_id_fkey", ondelete="CASCADE"), primary_key=True),
    Column("feature", Text, primary_key=True),
    count_column("feature_no"),
    count_column("selected_count", null=True),
    *(Column(name, Double) for name in ("pct", "p_solo", "p_unbiased")),
    text_column("excluded"),
    info={
        "about": "One row per feature of a selection: how often it was selected, its share of the cases, its p-values by permutation, and "
        "why it was left out, if it was."
    },
)
