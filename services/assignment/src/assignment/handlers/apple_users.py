"""Apple users as licensing tells them: who has joined gets now what had ended with an invitation (R9)."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from assignment.decide.entitlements import Said, reopens_once_associated
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import reopen
from assignment.store import apple_users, covers, devices, entitlements, people
from assignment.store.apple_users import Told
from shared.database import Transaction
from shared.events import Heard
from shared.events.licensing import AppleUserAssociated, AppleUserRetired
from shared.locks import Rung

_AppleUserTold = Heard[AppleUserAssociated] | Heard[AppleUserRetired]


async def apple_user_told(
    tx: Transaction, heard: Sequence[Heard[AppleUserAssociated]] | Sequence[Heard[AppleUserRetired]]
) -> None:
    """Keep who is associated where, as told with the highest sequence.

    Who is now gets a new life for every cover, on a device of theirs, whose invitation had ended. What becomes of
    the licences of who is no longer, licensing tells entitlement by entitlement.
    """
    latest = {(one.event.user_id, one.event.library_id): one for one in sorted(heard, key=_sequence)}
    tx.reach(Rung.PEOPLE)
    stored = await apple_users.put(tx, [_told(one) for one in latest.values()])
    joined = [latest[key] for key in sorted(stored) if _told(latest[key]).associated]
    if joined:
        await _reopen(tx, joined)


async def _reopen(tx: Transaction, joined: Sequence[_AppleUserTold]) -> None:
    owned = await people.enrollments(tx, {one.event.user_id for one in joined})
    of_device: defaultdict[UUID, list[_AppleUserTold]] = defaultdict(list)
    for one in joined:
        for device_id in owned.get(one.event.user_id, ()):
            of_device[device_id].append(one)
    if not of_device:
        return
    tx.reach(Rung.TARGETS)
    here = await devices.lock(tx, of_device)
    changes = Changes(tx)
    standing = await covers.on(tx, list(here), with_living=())
    changes.load(await entitlements.lock(tx, {cover.entitlement_id for cover in standing}))
    libraries = {device_id: {one.event.library_id for one in told} for device_id, told in of_device.items()}
    worth = [
        cover
        for cover in standing
        if reopens_once_associated(changes.lives[cover.entitlement_id], libraries[cover.device_id])
    ]
    await reopen(changes, here, worth, lambda device_id: _said(of_device[device_id][0]))
    await finish(changes)


def _said(one: _AppleUserTold) -> Said:
    return Said("AppleUserAssociated", event_id=one.envelope.event_id)


def _told(one: _AppleUserTold) -> Told:
    associated = isinstance(one.event, AppleUserAssociated)
    return Told(one.event.user_id, one.event.library_id, associated, _sequence(one))


def _sequence(one: _AppleUserTold) -> int:
    return one.envelope.sequence or 0
