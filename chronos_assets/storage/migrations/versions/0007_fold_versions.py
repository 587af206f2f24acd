"""Versions of the process that trained a fold: training code, learner, libraries, digest of the sources."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; folds stored before have none."""
    op.execute("ALTER TABLE walkforward_folds ADD COLUMN versions jsonb")
