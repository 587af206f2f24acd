"""Simulations of a run and their trades by side."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Table, Text, Uuid, text

from chronos_assets.storage.postgres_schema.columns import METADATA, NOW, STATUS, count_column, json_column, text_column, utc

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
    text_column("mode", null=False),
    json_column("config"),
    text_column("status", null=False),
    utc("started_at"),
    utc("completed_at"),
    json_column("summary_metrics", null=True),
    text_column("questdb_namespace"),
    utc("created_at", null=False, default=NOW),
    CheckConstraint(STATUS, name="simulation_runs_status_check"),
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
    count_column("trade_count"),
    count_column("win_count"),
    *(Column(name, Double) for name in ("profit_factor", "avg_return_pct", "max_drawdown_pct")),
    text_column("notes"),
    Column("no_losses", Boolean, nullable=False, server_default=text("false")),
    info={
        "about": "Trades of a simulation summed by side (`long`, `short`). `no_losses` stands for a profit factor that would be "
        "infinite; `profit_factor` is NULL then.",
    },
)
