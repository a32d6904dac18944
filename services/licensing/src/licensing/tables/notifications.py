"""Apple's notifications, as they came in."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

notification = sa.Table(
    "notification",
    metadata,
    sa.Column("library_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),  # Apple's notificationId
    sa.Column("sealed", pg.BYTEA),  # until it is processed
    sa.Column("received_at", TIME, nullable=False),
    sa.Column("processed_at", TIME),
    sa.Column("event_id", sa.Text),
    sa.Column(
        "covers", pg.ARRAY(sa.Text)
    ),  # the serial numbers or client user ids whose tasks it says are through
    sa.Index("notification_new", "received_at", postgresql_where=sa.text("processed_at IS NULL")),
    sa.Index("notification_by_event", "event_id", postgresql_where=sa.text("event_id IS NOT NULL")),
)

malformed_notification = sa.Table(
    "malformed_notification",  # came with the library's secret, and is no notification: kept to be inspected
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, nullable=False),
    sa.Column("sealed", pg.BYTEA, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),  # in bytes, before it was sealed
    sa.Column("received_at", TIME, nullable=False),
)
