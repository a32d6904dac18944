"""The tables of licensing and their constraints."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from shared.tables import bus_tables

metadata = sa.MetaData()
bus_tables(metadata)

_TIME = sa.DateTime(timezone=True)

library = sa.Table(
    "library",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # Apple's uId
    sa.Column("state", sa.Text, nullable=False),  # claiming, active, suspended
    sa.Column("cause", sa.Text),  # why it is suspended or cannot be claimed, as a slug
    sa.Column("error_number", sa.Integer),
    sa.Column("mdm_id", sa.Uuid, nullable=False),  # mdmInfo.id: per installation and library
    sa.Column("location_name", sa.Text, nullable=False),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("website_url", sa.Text, nullable=False),
    sa.Column("notification_hash", pg.BYTEA),  # of the secret that Apple confirmed
    sa.Column("offered_hash", pg.BYTEA),  # of the one it is being told: live before the call
    sa.Column("notified", sa.Boolean, nullable=False, server_default=sa.false()),  # Apple reaches us
    sa.Column("assets_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("assets_read_at", _TIME),
    sa.Column("next_request_at", _TIME),  # the request budget: when the next one may leave
    sa.Column("created_at", _TIME, nullable=False),
    sa.CheckConstraint("state IN ('claiming', 'active', 'suspended')", name="library_state"),
)

content_token = sa.Table(
    "content_token",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("sealed", pg.BYTEA, nullable=False),
    sa.Column("organization_name", sa.Text, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
    sa.Column("replaced_at", _TIME),  # by a newer token of the same library
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Index(
        "content_token_in_use",
        "library_id",
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    ),
)

asset = sa.Table(
    "asset",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("adam_id", sa.Text, nullable=False),
    sa.Column("pricing_param", sa.Text, nullable=False),
    sa.Column("is_book", sa.Boolean, nullable=False),
    sa.Column("device_assignable", sa.Boolean, nullable=False),
    sa.Column("revocable", sa.Boolean, nullable=False),
    sa.Column("platforms", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),  # of the last AssetChanged
    sa.UniqueConstraint("adam_id", "pricing_param", name="asset_pair"),
)

pool = sa.Table(
    "pool",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("asset_id", sa.Uuid, sa.ForeignKey("asset.id"), nullable=False),
    # The ledger: counts of our own rows, kept with them in one transaction (promise 1).
    sa.Column("held", sa.Integer, nullable=False, server_default="0"),
    sa.Column("waiting", sa.Integer, nullable=False, server_default="0"),
    sa.Column("arrival", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("foreign_count", sa.Integer, nullable=False, server_default="0"),
    # Apple's reading, kept beside it.
    sa.Column("unlimited", sa.Boolean, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("retired", sa.Integer, nullable=False),
    sa.Column("apple_available", sa.Integer, nullable=False),
    sa.Column("apple_assigned", sa.Integer, nullable=False),
    sa.Column("read_at", _TIME, nullable=False),
    sa.Column("list_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("listed_at", _TIME),
    sa.Column("untold", sa.Boolean, nullable=False, server_default=sa.true()),  # AssetChanged is due
    sa.UniqueConstraint("asset_id", "library_id", name="pool_of_library"),
    sa.CheckConstraint("held >= 0", name="pool_held"),
    sa.CheckConstraint("waiting >= 0", name="pool_waiting"),
    sa.Index("pool_untold", "asset_id", postgresql_where=sa.text("untold")),
)

foreign_assignment = sa.Table(
    "foreign_assignment",  # devices that hold a licence at Apple and have no row here: another hand gave it
    metadata,
    sa.Column("pool_id", sa.Uuid, sa.ForeignKey("pool.id"), primary_key=True),
    sa.Column("serial_number", sa.Text, primary_key=True),
)

intent = sa.Table(
    "intent",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("pool_id", sa.Uuid, sa.ForeignKey("pool.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("joinable", sa.Boolean, nullable=False),  # others may still be added: unsent, first attempt
    sa.Column("size", sa.SmallInteger, nullable=False),
    sa.Column("sent_at", _TIME),
    sa.Column("event_id", sa.Text),
    sa.Column("ended_at", _TIME),
    sa.Column("failures", pg.JSONB),
    sa.Column("work_id", sa.Uuid),
    sa.Column("created_at", _TIME, nullable=False),
    sa.CheckConstraint("kind IN ('associate', 'disassociate')", name="intent_kind"),
    sa.Index("intent_by_pool", "pool_id", "kind"),
    sa.Index("intent_by_event", "event_id", postgresql_where=sa.text("event_id IS NOT NULL")),
)

settlement = sa.Table(
    "settlement",  # what became of a request to Apple: the proof of each licence that was given or taken back
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # the intent's
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text),  # Apple's; none where the answer was lost, or was a refusal
    sa.Column("proof", sa.Text, nullable=False),
    sa.Column("sent_at", _TIME),
    sa.Column("settled_at", _TIME, nullable=False),
    sa.CheckConstraint("proof IN ('event', 'list', 'refusal')", name="settlement_proof"),
    sa.Index("settlement_by_age", "settled_at", postgresql_using="brin"),
)

license_ = sa.Table(
    "license",
    metadata,
    sa.Column("entitlement_id", sa.Uuid, primary_key=True),
    sa.Column("pool_id", sa.Uuid),  # null where nothing was ever held: no pool, or a release of the unknown
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("serial_number", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("arrival", sa.BigInteger, nullable=False),
    sa.Column("no_wait", sa.Boolean, nullable=False),
    sa.Column("intent_id", sa.Uuid),  # the unsettled request to Apple that this licence is part of
    sa.Column("held", sa.Text),  # what a release found
    sa.Column("refusal", sa.Text),
    sa.Column("error_number", sa.Integer),
    sa.Column("settlement_id", sa.Uuid),  # the last request to Apple about it whose outcome is known
    sa.Column("changed_at", _TIME, nullable=False),
    sa.CheckConstraint(
        "state IN ('waitlisted', 'reserved', 'assigned', 'releasing', 'released', 'refused')",
        name="license_state",
    ),
    sa.CheckConstraint("intent_id IS NULL OR state IN ('reserved', 'releasing')", name="license_intent"),
    # Ended lives too: a list that is being read must not take what just ended for another hand's.
    sa.Index("license_by_target", "serial_number", "pool_id"),
    # A target has one living licence of a pool, and beside it at most one that is on its way back (promise 2).
    sa.Index(
        "license_one_living",
        "pool_id",
        "serial_number",
        sa.text("(state = 'releasing')"),
        unique=True,
        postgresql_where=sa.text("state IN ('waitlisted', 'reserved', 'assigned', 'releasing')"),
    ),
    sa.Index(
        "license_one_unsettled_intent",  # promise 6
        "pool_id",
        "serial_number",
        unique=True,
        postgresql_where=sa.text("intent_id IS NOT NULL"),
    ),
    sa.Index("license_by_intent", "intent_id", postgresql_where=sa.text("intent_id IS NOT NULL")),
    sa.Index("license_by_settlement", "settlement_id", postgresql_where=sa.text("settlement_id IS NOT NULL")),
    sa.Index("license_ended", "changed_at", postgresql_where=sa.text("state IN ('released', 'refused')")),
    sa.Index(
        "license_waitlist",
        "pool_id",
        sa.text("priority DESC"),
        "arrival",
        postgresql_where=sa.text("state = 'waitlisted'"),
    ),
)

notification = sa.Table(
    "notification",
    metadata,
    sa.Column("library_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),  # Apple's notificationId
    sa.Column("sealed", pg.BYTEA, nullable=False),
    sa.Column("received_at", _TIME, nullable=False),
    sa.Column("processed_at", _TIME),
    sa.Column("event_id", sa.Text),
    sa.Column("covers", pg.ARRAY(sa.Text)),  # the serial numbers whose tasks it says are through
    sa.Index("notification_new", "received_at", postgresql_where=sa.text("processed_at IS NULL")),
    sa.Index("notification_by_event", "event_id", postgresql_where=sa.text("event_id IS NOT NULL")),
)
