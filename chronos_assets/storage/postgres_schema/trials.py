"""What was tried: trials and sweeps, which are never deleted."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Index, Table, Uuid, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, count_column, json_column, text_column, utc

Table(
    "walkforward_trials",
    METADATA,
    Column("run_id", Uuid, primary_key=True),
    *(text_column(name, null=False) for name in ("dataset_id", "lineage", "target_column")),
    text_column("content_hash"),
    json_column("request"),
    count_column("signals"),
    *(Column(name, Double, nullable=False) for name in ("effective_signals", "sharpe")),
    json_column("series"),
    utc("created_at", null=False, default=NOW),
    utc("retired_at"),
    Index(
        "walkforward_trials_lineage",
        "lineage",
        "target_column",
        text("created_at DESC"),
        info={"about": "all trials on a lineage (a dataset in all its versions) and target, which a deflated Sharpe ratio counts"},
    ),
    info={
        "about": "One row per walk-forward run that has shown numbers: what was asked for, how its signals did, their returns summed in "
        "buckets of time. It stays when the run is retired: a trial that was looked at counts for ever.",
    },
)

Table(
    "sweeps",
    METADATA,
    Column("sweep_id", Uuid, primary_key=True),
    *(text_column(name, null=False) for name in ("dataset_id", "target")),
    json_column("grid"),
    utc("created_at", null=False, default=NOW),
    Index("sweeps_dataset_created", "dataset_id", text("created_at DESC"), info={"about": "the sweeps of a dataset, the newest first"}),
    info={"about": "One row per sweep, written before its first run starts: the dataset, the target and the grid. Never deleted."},
)

Table(
    "sweep_runs",
    METADATA,
    Column("sweep_id", Uuid, ForeignKey("sweeps.sweep_id", name="sweep_runs_sweep_id_fkey"), primary_key=True),
    Column("run_id", Uuid, primary_key=True),
    json_column("changes"),
    Index("sweep_runs_run", "run_id", info={"about": "the sweeps that asked for a run"}),
    info={"about": "Which runs a sweep asked for, and what each changed. The run may be retired meanwhile; its trial is not."},
)
