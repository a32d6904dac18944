"""Users: made here, and told to whoever keeps a copy."""

from assignment.model import User
from assignment.store import people
from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.assignment import UserChanged


async def create_user(tx: Transaction, user: User) -> None:
    """Store a new user and tell of it; the user's id is the correlation id of what follows."""
    await people.insert(tx, user)
    await outbox.append(tx, [user_changed(user)])


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
