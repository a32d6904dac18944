"""What an administrator, and the clock, have done with Apple users."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from licensing import roster, work
from licensing.decide.apple_users import Judged, rebound, unwished
from licensing.store import apple_users, people, user_readings
from shared.asks import deadline
from shared.database import Transaction
from shared.errors import NotFound
from shared.metrics import LICENSES_LEFT_BEHIND


async def reinvite(tx: Transaction, user_id: UUID, library_id: str, correlation_id: UUID) -> None:
    """Bind a person anew in a library, where the wrong account was: retire, create and invite again.

    Apple takes their revocable licences there back with it; books stay spent. Raises NotFound.
    """
    await people.lock_all(tx, [user_id])
    users = await apple_users.load(tx, library_id, [user_id])
    if user_id not in users:
        raise NotFound("unknown_apple_user", "this person has no Apple user in that library")
    await roster.write(tx, library_id, [Judged(rebound(users[user_id], correlation_id))])


async def retire_leavers(tx: Transaction) -> int:
    """Retire the Apple users of people who left, once assignment revoked what was revocable; return how many.

    Their person may have come back, or been given something, until the lock is held: they are looked at again.
    """
    found = {user_id for _, user_id in await apple_users.leavers(tx, limit=roster.MOST_AT_ONCE)}
    await people.lock_all(tx, found)
    by_library: dict[str, list[UUID]] = defaultdict(list)
    for library_id, user_id in await apple_users.leavers(tx, limit=None, among=found):
        by_library[library_id].append(user_id)
    for library_id, user_ids in by_library.items():
        users = await apple_users.load(tx, library_id, user_ids)
        await roster.write(tx, library_id, [Judged(unwished(user)) for user in users.values()])
    return sum(map(len, by_library.values()))


async def want_users(tx: Transaction) -> None:
    """Have the users read of every library in which somebody may have joined without our hearing of it."""
    for library_id in await user_readings.unsettled(tx):
        await work.want_users(tx, library_id)


async def ask_again(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Ask for the invitations again that were not heard of since: the answer may have been lost, or the question.

    Who hears it repeats where the invitation stands, so a hold whose end was lost ends (promise 4).
    """
    due = await apple_users.due_to_ask(tx, before=before, limit=limit)
    await people.lock_all(tx, due)
    by_library: dict[str, list[Judged]] = defaultdict(list)
    for user in await apple_users.of_people(tx, due):
        if user.invited_at is not None and user.ask_at is not None and user.ask_at <= before:
            asked = replace(user, invite_due=True, ask_at=deadline(tx.now))
            by_library[user.library_id].append(Judged(asked))
    for library_id, judged in by_library.items():
        await roster.write(tx, library_id, judged)
    return len(due)


async def make_due(tx: Transaction) -> None:
    """Let every open invitation be asked for again now."""
    await apple_users.make_due(tx)


async def accept_left_behind(tx: Transaction) -> None:
    """Show how many joined beside a licence that waits for just that, and let those go on."""
    LICENSES_LEFT_BEHIND.set(await roster.accept_left_behind(tx))
