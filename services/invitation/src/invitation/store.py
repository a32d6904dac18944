"""SQL in and out of the model: one statement for each set, however many people it is about.

The row of a person is the lock of all that this service does about them: whoever reads or changes an
invitation to decide something holds it, and an unknown person gets a row for that very purpose.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from invitation.model import (
    NEVER_HEARD,
    AppleUser,
    AppleUserKey,
    Cause,
    Invitation,
    Person,
    State,
    Step,
)
from shared.database import Transaction
from shared.locks import Rung

_KNOW = """
INSERT INTO person (user_id, version, deleted, has_left, managed)
SELECT user_id, $2, false, false, false FROM unnest($1::uuid[]) AS user_id ORDER BY user_id
ON CONFLICT DO NOTHING
"""

# Columns are named, never `*`: a later release adds columns while this build goes on with its prepared statements.
_LOCK = """
SELECT user_id, version, deleted, has_left, managed, name, mail_address, locale FROM person
WHERE user_id = ANY ($1::uuid[]) ORDER BY user_id FOR NO KEY UPDATE
"""

_SAVE_PEOPLE = """
UPDATE person SET version = told.version, deleted = told.deleted, has_left = told.has_left, managed = told.managed,
                  name = told.name, mail_address = told.mail_address, locale = told.locale
FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::boolean[], $5::boolean[], $6::text[], $7::text[], $8::text[])
     AS told (user_id, version, deleted, has_left, managed, name, mail_address, locale)
WHERE person.user_id = told.user_id
"""

_APPLE_USERS = """
SELECT user_id, library_id, version, associated FROM apple_user
JOIN unnest($1::uuid[], $2::text[]) AS wanted (user_id, library_id) USING (user_id, library_id)
"""

_SAVE_APPLE_USERS = """
INSERT INTO apple_user (user_id, library_id, version, associated)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[])
ON CONFLICT (user_id, library_id) DO UPDATE SET version = excluded.version, associated = excluded.associated
"""

_INVITATION = """
id, user_id, library_id, version, person_version, sealed_link, asset_ids, correlation_id, created_at, changed_at, state,
cause, status_code, sent_at
"""

_LATEST = f"""
SELECT latest.* FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, library_id)
CROSS JOIN LATERAL (
    SELECT {_INVITATION} FROM invitation
    WHERE invitation.user_id = wanted.user_id AND invitation.library_id = wanted.library_id
    ORDER BY id DESC LIMIT 1
) AS latest
"""

_OPEN = f"""
SELECT {_INVITATION} FROM invitation
WHERE user_id = ANY ($1::uuid[]) AND state IN ('waiting', 'sending', 'sent') ORDER BY id
"""

_SAVE_INVITATIONS = """
INSERT INTO invitation (id, user_id, library_id, version, person_version, sealed_link, asset_ids, correlation_id,
                        created_at, changed_at, state, cause, status_code, sent_at)
SELECT id, user_id, library_id, version, person_version, sealed_link, asset_ids::uuid[], correlation_id,
       created_at, changed_at, state, cause, status_code, sent_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[], $8::uuid[],
            $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[], $13::smallint[], $14::timestamptz[])
     WITH ORDINALITY AS row (id, user_id, library_id, version, person_version, sealed_link, asset_ids, correlation_id,
                             created_at, changed_at, state, cause, status_code, sent_at, place)
ORDER BY place
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, person_version = excluded.person_version, sealed_link = excluded.sealed_link,
    changed_at = excluded.changed_at, state = excluded.state, cause = excluded.cause,
    status_code = excluded.status_code, sent_at = excluded.sent_at
"""

_ADD_STEPS = """
INSERT INTO invitation_step (invitation_id, at, kind, state, cause, status_code)
SELECT invitation_id, at, kind, state, cause, status_code
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::smallint[])
     WITH ORDINALITY AS row (invitation_id, at, kind, state, cause, status_code, place)
