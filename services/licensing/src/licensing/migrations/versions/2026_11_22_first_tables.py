"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.revisions import create_bus_tables
from shared.tables import queue_options

revision = "2026_11_22_first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_bus_tables()
    op.create_table(
        "asset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("adam_id", sa.Text(), nullable=False),
        sa.Column("pricing_param", sa.Text(), nullable=False),
        sa.Column("is_book", sa.Boolean(), nullable=False),
        sa.Column("device_assignable", sa.Boolean(), nullable=False),
        sa.Column("revocable", sa.Boolean(), nullable=False),
        sa.Column("platforms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("adam_id", "pricing_param", name="asset_pair"),
    )
    op.create_table(
        "library",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("error_number", sa.Integer(), nullable=True),
        sa.Column("mdm_id", sa.Uuid(), nullable=False),
        sa.Column("location_name", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("website_url", sa.Text(), nullable=False),
        sa.Column("notification_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("offered_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("notified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("assets_wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("assets_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_request_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('claiming', 'active', 'suspended')", name="library_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "license",
        sa.Column("entitlement_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("arrival", sa.BigInteger(), nullable=False),
        sa.Column("no_wait", sa.Boolean(), nullable=False),
        sa.Column("intent_id", sa.Uuid(), nullable=True),
        sa.Column("held", sa.Text(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("error_number", sa.Integer(), nullable=True),
        sa.Column("settlement_id", sa.Uuid(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("intent_id IS NULL OR state IN ('reserved', 'releasing')", name="license_intent"),
        sa.CheckConstraint(
            "state IN ('waitlisted', 'reserved', 'assigned', 'releasing', 'released', 'refused')",
            name="license_state",
        ),
        sa.PrimaryKeyConstraint("entitlement_id"),
    )
    op.create_index(
        "license_by_intent",
        "license",
        ["intent_id"],
        unique=False,
        postgresql_where=sa.text("intent_id IS NOT NULL"),
    )
    op.create_index(
        "license_by_settlement",
        "license",
        ["settlement_id"],
        unique=False,
        postgresql_where=sa.text("settlement_id IS NOT NULL"),
    )
    op.create_index("license_by_target", "license", ["serial_number", "pool_id"], unique=False)
    op.create_index(
        "license_ended",
        "license",
        ["changed_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('released', 'refused')"),
    )
    op.create_index(
        "license_one_living",
        "license",
        ["pool_id", "serial_number", sa.literal_column("(state = 'releasing')")],
        unique=True,
        postgresql_where=sa.text("state IN ('waitlisted', 'reserved', 'assigned', 'releasing')"),
    )
    op.create_index(
        "license_one_unsettled_intent",
        "license",
        ["pool_id", "serial_number"],
        unique=True,
        postgresql_where=sa.text("intent_id IS NOT NULL"),
    )
    op.create_index(
        "license_waitlist",
        "license",
        ["pool_id", sa.literal_column("priority DESC"), "arrival"],
        unique=False,
        postgresql_where=sa.text("state = 'waitlisted'"),
    )
    op.create_table(
        "notification",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("covers", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("library_id", "id"),
    )
    op.create_index(
        "notification_by_event",
        "notification",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index(
        "notification_new",
        "notification",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("processed_at IS NULL"),
    )
    op.create_table(
        "settlement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("proof IN ('event', 'list', 'refusal')", name="settlement_proof"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("settlement_by_age", "settlement", ["settled_at"], unique=False, postgresql_using="brin")
    op.create_table(
        "content_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("organization_name", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "content_token_in_use",
        "content_token",
        ["library_id"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "pool",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("arrival", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("foreign_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unlimited", sa.Boolean(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.Column("apple_available", sa.Integer(), nullable=False),
        sa.Column("apple_assigned", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("list_wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("untold", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint("held >= 0", name="pool_held"),
        sa.CheckConstraint("waiting >= 0", name="pool_waiting"),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.id"],
        ),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_id", "library_id", name="pool_of_library"),
    )
    op.create_index("pool_untold", "pool", ["asset_id"], unique=False, postgresql_where=sa.text("untold"))
    op.create_table(
        "foreign_assignment",
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["pool.id"],
        ),
        sa.PrimaryKeyConstraint("pool_id", "serial_number"),
    )
    op.create_table(
        "intent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("joinable", sa.Boolean(), nullable=False),
        sa.Column("size", sa.SmallInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('associate', 'disassociate')", name="intent_kind"),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["pool.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "intent_by_event",
        "intent",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index("intent_by_pool", "intent", ["pool_id", "kind"], unique=False)
    for table in ("intent", "notification"):
        op.execute(f"ALTER TABLE {table} SET ({', '.join(queue_options())})")
