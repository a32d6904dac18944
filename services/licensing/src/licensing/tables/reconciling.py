"""Reconciliations: what Apple lists while it is compared, and the differences that were found."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

reconciliation = sa.Table(
    "reconciliation",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("began_at", TIME, nullable=False),
    sa.Column("ended_at", TIME),
    sa.Column("pools", sa.Integer, nullable=False, server_default="0"),  # read so far
    sa.Column(
        "inexact", sa.Integer, nullable=False, server_default="0"
    ),  # of these: changed while they were read
    sa.Column("listed", sa.BigInteger, nullable=False, server_default="0"),  # assignments in their lists
    sa.CheckConstraint("state IN ('reading', 'ended')", name="reconciliation_state"),
    sa.Index(
        "reconciliation_under_way",
        "library_id",
        unique=True,
        postgresql_where=sa.text("state = 'reading'"),
    ),
)

listed_assignment = sa.Table(
    "listed_assignment",  # what one reading saw of one list, until it is at its end; read again where it was lost
    metadata,
    sa.Column("reading_id", sa.Uuid, primary_key=True),  # the reconciliation, or the work row of a reading
    sa.Column("pool_id", sa.Uuid, primary_key=True),
    # As in foreign_assignment: a serial number, or a client user id.
    sa.Column("of_people", sa.Boolean, primary_key=True),
    sa.Column("holder", sa.Text, primary_key=True),
    prefixes=["UNLOGGED"],
)

difference = sa.Table(
    "difference",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("reconciliation_id", sa.Uuid, sa.ForeignKey("reconciliation.id"), nullable=False),
    sa.Column("class", sa.Text, nullable=False),
    sa.Column("asset_id", sa.Uuid, nullable=False),
    sa.Column("pool_id", sa.Uuid),  # none where the library has no pool of the asset yet
    sa.Column("holder", sa.Text),  # as in foreign_assignment; none where counts differ
    sa.Column("of_people", sa.Boolean, nullable=False),
    sa.Column("entitlement_id", sa.Uuid),  # of the life that it is about
    sa.Column("ours", pg.JSONB, nullable=False),
    sa.Column("apples", pg.JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("found_at", TIME, nullable=False),  # when the reading began that found it
    sa.Column("settled_at", TIME),
    sa.CheckConstraint(
        "class IN ('foreign', 'taken', 'lost_message', 'our_fault', 'counts')", name="difference_class"
    ),
    sa.CheckConstraint("state IN ('open', 'applied', 'gone', 'ignored')", name="difference_state"),
    sa.Index("difference_of_reconciliation", "reconciliation_id", "id"),
    sa.Index(
        "difference_open",
        "reconciliation_id",
        "pool_id",
        "id",
        postgresql_where=sa.text("state = 'open'"),
    ),
)
