"""What is done when people are told of, are to be invited, or an invitation came to its end.

Each takes the lock of every person concerned first. Licensing decides nobody's licences: what a person who left
held is revoked by assignment, and their Apple user is retired when nothing revocable is left.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from licensing import roster, sealed, work
from licensing.decide.apple_users import Judged, Tells, ended, relabeled, to_wake
from licensing.ledger import people as licenses_of_people
from licensing.model import Hidden
from licensing.model.people import AppleUser, Person, Presence, UserState
from licensing.store import apple_users, people
from shared.database import Transaction
from shared.errors import Poison
from shared.events import Envelope, Heard
from shared.events.assignment import UserChanged, UserDeleted, UserInvitationRequested
from shared.events.invitation import InvitationBounced, InvitationCancelled, InvitationExpired
from shared.events.words import PersonState
from shared.vault import Vault

_CLOCKS_DIFFER_BY = timedelta(seconds=5)
_OUR_OWN_DOING = "apple_user_retired"
"""Why invitation cancels when we retired the Apple user: that news is our own, come back."""

Told = TypeVar("Told", UserChanged, UserDeleted)
Ended = InvitationExpired | InvitationBounced | InvitationCancelled


async def keep_people(vault: Vault, tx: Transaction, heard: Sequence[Heard[UserChanged]]) -> None:
    """UserChanged: keep the highest version of each person; who was waited for is waited for no longer."""
    newest = _newest(heard)
    digest_key = await _digest_key(vault, tx)
    known = await people.lock_all(tx, newest)
    told: list[tuple[Person, Person]] = []
    relabel: set[UUID] = set()
    for user_id, (event, version) in newest.items():
        before = known[user_id]
        if version <= before.version or before.state is Presence.DELETED:
            continue
        after, renamed = _told_person(vault, event, before, digest_key=digest_key)
        told.append((before, replace(after, version=version)))
        if renamed:
            relabel.add(user_id)
    await people.save(tx, [after for _, after in told])
    await _concern(tx, told, relabel)


async def erase_people(tx: Transaction, heard: Sequence[Heard[UserDeleted]]) -> None:
    """UserDeleted: keep id and version alone, for good (scenarios 26 and 30)."""
    newest = _newest(heard)
    known = await people.lock_all(tx, newest)
    await people.save(
        tx,
        [
            Person(user_id, version, known[user_id].wanted_version, Presence.DELETED)
            for user_id, (_, version) in newest.items()
            if version > known[user_id].version
        ],
    )


async def invite(tx: Transaction, heard: Sequence[Heard[UserInvitationRequested]]) -> None:
    """UserInvitationRequested: register and invite people whether or not an asset waits for them.

    Without a library it is the one that is asked first for licences. Who is associated already is told again.
    """
    wanted: dict[tuple[str, UUID], set[UUID]] = defaultdict(set)
    for each in heard:
        library_id = await apple_users.library_to_join(tx, each.event.library_id)
        if library_id is not None:
            wanted[library_id, each.envelope.correlation_id].update(each.event.user_ids)
    await people.lock_all(tx, {user_id for user_ids in wanted.values() for user_id in user_ids})
    present: list[AppleUser] = []
    for (library_id, correlation_id), user_ids in wanted.items():
        present += await roster.wish(tx, library_id, sorted(user_ids), correlation_id)
    await roster.tell(
        tx, [(user, Tells.ASSOCIATED) for user in present if user.state is UserState.ASSOCIATED]
    )


async def end_invitations(tx: Transaction, heard: Sequence[Heard[Ended]]) -> None:
    """InvitationExpired, InvitationBounced for good, InvitationCancelled: what was held for them is given up.

    Only while that invitation is the present one: what was told before the last was asked for is about a
    former one. A soft bounce is tried again, and ends nothing.
    """
    told: dict[str, dict[UUID, datetime]] = defaultdict(dict)
    for each in heard:
        event = each.event
        if isinstance(event, InvitationBounced) and not event.hard:
            continue
        if isinstance(event, InvitationCancelled) and event.cause == _OUR_OWN_DOING:
            continue
        told[event.library_id][event.user_id] = each.envelope.time
    await people.lock_all(tx, {user_id for times in told.values() for user_id in times})
    for library_id, times in sorted(told.items()):
        users = await apple_users.load(tx, library_id, times)
        over = [user for user in users.values() if _is_of(user, times[user.user_id])]
        if over:
            tx.climb_again()  # the pools of another library, after the events of the former
            await apple_users.save(tx, [ended(user) for user in over])
            await licenses_of_people.invitation_ended(tx, library_id, [user.user_id for user in over])


def _is_of(user: AppleUser, told_at: datetime) -> bool:
    """Say whether this end is that of the invitation that a person has now."""
    return (
        user.state is UserState.REGISTERED
        and user.wants is None
        and user.invited_at is not None
        and told_at + _CLOCKS_DIFFER_BY >= user.invited_at
    )


async def _concern(tx: Transaction, told: Sequence[tuple[Person, Person]], relabel: set[UUID]) -> None:
    """Let Apple know other labels, and go on with those whom nothing was known of before."""
    woken = {after.user_id for before, after in told if after.invitable and not before.invitable}
    users = await apple_users.of_people(tx, woken | relabel)
    by_library: dict[str, list[Judged]] = defaultdict(list)
    wake: dict[str, list[UUID]] = defaultdict(list)
    for user in users:
        if user.user_id in relabel and (changed := relabeled(user)) != user:
            by_library[user.library_id].append(Judged(changed))
        elif user.user_id in woken and to_wake(user):
            wake[user.library_id].append(user.user_id)
    for library_id, judged in by_library.items():
        await roster.write(tx, library_id, judged)
    for library_id, user_ids in wake.items():
        await work.want_apple_users(tx, library_id, user_ids)


async def _digest_key(vault: Vault, tx: Transaction) -> Hidden:
    """Return the key of the digests of Managed Apple IDs; the first who needs it makes it."""
    kept = await people.digest_key(tx)
    if kept is None:
        kept = await people.keep_digest_key(tx, sealed.new_digest_key(vault))
    return sealed.open_digest_key(vault, kept)


def _told_person(
    vault: Vault, event: UserChanged, before: Person, *, digest_key: Hidden
) -> tuple[Person, bool]:
    """Return the copy that we keep, sealed, and whether Apple should know them by another label."""
    user_id = event.user_id
    mail_address = event.mail_address or None
    managed_apple_id = event.managed_apple_id or None
    state = Presence.LEFT if event.state == PersonState.LEFT else Presence.ACTIVE
    renamed = state is Presence.ACTIVE and (
        sealed.open_mail_address(vault, user_id, before.mail_address) != mail_address
        or sealed.open_managed_apple_id(vault, user_id, before.managed_apple_id) != managed_apple_id
    )
    after = replace(
        before,
        state=state,
        mail_address=sealed.seal_mail_address(vault, user_id, mail_address),
        managed_apple_id=sealed.seal_managed_apple_id(vault, user_id, managed_apple_id),
        managed_digest=sealed.managed_digest(digest_key, managed_apple_id),
    )
    return after, renamed


def _newest(heard: Iterable[Heard[Told]]) -> dict[UUID, tuple[Told, int]]:
    newest: dict[UUID, tuple[Told, int]] = {}
    for each in heard:
        version = _version(each.envelope)
        former = newest.get(each.event.user_id)
        if former is None or version > former[1]:
            newest[each.event.user_id] = (each.event, version)
    return newest


def _version(envelope: Envelope) -> int:
    """Return the version told. Raises Poison (`no_sequence`): without one nobody can say which is newer."""
    if envelope.sequence is None:
        raise Poison("no_sequence", f"{envelope.type} without ce_sequence")
    return envelope.sequence
