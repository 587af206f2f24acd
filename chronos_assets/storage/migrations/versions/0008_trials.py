"""What was tried: every run as a trial that outlives it, and sweeps with the runs they asked for. No row here is ever deleted."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # No foreign keys to runs and datasets: a trial stays when they are retired.
    """
    CREATE TABLE walkforward_trials (
        run_id uuid PRIMARY KEY,
        dataset_id text NOT NULL,
        lineage text NOT NULL,
        target_column text NOT NULL,
        content_hash text,
        request jsonb NOT NULL,
        signals bigint NOT NULL,
        effective_signals double precision NOT NULL,
        sharpe double precision NOT NULL,
        series jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        retired_at timestamptz
    )
    """,
    "CREATE INDEX walkforward_trials_lineage ON walkforward_trials (lineage, target_column, created_at DESC)",
    """
    CREATE TABLE sweeps (
        sweep_id uuid PRIMARY KEY,
        dataset_id text NOT NULL,
        target text NOT NULL,
        grid jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX sweeps_dataset_created ON sweeps (dataset_id, created_at DESC)",
    """
    CREATE TABLE sweep_runs (
        sweep_id uuid NOT NULL CONSTRAINT sweep_runs_sweep_id_fkey REFERENCES sweeps (sweep_id),
        run_id uuid NOT NULL,
        changes jsonb NOT NULL,
        PRIMARY KEY (sweep_id, run_id)
    )
    """,
    "CREATE INDEX sweep_runs_run ON sweep_runs (run_id)",
)


def upgrade() -> None:
    """Create the three tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
