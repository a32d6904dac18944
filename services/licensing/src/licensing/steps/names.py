"""Between our names for holders and Apple's: people go by their client user ids there."""

from collections.abc import Sequence
from uuid import UUID

from licensing.model import AppleFailure, Fault, License
from licensing.store import apple_users
from shared.database import Transaction


async def names_of(tx: Transaction, library_id: str, members: Sequence[License]) -> list[str]:
    """Return what a request to Apple calls its members: all are devices, or all are people."""
    user_ids = [member.holder for member in members if isinstance(member.holder, UUID)]
    if not user_ids:
        return [str(member.holder) for member in members]
    known = await apple_users.client_user_ids(tx, library_id, user_ids)
    return [known.get(user_id, str(user_id)) for user_id in user_ids]


async def faults_of(tx: Transaction, library_id: str, failures: Sequence[AppleFailure]) -> list[Fault]:
    """Return whom of ours Apple's error numbers name."""
    named = {name for failure in failures for name in failure.client_user_ids}
    known = await apple_users.user_ids(tx, library_id, named) if named else {}
    return [
        Fault(
            failure.number,
            failure.serial_numbers | {known[name] for name in failure.client_user_ids if name in known},
        )
        for failure in failures
    ]
