"""Models of the live fold, and the names that point to them."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE models (
        model_id uuid PRIMARY KEY,
        dataset_id text NOT NULL CONSTRAINT models_dataset_id_fkey REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE,
        run_id uuid CONSTRAINT models_run_id_fkey REFERENCES walkforward_runs (run_id) ON DELETE SET NULL,
        profile text,
        fold jsonb NOT NULL,
        thresholds jsonb NOT NULL,
        train_start_ts timestamptz NOT NULL,
        train_end_ts timestamptz NOT NULL,
        valid_from_ts timestamptz NOT NULL,
        valid_until_ts timestamptz NOT NULL,
        sha256 text NOT NULL,
        bytes bigint NOT NULL,
        simulation_ids jsonb NOT NULL DEFAULT '[]'::jsonb,
        description jsonb NOT NULL,
        backtest jsonb NOT NULL,
        status text NOT NULL,
        requested_by text,
        created_at timestamptz NOT NULL DEFAULT now(),
        retired_at timestamptz,
        CONSTRAINT models_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled'))
    )
    """,
    "CREATE INDEX models_dataset_created ON models (dataset_id, created_at DESC)",
    "CREATE INDEX models_run ON models (run_id)",
    """
    CREATE TABLE model_aliases (
        change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dataset_id text NOT NULL
            CONSTRAINT model_aliases_dataset_id_fkey REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE,
        name text NOT NULL,
        model_id uuid NOT NULL CONSTRAINT model_aliases_model_id_fkey REFERENCES models (model_id) ON DELETE CASCADE,
        action text NOT NULL,
        reason text,
        changed_by text,
        changed_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT model_aliases_action_check CHECK (action IN ('promote', 'rollback'))
    )
    """,
    "CREATE INDEX model_aliases_newest ON model_aliases (dataset_id, name, change_id DESC)",
)


def upgrade() -> None:
    """Add both tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
