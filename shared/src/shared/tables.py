"""The tables that every service's database holds so that no message is lost or done twice."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

BUCKETS = 64
"""Keys are spread over this many buckets; a bucket has one publisher at a time."""

_QUEUE = {
    # Rows come and go at the rate of events: vacuum by count, not by share of the table.
    "autovacuum_vacuum_scale_factor": 0,
    "autovacuum_vacuum_threshold": 2000,
    "autovacuum_vacuum_insert_scale_factor": 0,
    "autovacuum_vacuum_insert_threshold": 20000,
}

PLAIN_VALUES = "ALTER TABLE outbox ALTER COLUMN value SET STORAGE EXTERNAL"
"""For migrations: events stay for a moment only, and to compress one of 1,000 targets costs three milliseconds."""


def bus_tables(metadata: sa.MetaData) -> None:
    """Add outbox, outbox_lease, outbox_relay, inbox, parked, work, job and idempotency to a service's tables."""
    _outbox(metadata)
    _inbox(metadata)
    _parked(metadata)
    _work(metadata)
    _job(metadata)
    _idempotency(metadata)


def queue_options() -> list[str]:
    """Return the storage options of tables that work like queues, as SQL, for migrations."""
    return [f"{name} = {value}" for name, value in _QUEUE.items()]


def _outbox(metadata: sa.MetaData) -> None:
    outbox = sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("bucket", sa.SmallInteger, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", pg.BYTEA, nullable=False),
        sa.Column("headers", pg.BYTEA, nullable=False),
        sa.Column("value", pg.BYTEA),  # null on a compacted topic says: gone
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    sa.event.listen(outbox, "after_create", _store_plain_values)
    sa.Table(
        "outbox_lease",
        metadata,
        sa.Column("bucket", sa.SmallInteger, primary_key=True),
        sa.Column("owner", sa.Uuid),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
    )
    sa.Table(
        "outbox_relay",
        metadata,
        sa.Column("owner", sa.Uuid, primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )


def _store_plain_values(_table: sa.Table, connection: sa.Connection, **_: object) -> None:
    connection.execute(sa.text(PLAIN_VALUES))


def _inbox(metadata: sa.MetaData) -> None:
    sa.Table(
        "inbox",
        metadata,
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("inbox_by_age", "claimed_at", postgresql_using="brin"),
    )


def _parked(metadata: sa.MetaData) -> None:
    sa.Table(
        "parked",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("part", sa.SmallInteger, nullable=False),  # 0: the whole event; else some of its targets
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("record_offset", sa.BigInteger, nullable=False),
        sa.Column("key", pg.BYTEA, nullable=False),
        sa.Column("headers", pg.BYTEA, nullable=False),
        sa.Column("value", pg.BYTEA),
        sa.Column("sealed", sa.Boolean, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("entitlement_ids", pg.ARRAY(sa.Uuid), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replay_asked_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("consumer", "event_id", "part", name="parked_once"),
        sa.Index("parked_by_key", "consumer", "key", "parked_at"),
    )


def _work(metadata: sa.MetaData) -> None:
    sa.Table(
        "work",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", pg.JSONB, nullable=False),
        sa.Column("correlation_id", sa.Uuid, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.Text),  # the last cause, as a slug
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("work_by_due", "due_at"),
    )


def _job(metadata: sa.MetaData) -> None:
    sa.Table(
        "job",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),  # when the last good run began
    )


def _idempotency(metadata: sa.MetaData) -> None:
    sa.Table(
        "idempotency",
        metadata,
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_digest", pg.BYTEA, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("answer", pg.JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("idempotency_by_age", "created_at"),
    )
