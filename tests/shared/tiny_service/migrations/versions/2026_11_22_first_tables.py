"""First tables."""

from alembic import op

from tests.shared.conftest import METADATA

revision = "2026_11_22_first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    METADATA.create_all(op.get_bind())
