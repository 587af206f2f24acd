"""Local Feature Selections: one row per request, one row per feature."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE lfs_runs (
        lfs_id uuid PRIMARY KEY,
        dataset_id text NOT NULL CONSTRAINT lfs_runs_dataset_id_fkey REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE,
        target_column text NOT NULL,
        feature_columns jsonb NOT NULL,
        config jsonb NOT NULL,
        status text NOT NULL CONSTRAINT lfs_runs_status_check
            CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
        requested_by text,
        dagster_run_id text,
        created_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        completed_at timestamptz,
        duration_ms bigint,
        progress jsonb,
        summary_metrics jsonb,
        dataset_checksum text,
        questdb_tag text,
        content_hash text,
        code_version text,
        device text,
        cancel_requested boolean NOT NULL DEFAULT false
    )
    """,
    "CREATE INDEX lfs_runs_dataset_created ON lfs_runs (dataset_id, created_at DESC)",
    """
    CREATE TABLE lfs_features (
        lfs_id uuid NOT NULL CONSTRAINT lfs_features_lfs_id_fkey REFERENCES lfs_runs (lfs_id) ON DELETE CASCADE,
        feature text NOT NULL,
        feature_no bigint NOT NULL,
        selected_count bigint,
        pct double precision,
        p_solo double precision,
        p_unbiased double precision,
        excluded text,
        PRIMARY KEY (lfs_id, feature)
    )
    """,
)


def upgrade() -> None:
    """Create both tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
