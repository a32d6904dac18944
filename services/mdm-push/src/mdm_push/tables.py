"""This service's tables. What is read while it is open is indexed only while it is open.

Hot tables carry no foreign keys: their writers hold the enrollment's row, and nothing they refer to is deleted.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from shared.tables import bus_tables

metadata = sa.MetaData()

_TIME = sa.DateTime(timezone=True)

enrollments = sa.Table(
    "enrollments",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("parent_id", sa.Uuid, sa.ForeignKey("enrollments.id")),
    sa.Column("apple_id", sa.Text, nullable=False, unique=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("os_version", sa.Text, nullable=False),
    sa.Column("supervised", sa.Boolean, nullable=False),
    sa.Column("serial_number", sa.Text),
    sa.Column("product_name", sa.Text),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("push_token", pg.BYTEA),  # sealed, like the next three
    sa.Column("push_magic", pg.BYTEA),
    sa.Column("unlock_token", pg.BYTEA),
    sa.Column("bootstrap_token", pg.BYTEA),
    sa.Column("token_updated_at", _TIME),
    sa.Column("questioned_at", _TIME),  # when the device was last asked about itself
    sa.Column("awaiting_configuration", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("enrolled_at", _TIME),
    sa.Column("unenrolled_at", _TIME),
    sa.Index("enrollments_by_serial", "serial_number"),
    sa.Index("enrollments_by_parent", "parent_id", postgresql_where=sa.text("parent_id IS NOT NULL")),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("certificate_hash", pg.BYTEA, primary_key=True),  # SHA-256 over the DER certificate
    sa.Column("enrollment_id", sa.Uuid, sa.ForeignKey("enrollments.id"), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("not_after", _TIME, nullable=False),
    sa.Column("bound_at", _TIME, nullable=False),
    sa.Index("identities_by_enrollment", "enrollment_id"),
)

wishes = sa.Table(
    "wishes",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("delivery_id", sa.Uuid, nullable=False),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("entitlement_id", sa.Uuid, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("enrollment_id", sa.Uuid, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("adam_id", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("causation_id", sa.Uuid, nullable=False),
    sa.Column("owed", sa.Boolean, nullable=False),
    sa.Column("tries", sa.SmallInteger, nullable=False),
    sa.Column("checks", sa.SmallInteger, nullable=False),
    sa.Column("verify_until", _TIME),
    sa.Column("cause", sa.Text),
    sa.Column("error_domain", sa.Text),
    sa.Column("error_code", sa.BigInteger),
    sa.Column("was", sa.Text),
    sa.Column("asked_at", _TIME, nullable=False),
    sa.Column("changed_at", _TIME, nullable=False),
    sa.UniqueConstraint("delivery_id", "intent", name="wishes_one_per_intent"),
    sa.Index(
        "wishes_one_active",
        "enrollment_id",
        "asset_id",
        unique=True,
        postgresql_where=sa.text("state IN ('commanded', 'verifying')"),
    ),
    sa.Index(
        "wishes_one_waiting",
        "enrollment_id",
        "asset_id",
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    ),
    sa.Index("wishes_by_pair", "enrollment_id", "asset_id", "delivery_id"),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # a uuid7: the queue is in the order of ids
    sa.Column("enrollment_id", sa.Uuid, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("wish_id", sa.Uuid),
    sa.Column("request_type", sa.Text, nullable=False),
    sa.Column("arguments", pg.JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("due_at", _TIME, nullable=False),
    sa.Column("wake_at", _TIME, nullable=False),  # when the device is to be woken for it, if it does not come
    sa.Column("handed_out_at", _TIME),
    sa.Column("hand_outs", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_now_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("finished_at", _TIME),
    sa.Column("error_domain", sa.Text),
    sa.Column("error_code", sa.BigInteger),
    sa.Index("commands_open", "enrollment_id", "id", postgresql_where=sa.text("finished_at IS NULL")),
    sa.Index("commands_open_by_wish", "wish_id", postgresql_where=sa.text("finished_at IS NULL")),
    sa.Index("commands_finished", "finished_at", postgresql_where=sa.text("finished_at IS NOT NULL")),
)

apps = sa.Table(
    "apps",
    metadata,
    sa.Column("enrollment_id", sa.Uuid, primary_key=True),
    sa.Column("asset_id", sa.Uuid, primary_key=True),
    sa.Column("present", sa.Boolean, nullable=False),
    sa.Column("identifier", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("changed_at", _TIME, nullable=False),
    sa.Index("apps_named", "asset_id", postgresql_where=sa.text("identifier IS NOT NULL")),
)

push_state = sa.Table(
    "push_state",
    metadata,
    sa.Column("enrollment_id", sa.Uuid, primary_key=True),
    sa.Column("next_push_at", _TIME),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),  # fences what a push writes back
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("problem", sa.Text),
    sa.Column("dead", sa.Boolean, nullable=False, server_default="false"),  # Apple refused the token for good
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("last_push_at", _TIME),
    sa.Column("last_seen_at", _TIME),
    sa.Index(
        "push_state_due",
        "next_push_at",
        postgresql_where=sa.text("next_push_at IS NOT NULL AND NOT dead"),
    ),
)

push_certificates = sa.Table(
    "push_certificates",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # a uuid7: the newest of a topic is the one in use
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("certificate_pem", pg.BYTEA, nullable=False),
    sa.Column("private_key", pg.BYTEA, nullable=False),  # sealed
    sa.Column("apple_account", sa.Text),
    sa.Column("not_before", _TIME, nullable=False),
    sa.Column("not_after", _TIME, nullable=False),
    sa.Column("stored_by", sa.Text, nullable=False),
    sa.Column("stored_at", _TIME, nullable=False),
    sa.Column("days_told", sa.SmallInteger),  # the last expiry warning that was told
    sa.Index("push_certificates_by_topic", "topic", "id"),
)

bus_tables(metadata)
