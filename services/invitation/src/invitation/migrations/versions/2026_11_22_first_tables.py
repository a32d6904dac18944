"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.revisions import create_bus_tables

revision = "2026_11_22_first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_bus_tables()
    op.create_table(
        "apple_user",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("associated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "library_id"),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("person_version", sa.BigInteger(), nullable=False),
        sa.Column("sealed_link", postgresql.BYTEA(), nullable=True),
        sa.Column("asset_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("correlation_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(sealed_link IS NOT NULL) = (state IN ('waiting', 'sending', 'sent'))", name="link_while_open"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("invitation_by_apple_user", "invitation", ["user_id", "library_id", "id"], unique=False)
    op.create_index(
        "one_open_invitation",
        "invitation",
        ["user_id", "library_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'sending', 'sent')"),
    )
    op.create_index(
        "open_invitation_by_state",
        "invitation",
        ["state", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'sending', 'sent')"),
    )
    op.create_table(
        "person",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("has_left", sa.Boolean(), nullable=False),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("mail_address", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "NOT deleted OR (name IS NULL AND mail_address IS NULL AND locale IS NULL)", name="erased_person"
        ),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index(
        "work_by_invitation", "work", [sa.literal_column("(payload ->> 'invitation_id')")], unique=False
    )
    op.create_table(
        "invitation_step",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["invitation_id"], ["invitation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("invitation_id", "id"),
    )
