"""Years of nights: which profile asked for a run, which runs are pinned, and what each night came to."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE walkforward_runs ADD COLUMN IF NOT EXISTS pinned_at timestamptz",
    """
    CREATE TABLE walkforward_run_profiles (
        dataset_id text NOT NULL,
        profile text NOT NULL,
        run_id uuid NOT NULL CONSTRAINT walkforward_run_profiles_run_id_fkey
            REFERENCES walkforward_runs (run_id) ON DELETE CASCADE,
        requested_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (dataset_id, profile, run_id)
    )
    """,
    "CREATE INDEX walkforward_run_profiles_run ON walkforward_run_profiles (run_id)",
    "CREATE INDEX walkforward_run_profiles_newest ON walkforward_run_profiles (dataset_id, profile, requested_at DESC)",
    """
    CREATE TABLE nights (
        night text PRIMARY KEY,
        started_at timestamptz NOT NULL,
        completed_at timestamptz NOT NULL DEFAULT now(),
        document jsonb NOT NULL
    )
    """,
    "CREATE INDEX nights_completed ON nights (completed_at DESC)",
)


def upgrade() -> None:
    """Add the column and the two tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
