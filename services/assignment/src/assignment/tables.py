"""Tables and constraints.

Entitlements, covers and deliveries come by the hundred thousand and carry no foreign keys: a check per row would
cost more than the row. Their ids are minted here, nothing refers to anything that is ever deleted.
"""

from collections.abc import Iterable
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from assignment.model import IN_TROUBLE, DeliveryState, State, TargetType
from shared.events.words import AssetKind, AssignmentMode, InstallMode
from shared.tables import bus_tables

metadata = sa.MetaData()
bus_tables(metadata)


def _one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    """Allow only these words; text and a check, for an enum type would cost every connection a look-up."""
    return sa.CheckConstraint(f"{column} IN ({_quoted(words)})", name=f"{column}_is_known")


def _quoted(words: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _wish() -> list[sa.Column[object]]:
    """Return the columns of a wish: an assignment's own, or what all covers of an entitlement want together."""
    return [
        sa.Column("assignment_mode", sa.Text, nullable=False),
        sa.Column("install_mode", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        _time("expires_at", nullable=True),
        sa.Column("no_wait", sa.Boolean, nullable=False),
        sa.Column("library_id", sa.Text),
    ]


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("mail_address", sa.Text),
    sa.Column("locale", sa.Text),
    sa.Column("managed_apple_id", sa.Text),
    sa.Column("enrollment_ids", pg.ARRAY(sa.Uuid), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    _time("created_at"),
    _time("changed_at"),
    _time("told_at"),
    sa.Index("users_by_told_at", "told_at"),
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("serial_number", sa.Text),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("os_version", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("supervised", sa.Boolean, nullable=False),
    sa.Column("product_name", sa.Text),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("enrolled", sa.Boolean, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _time("changed_at"),
    sa.Index("devices_by_serial_number", "serial_number"),
)

gone_devices = sa.Table(
    "gone_devices",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),  # of the end of a device that was never heard of
)

apple_users = sa.Table(
    "apple_users",
    metadata,
    sa.Column("user_id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, primary_key=True),
    sa.Column("associated", sa.Boolean, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _time("changed_at"),
)

device_groups = sa.Table(
    "device_groups",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("member_count", sa.Integer, nullable=False, server_default="0"),
    _time("created_at"),
    sa.CheckConstraint("member_count >= 0", name="member_count_is_no_debt"),
)

device_group_members = sa.Table(
    "device_group_members",
    metadata,
    sa.Column("group_id", sa.Uuid, primary_key=True),
    sa.Column("device_id", sa.Uuid, primary_key=True),
    _time("added_at"),
    sa.Index("device_group_members_by_device", "device_id"),
)

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("adam_id", sa.Text),
    sa.Column("pricing_param", sa.Text),
    sa.Column("device_assignable", sa.Boolean, nullable=False),
    sa.Column("revocable", sa.Boolean, nullable=False),
    sa.Column("platforms", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("unlimited", sa.Boolean, nullable=False),
    sa.Column("pools", pg.JSONB, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _time("changed_at"),
    _one_of("kind", AssetKind),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("refused", pg.JSONB, nullable=False),  # assignments that were refused as a whole, as answered
    _time("created_at"),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("request_id", sa.Uuid, nullable=False),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("target_type", sa.Text, nullable=False),
    sa.Column("target_id", sa.Uuid, nullable=False),
    *_wish(),
    sa.Column("round", sa.Integer, nullable=False, server_default="0"),
    # Work rows that still open or end its covers: no round is complete before all have come to their end.
    sa.Column("unfolding", sa.SmallInteger, nullable=False),
    sa.Column("end_reason", sa.Text),
    _time("ended_at", nullable=True),
    _time("created_at"),
    _one_of("target_type", TargetType),
    _one_of("assignment_mode", AssignmentMode),
    _one_of("install_mode", InstallMode),
    sa.Index("assignments_by_request", "request_id"),
    sa.Index("assignments_by_target", "target_id"),
    sa.Index("assignments_by_asset", "asset_id"),
    sa.Index(
        "assignments_by_expiry",
        "expires_at",
        postgresql_where=sa.text("ended_at IS NULL AND expires_at IS NOT NULL"),
    ),
)

totals = sa.Table(
    "totals",
    metadata,
    sa.Column("assignment_id", sa.Uuid, primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("entitlements", sa.Integer, nullable=False),
    sa.CheckConstraint("entitlements >= 0", name="entitlements_is_no_debt"),
)

entitlements = sa.Table(
    "entitlements",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("device_id", sa.Uuid, nullable=False),
    sa.Column("serial_number", sa.Text, nullable=False),
    sa.Column("request_id", sa.Uuid, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    *_wish(),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("losses", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("cause", sa.Text),
    sa.Column("error_number", sa.Integer),
    sa.Column("position", sa.Integer),
    _time("position_at", nullable=True),
    _time("ask_deadline_at", nullable=True),
    # The steps that led here, in order: the row is rewritten at each anyway, and a step is stored once per event.
    sa.Column("steps", pg.ARRAY(sa.Uuid), nullable=False),
    _time("created_at"),
    _time("changed_at"),
    _time("ended_at", nullable=True),
    _one_of("state", State),
    sa.Index(
        "entitlements_one_living",
        "device_id",
        "asset_id",
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    ),
    sa.Index("entitlements_ended", "device_id", "asset_id", postgresql_where=sa.text("ended_at IS NOT NULL")),
    # The list's filters, each in the order of its pages: device and serial number take the two indexes above, an
    # assignment its covers, an asset and a request one each (a fifth more to write for each life, together).
    # Of states only those that somebody has to look at: lives on their way pass none of them, and of those at rest
    # the primary key finds a page at once.
    sa.Index("entitlements_by_asset", "asset_id", "id"),
    sa.Index("entitlements_by_request", "request_id", "id"),
    sa.Index(
        "entitlements_in_trouble",
        "state",
        "id",
        postgresql_where=sa.text(f"state IN ({_quoted(sorted(IN_TROUBLE))})"),
    ),
    sa.Index(
        "entitlements_by_ask_deadline",
        "ask_deadline_at",
        postgresql_where=sa.text("ask_deadline_at IS NOT NULL"),
    ),
)

covers = sa.Table(
    "covers",
    metadata,
    sa.Column("assignment_id", sa.Uuid, primary_key=True),
    sa.Column("device_id", sa.Uuid, primary_key=True),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("entitlement_id", sa.Uuid, nullable=False),
    _time("ended_at", nullable=True),
    sa.Index("covers_by_place", "device_id", "asset_id"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("entitlement_id", sa.Uuid, nullable=False),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("enrollment_id", sa.Uuid, nullable=False),
    sa.Column("request_id", sa.Uuid, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("cause", sa.Text),
    _time("ask_deadline_at", nullable=True),
    _time("created_at"),
    _time("changed_at"),
    _one_of("state", DeliveryState),
    sa.Index("deliveries_by_entitlement", "entitlement_id"),
    sa.Index(
        "deliveries_by_ask_deadline",
        "ask_deadline_at",
        postgresql_where=sa.text("ask_deadline_at IS NOT NULL"),
    ),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("what", sa.Text, nullable=False),  # the event heard or told
    sa.Column("state", sa.Text, nullable=False),  # the state that it led to
    sa.Column("cause", sa.Text),
    sa.Column(
        "lives", sa.Integer, nullable=False
    ),  # that took it and are kept still: without any it is forgotten
    sa.Column("event_id", sa.Uuid),  # null where it began over HTTP or by the clock
)
