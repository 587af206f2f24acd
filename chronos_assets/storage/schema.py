"""The registry's tables as SQLAlchemy metadata: what the migrations must add up to, checked by the suite with Alembic's autogenerate."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()
_NOW = text("now()")
_STATUS = "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')"


def _utc(name: str, *, null: bool = True, default: Any = None) -> Column[Any]:
    return Column(name, TIMESTAMP(timezone=True), nullable=null, server_default=default)


def _text(name: str, *, null: bool = True) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _count(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, BigInteger, nullable=null, server_default=None if default is None else text(default))


def _json(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, JSONB, nullable=null, server_default=None if default is None else text(f"'{default}'::jsonb"))


Table(
    "indicator_datasets",
    METADATA,
    Column("dataset_id", Text, primary_key=True),
    *(_text(name, null=False) for name in ("symbol", "granularity", "source", "questdb_tag")),
    _count("row_count"),
    _utc("first_bar_ts", null=False),
    _utc("last_bar_ts", null=False),
    _utc("created_at", null=False, default=_NOW),
    _count("revision", default="1"),
    _text("checksum"),
    _text("content_hash"),
    _json("columns", default="[]"),
    _utc("updated_at", null=False, default=_NOW),
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
    *(_text(name, null=False) for name in ("dataset_id", "questdb_tag", "checksum", "mode")),
    _count("row_count"),
    _utc("first_bar_ts", null=False),
    _utc("last_bar_ts", null=False),
    _text("content_hash", null=False),
    _text("verdict", null=False),
    _json("report", default="{}"),
    _count("base_revision", default="0"),
    _utc("started_at", null=False, default=_NOW),
    _utc("completed_at"),
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
    _text("target_column", null=False),
    *(_json(name) for name in ("feature_columns", "hyperparameters", "walk_config")),
    _text("status", null=False),
    _text("requested_by"),
    _utc("started_at"),
    _utc("completed_at"),
    _count("duration_ms", null=True),
    _json("summary_metrics", null=True),
    _utc("created_at", null=False, default=_NOW),
    *(_text(name) for name in ("dataset_checksum", "questdb_tag", "content_hash", "code_version", "device")),
    _utc("pinned_at"),
    CheckConstraint(_STATUS, name="walkforward_runs_status_check"),
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
    _utc("requested_at", null=False, default=_NOW),
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
    *(_count(f"{part}_{edge}_idx") for part in ("train", "test") for edge in ("start", "end")),
    _count("samples_train"),
    _count("samples_test"),
    _count("best_iteration", null=True),
    Column("best_score", Double),
    _json("thresholds", null=True),
    _json("metrics", null=True),
    *(_utc(f"{part}_{edge}_ts") for part in ("train", "test") for edge in ("start", "end")),
    _text("fold_key"),
    _text("artifact"),
    _json("importance", null=True),
    _text("artifact_sha256"),
    _count("artifact_bytes", null=True),
    _text("validation_sha256"),
    _count("validation_bytes", null=True),
    _json("versions", null=True),
    _text("pack"),
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

Table(
    "simulation_runs",
    METADATA,
    Column("simulation_id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("walkforward_runs.run_id", name="simulation_runs_run_id_fkey"), nullable=False),
    Column(
        "dataset_id",
        Text,
        ForeignKey("indicator_datasets.dataset_id", name="simulation_runs_dataset_id_fkey"),
        nullable=False,
    ),
    _text("mode", null=False),
    _json("config"),
    _text("status", null=False),
    _utc("started_at"),
    _utc("completed_at"),
    _json("summary_metrics", null=True),
    _text("questdb_namespace"),
    _utc("created_at", null=False, default=_NOW),
    CheckConstraint(_STATUS, name="simulation_runs_status_check"),
    CheckConstraint("mode IN ('long', 'short', 'dual')", name="simulation_runs_mode_check"),
    Index("simulation_runs_run_created", "run_id", text("created_at DESC"), info={"about": "the simulations of a run, the newest first"}),
    Index(
        "simulation_runs_created",
        "created_at",
        "simulation_id",
        info={"about": "pages of simulations in the order in which they were made"},
    ),
    Index("simulation_runs_status", "status", info={"about": "simulations of one status"}),
    *(
        Index(
            f"simulation_runs_{name}",
            text(f"((summary_metrics ->> '{name}')::double precision)"),
            "simulation_id",
            info={"about": f"pages of simulations by {name}"},
        )
        for name in ("total_return_pct", "sharpe", "max_drawdown_pct", "trade_count")
    ),
    info={
        "about": "One row per simulation of a run in a mode. `simulation_id` is a hash of the run, the mode and the resolved profile "
        "(`config`). `summary_metrics` is filled when it is completed; trades and equity are in QuestDB.",
    },
)

Table(
    "simulation_trade_buckets",
    METADATA,
    Column(
        "simulation_id",
        Uuid,
        ForeignKey("simulation_runs.simulation_id", name="simulation_trade_buckets_simulation_id_fkey", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("side", Text, primary_key=True),
    _count("trade_count"),
    _count("win_count"),
    *(Column(name, Double) for name in ("profit_factor", "avg_return_pct", "max_drawdown_pct")),
    _text("notes"),
    Column("no_losses", Boolean, nullable=False, server_default=text("false")),
    info={
        "about": "Trades of a simulation summed by side (`long`, `short`). `no_losses` stands for a profit factor that would be "
        "infinite; `profit_factor` is NULL then.",
    },
)


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
    _text("target_column", null=False),
    *(_json(name) for name in ("feature_columns", "config")),
    _text("status", null=False),
    *(_text(name) for name in ("requested_by", "dagster_run_id")),
    _utc("created_at", null=False, default=_NOW),
    *(_utc(name) for name in ("started_at", "completed_at")),
    _count("duration_ms", null=True),
    *(_json(name, null=True) for name in ("progress", "summary_metrics")),
    *(_text(name) for name in ("dataset_checksum", "questdb_tag", "content_hash", "code_version", "device")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(_STATUS, name="lfs_runs_status_check"),
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
    _count("feature_no"),
    _count("selected_count", null=True),
    *(Column(name, Double) for name in ("pct", "p_solo", "p_unbiased")),
    _text("excluded"),
    info={
        "about": "One row per feature of a selection: how often it was selected, its share of the cases, its p-values by permutation, and "
        "why it was left out, if it was."
    },
)


Table(
    "walkforward_trials",
    METADATA,
    Column("run_id", Uuid, primary_key=True),
    *(_text(name, null=False) for name in ("dataset_id", "lineage", "target_column")),
    _text("content_hash"),
    _json("request"),
    _count("signals"),
    *(Column(name, Double, nullable=False) for name in ("effective_signals", "sharpe")),
    _json("series"),
    _utc("created_at", null=False, default=_NOW),
    _utc("retired_at"),
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
    *(_text(name, null=False) for name in ("dataset_id", "target")),
    _json("grid"),
    _utc("created_at", null=False, default=_NOW),
    Index("sweeps_dataset_created", "dataset_id", text("created_at DESC"), info={"about": "the sweeps of a dataset, the newest first"}),
    info={"about": "One row per sweep, written before its first run starts: the dataset, the target and the grid. Never deleted."},
)

Table(
    "sweep_runs",
    METADATA,
    Column("sweep_id", Uuid, ForeignKey("sweeps.sweep_id", name="sweep_runs_sweep_id_fkey"), primary_key=True),
    Column("run_id", Uuid, primary_key=True),
    _json("changes"),
    Index("sweep_runs_run", "run_id", info={"about": "the sweeps that asked for a run"}),
    info={"about": "Which runs a sweep asked for, and what each changed. The run may be retired meanwhile; its trial is not."},
)

Table(
    "nights",
    METADATA,
    Column("night", Text, primary_key=True),
    _utc("started_at", null=False),
    _utc("completed_at", null=False, default=_NOW),
    _json("document"),
    Index("nights_completed", text("completed_at DESC"), info={"about": "the nights, the newest first"}),
    info={
        "about": "One row per night or backfill: what each dataset came to, what did not run and why, and the size of the stores, as "
        "`chronos night` shows it (`document`).",
    },
)

Table(
    "models",
    METADATA,
    Column("model_id", Uuid, primary_key=True),
    Column(
        "dataset_id",
        Text,
        ForeignKey("indicator_datasets.dataset_id", name="models_dataset_id_fkey", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("run_id", Uuid, ForeignKey("walkforward_runs.run_id", name="models_run_id_fkey", ondelete="SET NULL")),
    _text("profile"),
    *(_json(name) for name in ("fold", "thresholds")),
    *(_utc(f"{name}_ts", null=False) for name in ("train_start", "train_end", "valid_from", "valid_until")),
    _text("sha256", null=False),
    _count("bytes"),
    _json("simulation_ids", default="[]"),
    *(_json(name) for name in ("description", "backtest")),
    _text("status", null=False),
    _text("requested_by"),
    _utc("created_at", null=False, default=_NOW),
    _utc("retired_at"),
    CheckConstraint(_STATUS, name="models_status_check"),
    Index("models_dataset_created", "dataset_id", text("created_at DESC"), info={"about": "the models of a dataset, the newest first"}),
    Index("models_run", "run_id", info={"about": "the models that continue a run"}),
    info={
        "about": "One row per model of a live fold: the fold that follows the last complete one of a run. `model_id` is a hash of "
        "everything that determines the model. `description` is what its file says of itself, `backtest` what the run and its simulations "
        "came to, `sha256` that of the file. The row stays when its run is retired: `run_id` is NULL then, and `retired_at` says when the "
        "file went.",
    },
)

Table(
    "model_aliases",
    METADATA,
    Column("change_id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "dataset_id",
        Text,
        ForeignKey("indicator_datasets.dataset_id", name="model_aliases_dataset_id_fkey", ondelete="CASCADE"),
        nullable=False,
    ),
    _text("name", null=False),
    Column("model_id", Uuid, ForeignKey("models.model_id", name="model_aliases_model_id_fkey", ondelete="CASCADE"), nullable=False),
    _text("action", null=False),
    *(_text(name) for name in ("reason", "changed_by")),
    _utc("changed_at", null=False, default=_NOW),
    CheckConstraint("action IN ('promote', 'rollback')", name="model_aliases_action_check"),
    Index(
        "model_aliases_newest",
        "dataset_id",
        "name",
        text("change_id DESC"),
        info={"about": "the changes of a name, the newest first: that one holds"},
    ),
    info={
        "about": "Which model a name (`live`) pointed to, since when, by whom and why: a row per change, none of which is ever updated. "
        "The newest row of a name holds. `rollback` takes the last `promote` back that is not taken back yet.",
    },
)


def is_ours(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """True for our tables and what belongs to them: other programs may keep theirs in the same database."""
    table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return table in METADATA.tables