ORDER BY place
"""


async def lock_people(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, Person]:
    """Lock these people until the end of the transaction and return each as we know them, unknown ones too."""
    tx.reach(Rung.PEOPLE)
    ids = sorted(set(user_ids))
    await tx.raw.execute(_KNOW, ids, NEVER_HEARD)
    return {row["user_id"]: _person(row) for row in await tx.raw.fetch(_LOCK, ids)}


async def save_people(tx: Transaction, people: Sequence[Person]) -> None:
    """Write what we know of people who are locked."""
    await tx.raw.execute(
        _SAVE_PEOPLE,
        [person.user_id for person in people],
        [person.version for person in people],
        [person.deleted for person in people],
        [person.left for person in people],
        [person.managed for person in people],
        [person.name for person in people],
        [person.mail_address for person in people],
        [person.locale for person in people],
    )


async def apple_users(tx: Transaction, keys: Iterable[AppleUserKey]) -> dict[AppleUserKey, AppleUser]:
    """Return the last word heard on each of these Apple users; those never heard of are absent."""
    rows = await tx.raw.fetch(_APPLE_USERS, *_columns(keys))
    return {(found := _apple_user(row)).key: found for row in rows}


async def save_apple_users(tx: Transaction, apple_users: Sequence[AppleUser]) -> None:
    """Write the last word on Apple users whose people are locked."""
    await tx.raw.execute(
        _SAVE_APPLE_USERS,
        [each.key.user_id for each in apple_users],
        [each.key.library_id for each in apple_users],
        [each.version for each in apple_users],
        [each.associated for each in apple_users],
    )


async def latest_invitations(tx: Transaction, keys: Iterable[AppleUserKey]) -> dict[AppleUserKey, Invitation]:
    """Return the latest invitation of each of these Apple users; it is the open one where there is one."""
    rows = await tx.raw.fetch(_LATEST, *_columns(keys))
    return {(found := to_invitation(row)).apple_user: found for row in rows}


async def open_invitations(tx: Transaction, user_ids: Iterable[UUID]) -> list[Invitation]:
    """Return every open invitation of these people."""
    return [to_invitation(row) for row in await tx.raw.fetch(_OPEN, list(set(user_ids)))]


async def find_invitation(tx: Transaction, invitation_id: UUID) -> Invitation | None:
    """Return one invitation, None where there is none by this id."""
    row = await tx.raw.fetchrow(f"SELECT {_INVITATION} FROM invitation WHERE id = $1", invitation_id)
    return None if row is None else to_invitation(row)


async def save_invitations(tx: Transaction, invitations: Iterable[Invitation]) -> None:
    """Write invitations, new ones and changed ones; one that ended goes before the one that follows it."""
    rows = sorted(invitations, key=lambda each: each.id)
    await tx.raw.execute(
        _SAVE_INVITATIONS,
        [each.id for each in rows],
        [each.apple_user.user_id for each in rows],
        [each.apple_user.library_id for each in rows],
        [each.version for each in rows],
        [each.person_version for each in rows],
        [each.sealed_link for each in rows],
        ["{" + ",".join(map(str, each.asset_ids)) + "}" for each in rows],
        [each.correlation_id for each in rows],
        [each.created_at for each in rows],
        [each.changed_at for each in rows],
        [each.state for each in rows],
        [each.cause for each in rows],
        [each.status_code for each in rows],
        [each.sent_at for each in rows],
    )


async def add_steps(tx: Transaction, steps: Sequence[Step]) -> None:
    """Write what happened, in this order."""
    await tx.raw.execute(
        _ADD_STEPS,
        [step.invitation_id for step in steps],
        [step.at for step in steps],
        [step.kind for step in steps],
        [step.state for step in steps],
        [step.cause for step in steps],
        [step.status_code for step in steps],
    )


def _columns(keys: Iterable[AppleUserKey]) -> tuple[list[UUID], list[str]]:
    wanted = list(set(keys))
    return [key.user_id for key in wanted], [key.library_id for key in wanted]


def _person(row: Mapping[str, Any]) -> Person:
    return Person(
        user_id=row["user_id"],
        version=row["version"],
        deleted=row["deleted"],
        left=row["has_left"],
        managed=row["managed"],
        name=row["name"],
        mail_address=row["mail_address"],
        locale=row["locale"],
    )


def _apple_user(row: Mapping[str, Any]) -> AppleUser:
    return AppleUser(AppleUserKey(row["user_id"], row["library_id"]), row["version"], row["associated"])


def to_invitation(row: Mapping[str, Any]) -> Invitation:
    """Read an invitation from a row of its table."""
    return Invitation(
        id=row["id"],
        apple_user=AppleUserKey(row["user_id"], row["library_id"]),
        version=row["version"],
        person_version=row["person_version"],
        sealed_link=row["sealed_link"],
        asset_ids=tuple(row["asset_ids"]),
        correlation_id=row["correlation_id"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        state=State(row["state"]),
        cause=Cause(row["cause"]) if row["cause"] is not None else None,
        status_code=row["status_code"],
        sent_at=row["sent_at"],
    )
