"""Walk-forward runs, their profiles and folds."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Table, Text, Uuid, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, STATUS, count_column, json_column, text_column, utc

Table(
    "walkforward_runs",
    METADATA,
    Column("run_id", Uuid, primary_key=True),
    Column(
        "dataset_id",
        Text,
        ForeignKey("indicator_datasets.dataset_id", name="walkforward_runs_dataset_id_fkey"),
        nullable=False,
    ),
    text_column("target_column", null=False),
    *(json_column(name) for name in ("feature_columns", "hyperparameters", "walk_config")),
    text_column("status", null=False),
    text_column("requested_by"),
    utc("started_at"),
    utc("completed_at"),
    count_column("duration_ms", null=True),
    json_column("summary_metrics", null=True),
    utc("created_at", null=False, default=NOW),
    *(text_column(name) for name in ("dataset_checksum", "questdb_tag", "content_hash", "code_version", "device")),
    utc("pinned_at"),
    CheckConstraint(STATUS, name="walkforward_runs_status_check"),
    Index(
        "walkforward_runs_dataset_created", "dataset_id", text("created_at DESC"), info={"about": "the runs of a dataset, the newest first"}
    ),
    Index("walkforward_runs_created", "created_at", "run_id", info={"about": "pages of runs in the order in which they were made"}),
    Index("walkforward_runs_status", "status", info={"about": "runs of one status; runs that a dead process left running"}),
    Index(
        "walkforward_runs_duration",
        text("(duration_ms::double precision)"),
        "run_id",
        info={"about": "pages of runs by how long they took"},
    ),
    *(
        Index(
            f"walkforward_runs_{name}",
            text(f"((summary_metrics #>> '{{both,{name}}}')::double precision)"),
            "run_id",
            info={"about": f"pages of runs by {name} of both sides"},
        )
        for name in ("profit_factor", "signal_sum")
    ),
    info={
        "about": "One row per walk-forward run. `run_id` is a hash of everything that determines the run, so the same request is the same "
        "row. `walk_config` and `hyperparameters` hold the resolved profile, `summary_metrics` sums and counts pooled over folds. "
        "A run with `pinned_at` is never retired by the retention policy.",
    },
)

Table(
    "walkforward_run_profiles",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("dataset_id", "profile")),
    Column(
        "run_id",
        Uuid,
        ForeignKey("walkforward_runs.run_id", name="walkforward_run_profiles_run_id_fkey", ondelete="CASCADE"),
        primary_key=True,
    ),
    utc("requested_at", null=False, default=NOW),
    Index("walkforward_run_profiles_run", "run_id", info={"about": "the profiles that asked for a run"}),
    Index(
        "walkforward_run_profiles_newest",
        "dataset_id",
        "profile",
        text("requested_at DESC"),
        info={"about": "the runs of a profile, the one requested last first"},
    ),
    info={
        "about": "Which profile of a manifest asked for which run, and when last; `NAME/baseline` is the baseline of profile NAME. The "
        "current run of a profile is the completed one on the registered content that was requested last.",
    },
)

Table(
    "walkforward_folds",
    METADATA,
    Column(
        "run_id",
        Uuid,
        ForeignKey("walkforward_runs.run_id", name="walkforward_folds_run_id_fkey", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("fold_number", BigInteger, primary_key=True, autoincrement=False),
    *(count_column(f"{part}_{edge}_idx") for part in ("train", "test") for edge in ("start", "end")),
    count_column("samples_train"),
    count_column("samples_test"),
    count_column("best_iteration", null=True),
    Column("best_score", Double),
    json_column("thresholds", null=True),
    json_column("metrics", null=True),
    *(utc(f"{part}_{edge}_ts") for part in ("train", "test") for edge in ("start", "end")),
    text_column("fold_key"),
    text_column("artifact"),
    json_column("importance", null=True),
    text_column("artifact_sha256"),
    count_column("artifact_bytes", null=True),
    text_column("validation_sha256"),
    count_column("validation_bytes", null=True),
    json_column("versions", null=True),
    text_column("pack"),
    CheckConstraint("fold_number >= 0", name="walkforward_folds_fold_number_check"),
    Index("walkforward_folds_run", "run_id", info={"about": "the folds of a run"}),
    Index("walkforward_folds_key", "fold_key", info={"about": "folds that are stored already, whichever run trained them"}),
    Index("walkforward_folds_pack", "pack", info={"about": "the folds that need a pack of models and validation cases"}),
    info={
        "about": "One row per finished fold of a run: its row ranges (half-open) and times, thresholds, metrics, importance, and SHA-256 "
        "and size of its model and validation cases. `pack` names the artifact that holds both under the fold's key; NULL if an older "
        "program kept them as two files. `fold_key` is a hash of everything that determines the fold; equal keys mean equal bits.",
    },
)
