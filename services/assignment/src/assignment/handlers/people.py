"""Users: made here, and told to whoever keeps a copy."""

from datetime import timedelta

from assignment.model import User
from assignment.store import people
from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.assignment import UserChanged
from shared.locks import Rung

_TOLD_AT_LEAST_EVERY = timedelta(days=1)
_TOLD_AGAIN_AT_ONCE = 1_000
"""Called once a minute, this reaches 1,440,000 people a day, and nobody else's events queue behind them."""


async def create_user(tx: Transaction, user: User) -> None:
    """Store a new user and tell of it; the user's id is the correlation id of what follows."""
    await people.insert(tx, user)
    await outbox.append(tx, [user_changed(user)])


async def tell_again(tx: Transaction) -> None:
    """Tell of people who were told of last a day ago, as they are: copies that lost them heal, others do not change."""
    tx.reach(Rung.PEOPLE)
    before = tx.now - _TOLD_AT_LEAST_EVERY
    users = await people.claim_told_before(tx, before, limit=_TOLD_AGAIN_AT_ONCE)
    if users:
        await outbox.append(tx, [user_changed(user) for user in users])


def user_changed(user: User) -> Outgoing:
    """Return the event that tells a user as known now; its sequence is the user's version."""
    event = UserChanged(
        user_id=user.id,
        state=user.state,
        name=user.name,
        mail_address=user.mail_address,
        locale=user.locale,
        managed_apple_id=user.managed_apple_id,
        enrollment_ids=user.enrollment_ids,
    )
    return Outgoing(event, user.id, sequence=user.version)
