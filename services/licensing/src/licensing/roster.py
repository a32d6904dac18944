"""Handlers and steps say what became of people's Apple users; the roster does what follows from it.

It stores them, has Apple asked for what they want, moves the licences that waited for them, and appends the
events that tell it: all in the one transaction (promise 3). Whoever calls holds the people's locks.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from licensing import work
from licensing.decide.apple_users import Follows, Judged, Tells, wished
from licensing.ledger import people as licenses_of_people
from licensing.model.people import AppleUser, UserWrite
from licensing.store import apple_users, people
from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.licensing import AppleUserAssociated, AppleUserRetired
from shared.metrics import APPLE_USERS_TOLD
from shared.retry import delay_seconds

MOST_AT_ONCE = 1_000
"""People in one transaction."""

_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 300.0
_EVENTS = {Tells.ASSOCIATED: AppleUserAssociated, Tells.RETIRED: AppleUserRetired}


async def wish(
    tx: Transaction, library_id: str, user_ids: Collection[UUID], correlation_id: UUID
) -> Sequence[AppleUser]:
    """See that these people have an Apple user in a library, and that who was not invited is; return them all."""
    known = await apple_users.load(tx, library_id, user_ids)
    made = [
        wished(
            known.get(user_id) or AppleUser(library_id, user_id, str(user_id), correlation_id), correlation_id
        )
        for user_id in user_ids
    ]
    await write(tx, library_id, [Judged(user) for user in made])
    return made


async def write(tx: Transaction, library_id: str, judged: Sequence[Judged]) -> list[UUID]:
    """Write what became of Apple users of one library, and do what follows.

    The ledger is closed once in a transaction, over one happening: who needs another is not written, but
    returned, to be judged again in another transaction.
    """
    chosen = next((each for each in judged if each.follows is not Follows.NOTHING), None)
    now = [each for each in judged if each.follows is Follows.NOTHING or _alike(each, chosen)]
    told: list[tuple[AppleUser, Tells]] = []
    users = []
    for each in now:
        user = replace(each.user, version=each.user.version + len(each.tells))
        users.append(user)
        told += [
            (replace(user, version=each.user.version + place), tells)
            for place, tells in enumerate(each.tells, start=1)
        ]
    await apple_users.save(tx, users)
    await _put_to_work(tx, library_id, now)
    if chosen is not None:
        await _follow(tx, library_id, chosen, [each.user.user_id for each in now if _alike(each, chosen)])
    await tell(tx, told)
    written = {user.user_id for user in users}
    return [each.user.user_id for each in judged if each.user.user_id not in written]


async def accept_left_behind(tx: Transaction, library_id: str | None = None) -> int:
    """Let licences go on that wait for somebody who has joined already; return how many people that were.

    None is every library. Whoever reserves and whoever hears of the joining hold the person's lock, so neither
    misses the other (scenario 9): this finds a fault, or a user whom Apple did not know though it had shown them.
    """
    found = await apple_users.left_behind(tx, library_id, limit=MOST_AT_ONCE)
    await people.lock_all(tx, {user_id for _, user_id in found})
    joined: dict[str, list[UUID]] = defaultdict(list)
    for its_library, user_id in await apple_users.associated(tx, found):
        joined[its_library].append(user_id)
    for its_library, user_ids in sorted(joined.items()):
        tx.climb_again()  # the pools of another library, after the events of the former
        await licenses_of_people.accepted(tx, its_library, user_ids)
    return len(found)


async def tell(tx: Transaction, told: Sequence[tuple[AppleUser, Tells]]) -> None:
    """Append the events that tell of Apple users, each with the version that it stands at then."""
    await outbox.append(
        tx,
        [
            Outgoing(
                _EVENTS[tells](user_id=user.user_id, library_id=user.library_id),
                user.correlation_id,
                sequence=user.version,
            )
            for user, tells in told
        ],
    )
    tx.after_commit(lambda: _count(told))


def _count(told: Sequence[tuple[AppleUser, Tells]]) -> None:
    for _, tells in told:
        APPLE_USERS_TOLD.labels(tells).inc()


def _alike(each: Judged, chosen: Judged | None) -> bool:
    """Say whether the same happens to both one's licences."""
    return chosen is not None and (
        (each.follows, each.refusal, each.user.error_number)
        == (chosen.follows, chosen.refusal, chosen.user.error_number)
    )


async def _put_to_work(tx: Transaction, library_id: str, judged: Sequence[Judged]) -> None:
    """Have Apple asked for what they want: together, and a part or a repetition by itself."""
    parts: dict[tuple[UserWrite, UUID | None], float] = {}
    for each in judged:
        user = each.user
        if user.wants is not None and user.write_id is None:
            wait = (
                delay_seconds(user.attempt - 1, first=_FIRST_DELAY_SECONDS, most=_LONGEST_DELAY_SECONDS)
                if each.delayed
                else 0.0
            )
            parts[user.wants, user.part_id] = max(wait, parts.get((user.wants, user.part_id), 0.0))
    for (kind, part_id), wait in parts.items():
        due_at = tx.now + timedelta(seconds=wait)
        await work.write_users(tx, library_id, kind, part_id=part_id, due_at=due_at)
    if any(each.user.invite_due and each.user.wants is None for each in judged):
        await work.invite_users(tx, library_id)


async def _follow(tx: Transaction, library_id: str, chosen: Judged, user_ids: Collection[UUID]) -> None:
    match chosen.follows:
        case Follows.ACCEPTED:
            await licenses_of_people.accepted(tx, library_id, user_ids)
        case Follows.REFUSED:
            number = chosen.user.error_number
            await licenses_of_people.refused(tx, library_id, user_ids, chosen.refusal, number)
        case Follows.LOST:
            await licenses_of_people.lost(tx, library_id, user_ids)
        case Follows.NOTHING:
            return
