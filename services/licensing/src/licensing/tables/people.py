"""Our copy of the people, their Apple users, and the requests to Apple that make and end those."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

person = sa.Table(
    "person",
    metadata,
    sa.Column("user_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),  # of the last UserChanged or UserDeleted
    sa.Column("wanted_version", sa.BigInteger, nullable=False, server_default="0"),  # that an asker knew
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mail_address", pg.BYTEA),  # sealed
    sa.Column("managed_apple_id", pg.BYTEA),  # sealed
    sa.Column("managed_digest", pg.BYTEA),  # keyed: two people must not have the same
    sa.CheckConstraint("state IN ('unheard', 'active', 'left', 'deleted')", name="person_state"),
    # Scenario 30: of an erased person only the id and the version stay.
    sa.CheckConstraint(
        "state <> 'deleted' OR num_nonnulls(mail_address, managed_apple_id, managed_digest) = 0",
        name="person_erased",
    ),
    sa.Index("person_by_account", "managed_digest", postgresql_where=sa.text("managed_digest IS NOT NULL")),
    sa.Index("person_gone", "user_id", postgresql_where=sa.text("state IN ('left', 'deleted')")),
)

digest_key = sa.Table(
    "digest_key",  # one row, for good: the sealed key of person.managed_digest
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("sealed", pg.BYTEA, nullable=False),
    sa.CheckConstraint("id = 1", name="digest_key_single"),
)

apple_user = sa.Table(
    "apple_user",  # a person in one library; the person's row is its lock
    metadata,
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("person.user_id"), primary_key=True),
    sa.Column("client_user_id", sa.Text, nullable=False),  # ours at Apple: chosen once, for good
    sa.Column("state", sa.Text, nullable=False),  # Apple's word, as it was read last
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),  # of what was told of it last
    sa.Column("wants", sa.Text),  # what Apple is yet to do
    # Once what it wants is done: made anew, if that was retiring it; else brought up to date.
    sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("part_id", sa.Uuid),  # goes to Apple with these only: a part of a refused request, a repetition
    sa.Column("write_id", sa.Uuid),  # the unsettled request to Apple that it is part of
    sa.Column("attempt", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("without_mail", sa.Boolean, nullable=False, server_default=sa.false()),  # Apple error 9717
    sa.Column("without_managed", sa.Boolean, nullable=False, server_default=sa.false()),  # Apple error 9635
    sa.Column("invite_due", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("invited_hash", pg.BYTEA),  # of the code that the person was last invited with
    sa.Column("invited_at", TIME),  # null: not invited, or that invitation has ended
    sa.Column("ask_at", TIME),  # when the invitation is asked for again, unless it has ended by then
    sa.Column("cause", sa.Text),
    sa.Column("error_number", sa.Integer),
    sa.Column("correlation_id", sa.Uuid, nullable=False),  # of who wanted it last
    sa.Column("changed_at", TIME, nullable=False),
    sa.UniqueConstraint("library_id", "client_user_id", name="apple_user_at_apple"),
    sa.CheckConstraint(
        "state IN ('new', 'registered', 'associated', 'failed', 'retired')", name="apple_user_state"
    ),
    sa.CheckConstraint("wants IN ('create', 'update', 'retire')", name="apple_user_wants"),
    sa.CheckConstraint("write_id IS NULL OR wants IS NOT NULL", name="apple_user_write"),
    sa.Index("apple_user_by_person", "user_id"),
    sa.Index("apple_user_by_write", "write_id", postgresql_where=sa.text("write_id IS NOT NULL")),
    sa.Index(
        "apple_user_wanted",
        "library_id",
        "wants",
        "changed_at",
        postgresql_where=sa.text("wants IS NOT NULL AND write_id IS NULL"),
    ),
    sa.Index("apple_user_uninvited", "library_id", "user_id", postgresql_where=sa.text("invite_due")),
    sa.Index("apple_user_asked", "ask_at", postgresql_where=sa.text("invited_at IS NOT NULL")),
    sa.Index("apple_user_registered", "library_id", postgresql_where=sa.text("state = 'registered'")),
)

apple_user_record = sa.Table(
    "apple_user_record",  # every record that Apple showed: many retired ones of an id, at most one active
    metadata,
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), primary_key=True),
    sa.Column("client_user_id", sa.Text, primary_key=True),
    # The account tied to it: what tells two records of one id apart. Empty while there is none.
    sa.Column("id_hash", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),  # Apple's word
    sa.Column("invite_code", pg.BYTEA),  # sealed; of our own registered ones only
    sa.Column("invite_hash", pg.BYTEA),
    sa.Column("reading", sa.BigInteger, nullable=False),  # the last one that showed it
    sa.Column("seen_at", TIME, nullable=False),
    sa.Index("apple_user_record_by_account", "id_hash", postgresql_where=sa.text("id_hash <> ''")),
    sa.Index("apple_user_record_by_reading", "library_id", "reading"),
)

user_write = sa.Table(
    "user_write",  # one request to Apple that creates, updates or retires users
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("work_id", sa.Uuid, nullable=False),
    sa.Column("sent_at", TIME, nullable=False),
    sa.Column("event_id", sa.Text),
    sa.Column("ended_at", TIME),  # from then on a reading proves what became of it
    sa.Column("failures", pg.JSONB),
    sa.CheckConstraint("kind IN ('create', 'update', 'retire')", name="user_write_kind"),
    sa.Index("user_write_by_library", "library_id"),
    sa.Index("user_write_by_work", "work_id", unique=True),
    sa.Index("user_write_by_event", "event_id", postgresql_where=sa.text("event_id IS NOT NULL")),
)

user_reading = sa.Table(
    "user_reading",  # where the reading of a library's users stands
    metadata,
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), primary_key=True),
    sa.Column("wanted", sa.Boolean, nullable=False),
    sa.Column("work_id", sa.Uuid),
    sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("version_id", sa.Text),  # Apple's, of the last complete reading: the next one begins there
    sa.Column("read_at", TIME),
)
