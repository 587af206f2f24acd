"""What makes the tables trustworthy: revision and content of a dataset, audits, identity of runs and folds, rules as CHECKs."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # Rows of the first schema have no checksum or content hash: they stay readable, and the next export writes both.
    """
    ALTER TABLE indicator_datasets
        ADD COLUMN revision bigint NOT NULL DEFAULT 1,
        ADD COLUMN checksum text,
        ADD COLUMN content_hash text,
        ADD COLUMN columns jsonb NOT NULL DEFAULT '[]'::jsonb,
        ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
        ADD CONSTRAINT indicator_datasets_revision_check CHECK (revision >= 1),
        ADD CONSTRAINT indicator_datasets_row_count_check CHECK (row_count >= 0),
        ADD CONSTRAINT indicator_datasets_range_check CHECK (first_bar_ts <= last_bar_ts)
    """,
    """
    CREATE TABLE export_audits (
        audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dataset_id text NOT NULL,
        questdb_tag text NOT NULL,
        checksum text NOT NULL,
        mode text NOT NULL CONSTRAINT export_audits_mode_check CHECK (mode IN ('full', 'sample')),
        row_count bigint NOT NULL CONSTRAINT export_audits_row_count_check CHECK (row_count >= 0),
        first_bar_ts timestamptz NOT NULL,
        last_bar_ts timestamptz NOT NULL,
        content_hash text NOT NULL,
        verdict text NOT NULL CONSTRAINT export_audits_verdict_check CHECK (verdict IN ('running', 'passed', 'failed')),
        report jsonb NOT NULL DEFAULT '{}'::jsonb,
        base_revision bigint NOT NULL DEFAULT 0,
        started_at timestamptz NOT NULL DEFAULT now(),
        completed_at timestamptz,
        CONSTRAINT export_audits_completed_check CHECK ((verdict = 'running') = (completed_at IS NULL))
    )
    """,
    "CREATE INDEX export_audits_dataset ON export_audits (dataset_id, audit_id DESC)",
    "CREATE INDEX export_audits_tag ON export_audits (questdb_tag, audit_id DESC)",
    """
    ALTER TABLE walkforward_runs
        ADD COLUMN dataset_checksum text,
        ADD COLUMN questdb_tag text,
        ADD COLUMN content_hash text,
        ADD COLUMN code_version text,
        ADD COLUMN device text
    """,
    """
    ALTER TABLE walkforward_folds
        ADD COLUMN train_start_ts timestamptz,
        ADD COLUMN train_end_ts timestamptz,
        ADD COLUMN test_start_ts timestamptz,
        ADD COLUMN test_end_ts timestamptz,
        ADD COLUMN fold_key text,
        ADD COLUMN artifact text,
        ADD CONSTRAINT walkforward_folds_fold_number_check CHECK (fold_number >= 0)
    """,
    "CREATE INDEX walkforward_folds_key ON walkforward_folds (fold_key)",
    "ALTER TABLE simulation_runs ADD CONSTRAINT simulation_runs_mode_check CHECK (mode IN ('long', 'short', 'dual'))",
    "ALTER TABLE simulation_trade_buckets ADD COLUMN no_losses boolean NOT NULL DEFAULT false",
)


def upgrade() -> None:
    """Add columns, audits, indexes and rules."""
    for statement in _STATEMENTS:
        op.execute(statement)
