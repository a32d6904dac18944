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
    _create_libraries()
    _create_pools()
    _create_ledger()
    _create_people()
    _create_reconciliations()
    for table in ("intent", "notification", "listed_assignment"):
        op.execute(f"ALTER TABLE {table} SET ({', '.join(queue_options())})")


def _create_libraries() -> None:
    op.create_table(
        "library",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("error_number", sa.Integer(), nullable=True),
        sa.Column("rights", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("mdm_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fenced_id", sa.Text(), nullable=True),
        sa.Column("fenced_name", sa.Text(), nullable=True),
        sa.Column("fenced_metadata", sa.Text(), nullable=True),
        sa.Column("fenced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("location_name", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("website_url", sa.Text(), nullable=False),
        sa.Column("notification_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("offered_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("notified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("assets_wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("assets_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_request_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slowness", sa.Double(), server_default="1", nullable=False),
        sa.Column("preference", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reclaim", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("repairs", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('claiming', 'active', 'suspended', 'fenced')", name="library_state"),
        sa.CheckConstraint("rights IN ('unknown', 'read_only', 'full')", name="library_rights"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "malformed_notification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "notification",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=True),
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
        "content_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("organization_name", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_rung", sa.SmallInteger(), nullable=True),
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


def _create_pools() -> None:
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
        "pool",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("arrival", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("foreign_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("preferred", sa.Boolean(), server_default=sa.text("false"), nullable=False),
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
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("of_people", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["pool.id"],
        ),
        sa.PrimaryKeyConstraint("pool_id", "holder", "of_people"),
    )


def _create_ledger() -> None:
    op.create_table(
        "license",
        sa.Column("entitlement_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("arrival", sa.BigInteger(), nullable=False),
        sa.Column("no_wait", sa.Boolean(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("intent_id", sa.Uuid(), nullable=True),
        sa.Column("held", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("error_number", sa.Integer(), nullable=True),
        sa.Column("settlement_id", sa.Uuid(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("intent_id IS NULL OR state IN ('reserved', 'releasing')", name="license_intent"),
        sa.CheckConstraint("num_nonnulls(serial_number, user_id) = 1", name="license_holder"),
        sa.CheckConstraint(
            "state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing', 'released',"
            " 'refused', 'failed', 'lost', 'spent')",
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
    op.create_index(
        "license_ended",
        "license",
        ["changed_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('released', 'refused', 'failed', 'lost')"),
    )
    op.create_index(
        "license_expiring",
        "license",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waitlisted' AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "license_in_quarantine",
        "license",
        ["release_at"],
        unique=False,
        postgresql_where=sa.text("state = 'releasing' AND release_at IS NOT NULL"),
    )
    op.create_index(
        "license_by_device",
        "license",
        ["serial_number", "asset_id"],
        unique=False,
        postgresql_where=sa.text("serial_number IS NOT NULL"),
    )
    op.create_index(
        "license_one_living_of_device",
        "license",
        ["serial_number", "asset_id", sa.literal_column("(state = 'releasing')")],
        unique=True,
        postgresql_where=sa.text(
            "state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing')"
            " AND serial_number IS NOT NULL"
        ),
    )
    op.create_index(
        "license_one_unsettled_intent_of_device",
        "license",
        ["serial_number", "pool_id"],
        unique=True,
        postgresql_where=sa.text("intent_id IS NOT NULL AND serial_number IS NOT NULL"),
    )
    op.create_index(
        "license_by_person",
        "license",
        ["user_id", "asset_id"],
        unique=False,
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_index(
        "license_one_living_of_person",
        "license",
        ["user_id", "asset_id", sa.literal_column("(state = 'releasing')")],
        unique=True,
        postgresql_where=sa.text(
            "state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing')"
            " AND user_id IS NOT NULL"
        ),
    )
    op.create_index(
        "license_one_unsettled_intent_of_person",
        "license",
        ["user_id", "pool_id"],
        unique=True,
        postgresql_where=sa.text("intent_id IS NOT NULL AND user_id IS NOT NULL"),
    )
    op.create_index(
        "license_waitlist",
        "license",
        ["pool_id", sa.literal_column("priority DESC"), "arrival"],
        unique=False,
        postgresql_where=sa.text("state = 'waitlisted'"),
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
        "intent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("of_people", sa.Boolean(), nullable=False),
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


def _create_people() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("wanted_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mail_address", postgresql.BYTEA(), nullable=True),
        sa.Column("managed_apple_id", postgresql.BYTEA(), nullable=True),
        sa.Column("managed_digest", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "state <> 'deleted' OR num_nonnulls(mail_address, managed_apple_id, managed_digest) = 0",
            name="person_erased",
        ),
        sa.CheckConstraint("state IN ('unheard', 'active', 'left', 'deleted')", name="person_state"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index(
        "person_by_account",
        "person",
        ["managed_digest"],
        unique=False,
        postgresql_where=sa.text("managed_digest IS NOT NULL"),
    )
    op.create_index(
        "person_gone",
        "person",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('left', 'deleted')"),
    )
    op.create_table(
        "digest_key",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=False),
        sa.CheckConstraint("id = 1", name="digest_key_single"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "apple_user",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("client_user_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wants", sa.Text(), nullable=True),
        sa.Column("again", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("part_id", sa.Uuid(), nullable=True),
        sa.Column("write_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("without_mail", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("without_managed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("invite_due", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("invited_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ask_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("error_number", sa.Integer(), nullable=True),
        sa.Column("correlation_id", sa.Uuid(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('new', 'registered', 'associated', 'failed', 'retired')", name="apple_user_state"
        ),
        sa.CheckConstraint("wants IN ('create', 'update', 'retire')", name="apple_user_wants"),
        sa.CheckConstraint("write_id IS NULL OR wants IS NOT NULL", name="apple_user_write"),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["person.user_id"],
        ),
        sa.PrimaryKeyConstraint("library_id", "user_id"),
        sa.UniqueConstraint("library_id", "client_user_id", name="apple_user_at_apple"),
    )
    op.create_index(
        "apple_user_asked",
        "apple_user",
        ["ask_at"],
        unique=False,
        postgresql_where=sa.text("invited_at IS NOT NULL"),
    )
    op.create_index("apple_user_by_person", "apple_user", ["user_id"], unique=False)
    op.create_index(
        "apple_user_by_write",
        "apple_user",
        ["write_id"],
        unique=False,
        postgresql_where=sa.text("write_id IS NOT NULL"),
    )
    op.create_index(
        "apple_user_registered",
        "apple_user",
        ["library_id"],
        unique=False,
        postgresql_where=sa.text("state = 'registered'"),
    )
    op.create_index(
        "apple_user_uninvited",
        "apple_user",
        ["library_id", "user_id"],
        unique=False,
        postgresql_where=sa.text("invite_due"),
    )
    op.create_index(
        "apple_user_wanted",
        "apple_user",
        ["library_id", "wants", "changed_at"],
        unique=False,
        postgresql_where=sa.text("wants IS NOT NULL AND write_id IS NULL"),
    )
    op.create_table(
        "apple_user_record",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("client_user_id", sa.Text(), nullable=False),
        sa.Column("id_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("invite_code", postgresql.BYTEA(), nullable=True),
        sa.Column("invite_hash", postgresql.BYTEA(), nullable=True),
        sa.Column("reading", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("library_id", "client_user_id", "id_hash"),
    )
    op.create_index(
        "apple_user_record_by_account",
        "apple_user_record",
        ["id_hash"],
        unique=False,
        postgresql_where=sa.text("id_hash <> ''"),
    )
    op.create_index(
        "apple_user_record_by_reading", "apple_user_record", ["library_id", "reading"], unique=False
    )
    op.create_table(
        "user_write",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("kind IN ('create', 'update', 'retire')", name="user_write_kind"),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "user_write_by_event",
        "user_write",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index("user_write_by_library", "user_write", ["library_id"], unique=False)
    op.create_index("user_write_by_work", "user_write", ["work_id"], unique=True)
    op.create_table(
        "user_reading",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version_id", sa.Text(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("library_id"),
    )


def _create_reconciliations() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pools", sa.Integer(), server_default="0", nullable=False),
        sa.Column("inexact", sa.Integer(), server_default="0", nullable=False),
        sa.Column("listed", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('reading', 'ended')", name="reconciliation_state"),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["library.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "reconciliation_under_way",
        "reconciliation",
        ["library_id"],
        unique=True,
        postgresql_where=sa.text("state = 'reading'"),
    )
    op.create_table(
        "listed_assignment",
        sa.Column("reading_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("of_people", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reading_id", "pool_id", "of_people", "holder"),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "difference",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reconciliation_id", sa.Uuid(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("of_people", sa.Boolean(), nullable=False),
        sa.Column("entitlement_id", sa.Uuid(), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("apples", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "class IN ('foreign', 'taken', 'lost_message', 'our_fault', 'counts')", name="difference_class"
        ),
        sa.CheckConstraint("state IN ('open', 'applied', 'gone', 'ignored')", name="difference_state"),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("difference_of_reconciliation", "difference", ["reconciliation_id", "id"], unique=False)
    op.create_index(
        "difference_open",
        "difference",
        ["reconciliation_id", "pool_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
