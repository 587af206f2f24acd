"""The five tables as they were first agreed on: datasets, walk-forward runs and folds, simulations and their buckets.

Tables that somebody made by hand to the same agreement are taken as they are; the next step brings them forward.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUS = "CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled'))"

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS indicator_datasets (
        dataset_id text PRIMARY KEY,
        symbol text NOT NULL,
        granularity text NOT NULL,
        source text NOT NULL,
        questdb_tag text NOT NULL,
        row_count bigint NOT NULL,
        first_bar_ts timestamptz NOT NULL,
        last_bar_ts timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    f"""
    CREATE TABLE IF NOT EXISTS walkforward_runs (
        run_id uuid PRIMARY KEY,
        dataset_id text NOT NULL CONSTRAINT walkforward_runs_dataset_id_fkey REFERENCES indicator_datasets (dataset_id),
        target_column text NOT NULL,
        feature_columns jsonb NOT NULL,
        hyperparameters jsonb NOT NULL,
        walk_config jsonb NOT NULL,
        status text NOT NULL CONSTRAINT walkforward_runs_status_check {_STATUS},
        requested_by text,
        started_at timestamptz,
        completed_at timestamptz,
        duration_ms bigint,
        summary_metrics jsonb,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS walkforward_folds (
        run_id uuid NOT NULL CONSTRAINT walkforward_folds_run_id_fkey REFERENCES walkforward_runs (run_id) ON DELETE CASCADE,
        fold_number bigint NOT NULL,
        train_start_idx bigint NOT NULL,
        train_end_idx bigint NOT NULL,
        test_start_idx bigint NOT NULL,
        test_end_idx bigint NOT NULL,
        samples_train bigint NOT NULL,
        samples_test bigint NOT NULL,
        best_iteration bigint,
        best_score double precision,
        thresholds jsonb,
        metrics jsonb,
        PRIMARY KEY (run_id, fold_number)
    )
    """,
    f"""
    CREATE TABLE IF NOT EXISTS simulation_runs (
        simulation_id uuid PRIMARY KEY,
        run_id uuid NOT NULL CONSTRAINT simulation_runs_run_id_fkey REFERENCES walkforward_runs (run_id),
        dataset_id text NOT NULL CONSTRAINT simulation_runs_dataset_id_fkey REFERENCES indicator_datasets (dataset_id),
        mode text NOT NULL,
        config jsonb NOT NULL,
        status text NOT NULL CONSTRAINT simulation_runs_status_check {_STATUS},
        started_at timestamptz,
        completed_at timestamptz,
        summary_metrics jsonb,
        questdb_namespace text,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS simulation_trade_buckets (
        simulation_id uuid NOT NULL
            CONSTRAINT simulation_trade_buckets_simulation_id_fkey REFERENCES simulation_runs (simulation_id) ON DELETE CASCADE,
        side text NOT NULL,
        trade_count bigint NOT NULL,
        win_count bigint NOT NULL,
        profit_factor double precision,
        avg_return_pct double precision,
        max_drawdown_pct double precision,
        notes text,
        PRIMARY KEY (simulation_id, side)
    )
    """,
)
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS walkforward_runs_dataset_created ON walkforward_runs (dataset_id, created_at DESC)",
    "CREATE INDEX IF NOT EXISTS simulation_runs_run_created ON simulation_runs (run_id, created_at DESC)",
    "CREATE INDEX IF NOT EXISTS walkforward_folds_run ON walkforward_folds (run_id)",
)


def upgrade() -> None:
    """Create what is not there."""
    for statement in (*_TABLES, *_INDEXES):
        op.execute(statement)
