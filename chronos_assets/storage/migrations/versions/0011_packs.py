"""Models and validation cases of folds in packs: which pack holds those of a fold."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index. Folds that are stored already keep their files."""
    op.execute("ALTER TABLE walkforward_folds ADD COLUMN pack text")
    op.execute("CREATE INDEX walkforward_folds_pack ON walkforward_folds (pack)")
