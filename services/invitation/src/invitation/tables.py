"""The tables: our copies of people and Apple users, the invitations, and what happened to each."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from shared.tables import bus_tables

METADATA = sa.MetaData()
bus_tables(METADATA)

_OPEN = sa.text("state IN ('waiting', 'sending', 'sent')")

PERSON = sa.Table(
    "person",
    METADATA,
    sa.Column("user_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("has_left", sa.Boolean, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("mail_address", sa.Text),
    sa.Column("locale", sa.Text),
    # Scenario 30: of an erased person only the id and the version stay.
    sa.CheckConstraint(
        "NOT deleted OR (name IS NULL AND mail_address IS NULL AND locale IS NULL)", name="erased_person"
    ),
)

APPLE_USER = sa.Table(
    "apple_user",
    METADATA,
    sa.Column("user_id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("associated", sa.Boolean, nullable=False),
)

INVITATION = sa.Table(
    "invitation",
    METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, nullable=False),
    sa.Column("library_id", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("person_version", sa.BigInteger, nullable=False),
    sa.Column("sealed_link", pg.BYTEA),
    sa.Column("asset_ids", pg.ARRAY(sa.Uuid), nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cause", sa.Text),
    sa.Column("status_code", sa.SmallInteger),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    # A link binds whoever opens it first: it is kept exactly as long as somebody may still need it.
    sa.CheckConstraint(
        "(sealed_link IS NOT NULL) = (state IN ('waiting', 'sending', 'sent'))", name="link_while_open"
    ),
    sa.Index("one_open_invitation", "user_id", "library_id", unique=True, postgresql_where=_OPEN),
    sa.Index("invitation_by_apple_user", "user_id", "library_id", "id"),
    sa.Index("open_invitation_by_state", "state", "id", postgresql_where=_OPEN),
)

INVITATION_STEP = sa.Table(
    "invitation_step",
    METADATA,
    sa.Column("invitation_id", sa.Uuid, sa.ForeignKey("invitation.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cause", sa.Text),
    sa.Column("status_code", sa.SmallInteger),
)

WORK = METADATA.tables["work"]
sa.Index("work_by_invitation", WORK.c.payload["invitation_id"].astext)
