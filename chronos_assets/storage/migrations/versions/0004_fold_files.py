"""What a fold's files hold: SHA-256 and size of its model and of its validation cases, compared before anything of them is parsed."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Folds stored before have no hash: the same request trains them again and records it."""
    op.execute("""
        ALTER TABLE walkforward_folds
            ADD COLUMN artifact_sha256 text,
            ADD COLUMN artifact_bytes bigint,
            ADD COLUMN validation_sha256 text,
            ADD COLUMN validation_bytes bigint
    """)
