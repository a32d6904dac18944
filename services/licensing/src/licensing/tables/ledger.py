"""Licences, and the requests to Apple that they are part of."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

LIVING = "('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing')"

intent = sa.Table(
    "intent",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("pool_id", sa.Uuid, sa.ForeignKey("pool.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("of_people", sa.Boolean, nullable=False),  # else of devices: a request is of one kind
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("joinable", sa.Boolean, nullable=False),  # others may still be added: unsent, first attempt
    sa.Column("size", sa.SmallInteger, nullable=False),
    sa.Column("sent_at", TIME),
    sa.Column("event_id", sa.Text),
    sa.Column("ended_at", TIME),
    sa.Column("failures", pg.JSONB),
    sa.Column("work_id", sa.Uuid),
    sa.Column("created_at", TIME, nullable=False),
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
    sa.Column("sent_at", TIME),
    sa.Column("settled_at", TIME, nullable=False),
    sa.CheckConstraint("proof IN ('event', 'list', 'refusal')", name="settlement_proof"),
    sa.Index("settlement_by_age", "settled_at", postgresql_using="brin"),
)

license_ = sa.Table(
    "license",
    metadata,
    sa.Column("entitlement_id", sa.Uuid, primary_key=True),
    sa.Column("pool_id", sa.Uuid),  # null where nothing was ever held: no pool, or a release of the unknown
    sa.Column("asset_id", sa.Uuid, nullable=False),
    # Whose it is: a device's, by its serial number, or a person's.
    sa.Column("serial_number", sa.Text),
    sa.Column("user_id", sa.Uuid),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("arrival", sa.BigInteger, nullable=False),
    sa.Column("no_wait", sa.Boolean, nullable=False),
    sa.Column("library_id", sa.Text),  # the only one it may come from; null: any
    sa.Column("expires_at", TIME),  # who waits longer than this waits no more
    sa.Column("release_at", TIME),  # a licence on its way back is in quarantine until then
    sa.Column("intent_id", sa.Uuid),  # the unsettled request to Apple that this licence is part of
    sa.Column("held", sa.Text),  # what a release found
    sa.Column("cause", sa.Text),  # why it was refused, or failed
    sa.Column("error_number", sa.Integer),
    sa.Column("settlement_id", sa.Uuid),  # the last request to Apple about it whose outcome is known
    sa.Column("changed_at", TIME, nullable=False),
    sa.CheckConstraint(
        "state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing', 'released',"
        " 'refused', 'failed', 'lost', 'spent')",
        name="license_state",
    ),
    sa.CheckConstraint("num_nonnulls(serial_number, user_id) = 1", name="license_holder"),
    sa.CheckConstraint("intent_id IS NULL OR state IN ('reserved', 'releasing')", name="license_intent"),
    # Ended lives too: a list that is being read must not take what just ended for another hand's.
    sa.Index(
        "license_by_device",
        "serial_number",
        "asset_id",
        postgresql_where=sa.text("serial_number IS NOT NULL"),
    ),
    sa.Index("license_by_person", "user_id", "asset_id", postgresql_where=sa.text("user_id IS NOT NULL")),
    # A target has one living licence of an asset, and beside it at most one that is on its way back (promise 2).
    *(
        sa.Index(
            f"license_one_living_of_{whose}",
            holder,  # first: an index that begins with the asset would be read whole for each set of one asset
            "asset_id",
            sa.text("(state = 'releasing')"),
            unique=True,
            postgresql_where=sa.text(f"state IN {LIVING} AND {holder} IS NOT NULL"),
        )
        for whose, holder in (("device", "serial_number"), ("person", "user_id"))
    ),
    *(
        sa.Index(
            f"license_one_unsettled_intent_of_{whose}",  # promise 6
            holder,
            "pool_id",
            unique=True,
            postgresql_where=sa.text(f"intent_id IS NOT NULL AND {holder} IS NOT NULL"),
        )
        for whose, holder in (("device", "serial_number"), ("person", "user_id"))
    ),
    sa.Index("license_by_intent", "intent_id", postgresql_where=sa.text("intent_id IS NOT NULL")),
    sa.Index("license_by_settlement", "settlement_id", postgresql_where=sa.text("settlement_id IS NOT NULL")),
    sa.Index(
        "license_ended",
        "changed_at",
        postgresql_where=sa.text("state IN ('released', 'refused', 'failed', 'lost')"),
    ),
    sa.Index(
        "license_expiring",
        "expires_at",
        postgresql_where=sa.text("state = 'waitlisted' AND expires_at IS NOT NULL"),
    ),
    sa.Index(
        "license_in_quarantine",
        "release_at",
        postgresql_where=sa.text("state = 'releasing' AND release_at IS NOT NULL"),
    ),
    sa.Index(
        "license_waitlist",
        "pool_id",
        sa.text("priority DESC"),
        "arrival",
        postgresql_where=sa.text("state = 'waitlisted'"),
    ),
)
