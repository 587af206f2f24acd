"""The registry of datasets and the audits that let one in."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Table, Text, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, count_column, json_column, text_column, utc

Table(
    "indicator_datasets",
    METADATA,
    Column("dataset_id", Text, primary_key=True),
    *(text_column(name, null=False) for name in ("symbol", "granularity", "source", "questdb_tag")),
    count_column("row_count"),
    utc("first_bar_ts", null=False),
    utc("last_bar_ts", null=False),
    utc("created_at", null=False, default=NOW),
    count_column("revision", default="1"),
    text_column("checksum"),
    text_column("content_hash"),
    json_column("columns", default="[]"),
    utc("updated_at", null=False, default=NOW),
    CheckConstraint("revision >= 1", name="indicator_datasets_revision_check"),
    CheckConstraint("row_count >= 0", name="indicator_datasets_row_count_check"),
    CheckConstraint("first_bar_ts <= last_bar_ts", name="indicator_datasets_range_check"),
    info={
        "about": "The registry: one row per published dataset. It names the QuestDB tag and the range of bars that a full audit compared "
        "with the source; readers use nothing else. `revision` rises with each publication, `content_hash` names the bars, "
        "`checksum` the file, `columns` the role and QuestDB name of each column.",
    },
)

Table(
    "export_audits",
    METADATA,
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    *(text_column(name, null=False) for name in ("dataset_id", "questdb_tag", "checksum", "mode")),
    count_column("row_count"),
    utc("first_bar_ts", null=False),
    utc("last_bar_ts", null=False),
    text_column("content_hash", null=False),
    text_column("verdict", null=False),
    json_column("report", default="{}"),
    count_column("base_revision", default="0"),
    utc("started_at", null=False, default=NOW),
    utc("completed_at"),
    CheckConstraint("mode IN ('full', 'sample')", name="export_audits_mode_check"),
    CheckConstraint("row_count >= 0", name="export_audits_row_count_check"),
    CheckConstraint("verdict IN ('running', 'passed', 'failed')", name="export_audits_verdict_check"),
    CheckConstraint("(verdict = 'running') = (completed_at IS NULL)", name="export_audits_completed_check"),
    Index("export_audits_dataset", "dataset_id", text("audit_id DESC"), info={"about": "the audits of a dataset, the newest first"}),
    Index(
        "export_audits_tag",
        "questdb_tag",
        text("audit_id DESC"),
        info={"about": "the latest attempt on a tag, which decides what a new one may write"},
    ),
    info={
        "about": "One row per attempt to write a dataset under a tag, opened (`running`) before the first row is sent and closed with the "
        "verdict. A dataset is published only on a `passed` audit of mode `full` for exactly its checksum and tag. `base_revision` "
        "is the revision that the attempt started from.",
    },
)
