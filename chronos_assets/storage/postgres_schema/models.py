"""Models of live folds and the names that point to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, Table, Text, Uuid, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, STATUS, count_column, json_column, text_column, utc

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
    text_column("profile"),
    *(json_column(name) for name in ("fold", "thresholds")),
    *(utc(f"{name}_ts", null=False) for name in ("train_start", "train_end", "valid_from", "valid_until")),
    text_column("sha256", null=False),
    count_column("bytes"),
    json_column("simulation_ids", default="[]"),
    *(json_column(name) for name in ("description", "backtest")),
    text_column("status", null=False),
    text_column("requested_by"),
    utc("created_at", null=False, default=NOW),
    utc("retired_at"),
    CheckConstraint(STATUS, name="models_status_check"),
    Index("models_dataset_created", "dataset_id", text("created_at DESC"), info={"about": "the models of a dataset, the newest first"}),
    Index("models_run", "run_id", info={"about": "the models that continue a run"}),
    info={
        "about": "One row per model of a live fold: the fold that follows the last complete one of a run. `model_id` is a hash of "
        "everything that determines the model. `description` is what its file says of itself, `backtest` what the run and its simulations "
        "came to, `sha256` that of the file. When its run is retired the row stays, with `run_id` NULL, and `retired_at` says when the "
        "file went: for good if a name ever stood for the model, else for the months of the retention policy.",
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
    text_column("name", null=False),
    Column("model_id", Uuid, ForeignKey("models.model_id", name="model_aliases_model_id_fkey", ondelete="CASCADE"), nullable=False),
    text_column("action", null=False),
    *(text_column(name) for name in ("reason", "changed_by")),
    utc("changed_at", null=False, default=NOW),
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
