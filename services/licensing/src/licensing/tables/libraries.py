"""Libraries and the content tokens that speak for them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

library = sa.Table(
    "library",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # Apple's uId
    sa.Column("state", sa.Text, nullable=False),  # claiming, active, suspended, fenced
    sa.Column("cause", sa.Text),  # why it is suspended or cannot be claimed, as a slug
    sa.Column("error_number", sa.Integer),
    sa.Column("rights", sa.Text, nullable=False, server_default="unknown"),  # of its content token
    sa.Column("mdm_id", sa.Uuid, nullable=False),  # mdmInfo.id: per installation and library
    sa.Column("claimed_at", TIME),  # when Apple last took our claim: from then on mdmInfo must name us
    sa.Column("fenced_id", sa.Text),  # mdmInfo as another service left it; null where it was emptied
    sa.Column("fenced_name", sa.Text),
    sa.Column("fenced_metadata", sa.Text),
    sa.Column("fenced_at", TIME),
    sa.Column("location_name", sa.Text, nullable=False),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("website_url", sa.Text, nullable=False),
    sa.Column("notification_hash", pg.BYTEA),  # of the secret that Apple confirmed
    sa.Column("offered_hash", pg.BYTEA),  # of the one it is being told: live before the call
    sa.Column("notified", sa.Boolean, nullable=False, server_default=sa.false()),  # Apple reaches us
    sa.Column("assets_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("assets_read_at", TIME),
    sa.Column("check_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("checked_at", TIME),  # when client/config was last compared with what we expect of it
    sa.Column("next_request_at", TIME),  # the request budget: when the next one may leave
    sa.Column("slowness", sa.Double, nullable=False, server_default="1"),  # by how much Apple slowed us down
    sa.Column("preference", sa.Integer, nullable=False, server_default="0"),  # the lowest is asked first
    sa.Column(
        "reclaim", pg.JSONB, nullable=False, server_default="{}"
    ),  # reason of a revoke: grace in seconds
    sa.Column(
        "repairs", pg.ARRAY(sa.Text), nullable=False, server_default="{}"
    ),  # applied without a question
    sa.Column("created_at", TIME, nullable=False),
    sa.CheckConstraint("state IN ('claiming', 'active', 'suspended', 'fenced')", name="library_state"),
    sa.CheckConstraint("rights IN ('unknown', 'read_only', 'full')", name="library_rights"),
)

content_token = sa.Table(
    "content_token",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("sealed", pg.BYTEA, nullable=False),
    sa.Column("organization_name", sa.Text, nullable=False),
    sa.Column("expires_at", TIME, nullable=False),
    sa.Column("replaced_at", TIME),  # by a newer token of the same library
    sa.Column("told_rung", sa.SmallInteger),  # the lowest rung of the expiry ladder that was told
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", TIME, nullable=False),
    sa.Index(
        "content_token_in_use",
        "library_id",
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    ),
)
