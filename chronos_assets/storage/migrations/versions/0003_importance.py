"""Feature importance of a fold, as sums that can be pooled: total gain and splits per feature, |SHAP| over the test rows."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; folds stored before have none."""
    op.execute("ALTER TABLE walkforward_folds ADD COLUMN importance jsonb")
