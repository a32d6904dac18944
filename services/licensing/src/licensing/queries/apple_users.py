"""What others ask about Apple users: never a name, an address, a code, or the digest of an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.queries.rows import Rows
from licensing.tables import apple_user, apple_user_record, person
from shared.database import Database
from shared.filters import where

_OTHER = apple_user.alias("other")
_NAMESAKE = person.alias("namesake")
_MINE, _THEIRS = apple_user_record.alias("mine"), apple_user_record.alias("theirs")

_PRESENT = sa.case(
    (apple_user.c.wants == "retire", "retiring"),
    (sa.and_(apple_user.c.wants == "create", apple_user.c.write_id.is_not(None)), "registering"),
    (apple_user.c.wants == "create", "wanted"),
    else_=apple_user.c.state,
)
"""The state as people should see it: Apple's word, or what it is being asked for."""

_BLOCKED_BY = sa.case(
    (apple_user.c.wants.is_(None) & ~apple_user.c.invite_due, None),
    (person.c.version < person.c.wanted_version, "person_not_heard_of"),
    (sa.and_(person.c.state != "active", apple_user.c.wants != "retire"), "person_left"),
)


@dataclass(frozen=True, slots=True)
class AppleUserFilter:
    """Which Apple users a list holds; None means any."""

    library_id: str | None = None
    user_id: UUID | None = None
    state: str | None = None


async def list_apple_users(
    database: Database, wanted: AppleUserFilter, *, limit: int, after: tuple[UUID, str] | None
) -> Rows:
    """Return Apple users in the order of their people and libraries, those behind `after` only."""
    question = _apple_users().order_by(apple_user.c.user_id, apple_user.c.library_id).limit(limit)
    if after is not None:
        question = question.where(
            sa.tuple_(apple_user.c.user_id, apple_user.c.library_id)
            > sa.tuple_(sa.literal(after[0], sa.Uuid), sa.literal(after[1], sa.Text))
        )
    question = where(
        question,
        {
            apple_user.c.library_id: wanted.library_id,
            apple_user.c.user_id: wanted.user_id,
            _PRESENT: wanted.state,
        },
    )
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


def _apple_users() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        apple_user.c.user_id,
        apple_user.c.library_id,
        apple_user.c.client_user_id,
        apple_user.c.version,
        apple_user.c.cause,
        apple_user.c.error_number,
        apple_user.c.invited_at,
        apple_user.c.changed_at,
        _PRESENT.label("state"),
        _BLOCKED_BY.label("blocked_by"),
        _records().label("records"),
        (_sharers() + _namesakes()).label("shares_account_with"),
    ).join(person, person.c.user_id == apple_user.c.user_id)


def _records() -> sa.ScalarSelect[object]:
    """Every record that Apple showed of the client user id, the last seen first."""
    shown = sa.func.jsonb_build_object("status", _MINE.c.status, "seen_at", _MINE.c.seen_at)
    ordered = pg.aggregate_order_by(shown, _MINE.c.reading.desc(), _MINE.c.id_hash)
    return (
        sa.select(sa.func.coalesce(sa.func.jsonb_agg(ordered), sa.text("'[]'::jsonb")))
        .where(
            _MINE.c.library_id == apple_user.c.library_id,
            _MINE.c.client_user_id == apple_user.c.client_user_id,
        )
        .scalar_subquery()
    )


def _sharers() -> sa.ScalarSelect[Sequence[UUID]]:
    """Other people who have, or had, a record with an account that one of this person's records has."""
    return (
        sa.select(_people(_OTHER.c.user_id))
        .select_from(_MINE)
        .join(_THEIRS, sa.and_(_THEIRS.c.id_hash == _MINE.c.id_hash, _MINE.c.id_hash != ""))
        .join(
            _OTHER,
            sa.and_(
                _OTHER.c.library_id == _THEIRS.c.library_id,
                _OTHER.c.client_user_id == _THEIRS.c.client_user_id,
            ),
        )
        .where(
            _MINE.c.library_id == apple_user.c.library_id,
            _MINE.c.client_user_id == apple_user.c.client_user_id,
            _OTHER.c.user_id != apple_user.c.user_id,
        )
        .scalar_subquery()
    )


def _namesakes() -> sa.ScalarSelect[Sequence[UUID]]:
    """Other people of the library who have the same Managed Apple ID, by what the directory says."""
    return (
        sa.select(_people(_OTHER.c.user_id))
        .select_from(_OTHER)
        .join(_NAMESAKE, _NAMESAKE.c.user_id == _OTHER.c.user_id)
        .where(
            _NAMESAKE.c.managed_digest == person.c.managed_digest,
            _OTHER.c.library_id == apple_user.c.library_id,
            _OTHER.c.user_id != apple_user.c.user_id,
        )
        .scalar_subquery()
    )


def _people(user_id: sa.ColumnElement[UUID]) -> sa.ColumnElement[Sequence[UUID]]:
    """Return them all as one array."""
    return sa.func.coalesce(
        sa.func.array_agg(sa.distinct(user_id)),
        sa.cast(pg.array([]), pg.ARRAY(sa.Uuid)),
        type_=pg.ARRAY(sa.Uuid),
    )
