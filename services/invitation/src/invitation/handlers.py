"""What is done about each event heard: one function, one set of events, one transaction that the bus commits.

Each takes the lock of every person concerned, learns what the events say, and moves the invitations to where
they stand by all that is known then (invitation.decide).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from invitation import changes, decide, letter, sealed, store
from invitation.changes import Change
from invitation.model import AppleUser, AppleUserKey, Invitation, Person, StepKind
from shared.database import Transaction
from shared.errors import Poison
from shared.events import Envelope, Heard
from shared.events.assignment import UserChanged, UserDeleted
from shared.events.licensing import AppleUserAssociated, AppleUserRetired, InvitationRequested
from shared.events.words import PersonState
from shared.ids import new_id
from shared.vault import Secret, Vault


async def keep_people(tx: Transaction, heard: Sequence[Heard[UserChanged]]) -> None:
    """UserChanged: keep the highest version of each person; who was waited for is waited for no longer."""
    await _keep(tx, [(_told_person(each), each.envelope) for each in heard])


async def erase_people(tx: Transaction, heard: Sequence[Heard[UserDeleted]]) -> None:
    """UserDeleted: keep id and version alone, for good (scenario 26); open invitations end, their links go."""
    erased = [
        (Person(each.event.user_id, version=_version(each.envelope), deleted=True), each.envelope)
        for each in heard
    ]
    await _keep(tx, erased)


async def end_as_accepted(tx: Transaction, heard: Sequence[Heard[AppleUserAssociated]]) -> None:
    """AppleUserAssociated: the invitation has done its work, and no letter leaves any more (scenario 28)."""
    await _end(tx, [(_apple_user(each, associated=True), each.envelope) for each in heard])


async def end_as_cancelled(tx: Transaction, heard: Sequence[Heard[AppleUserRetired]]) -> None:
    """AppleUserRetired: the link leads nowhere now."""
    await _end(tx, [(_apple_user(each, associated=False), each.envelope) for each in heard])


async def invite(vault: Vault, tx: Transaction, heard: Sequence[Heard[InvitationRequested]]) -> None:
    """InvitationRequested: invite once; asked again, answer with the present state (promise 4).

    Raises Poison (`sealed_link_unreadable`, `link_unusable`) for a link that cannot be opened or sent.
    """
    links = [_link(vault, each) for each in heard]
    keys = [_key(each.event) for each in heard]
    people = await store.lock_people(tx, (key.user_id for key in keys))
    apple_users = await store.apple_users(tx, keys)
    latest = await store.latest_invitations(tx, keys)
    made: list[Change] = []
    for each, link, key in zip(heard, links, keys, strict=True):
        asked = _Asked(vault, each, link, people[key.user_id], apple_users.get(key))
        change = asked.answer(tx, latest.get(key))
        latest[key] = change.after
        made.append(change)
    await changes.save(tx, made)


class _Asked:
    """One request, and all that is known about whom it is for."""

    def __init__(
        self,
        vault: Vault,
        heard: Heard[InvitationRequested],
        link: Secret,
        person: Person,
        apple_user: AppleUser | None,
    ) -> None:
        self._vault = vault
        self._heard = heard
        self._link = link
        self._person = person
        self._apple_user = apple_user

    def answer(self, tx: Transaction, present: Invitation | None) -> Change:
        """Return what the request makes of the latest invitation: a new one, a new link in it, or its repetition."""
        fresh = self._moved(tx, self._fresh(tx))
        if present is None or decide.opens_anew(present, fresh, self._person):
            return self._change(None, fresh, StepKind.REQUESTED)
        if self._has_other_link(present):
            sealed_link = sealed.seal_link(self._vault, present.id, self._link)
            relinked = decide.relinked(
                present, version=_version(self._heard.envelope), sealed_link=sealed_link, now=tx.now
            )
            return self._change(present, self._moved(tx, relinked), StepKind.LINK_RENEWED)
        return self._change(present, present, None)

    def _fresh(self, tx: Transaction) -> Invitation:
        event, envelope, invitation_id = self._heard.event, self._heard.envelope, new_id()
        return Invitation(
            id=invitation_id,
            apple_user=_key(event),
            version=_version(envelope),
            person_version=event.person_version or 0,
            sealed_link=sealed.seal_link(self._vault, invitation_id, self._link),
            asset_ids=event.asset_ids,
            correlation_id=envelope.correlation_id,
            created_at=tx.now,
            changed_at=tx.now,
        )

    def _has_other_link(self, present: Invitation) -> bool:
        """Say whether a later Apple user than the invitation's was made meanwhile, with a link of its own."""
        if present.sealed_link is None or _version(self._heard.envelope) <= present.version:
            return False
        return sealed.open_link(self._vault, present.id, present.sealed_link) != self._link

    def _moved(self, tx: Transaction, invitation: Invitation) -> Invitation:
        return decide.moved(invitation, self._person, self._apple_user, tx.now)

    def _change(self, before: Invitation | None, after: Invitation, kind: StepKind | None) -> Change:
        envelope = self._heard.envelope
        return Change(before, after, kind, envelope.correlation_id, envelope.event_id)


async def _keep(tx: Transaction, told: Sequence[tuple[Person, Envelope]]) -> None:
    people = await store.lock_people(tx, (person.user_id for person, _ in told))
    news: dict[UUID, Envelope] = {}
    for person, envelope in told:
        known = people[person.user_id]
        if person.version > known.version and not known.deleted:
            people[person.user_id], news[person.user_id] = person, envelope
    await store.save_people(tx, [people[user_id] for user_id in news])
    await _move(tx, people, news)


async def _end(tx: Transaction, told: Sequence[tuple[AppleUser, Envelope]]) -> None:
    people = await store.lock_people(tx, (apple_user.key.user_id for apple_user, _ in told))
    known = await store.apple_users(tx, (apple_user.key for apple_user, _ in told))
    later: dict[AppleUserKey, AppleUser] = {}
    news: dict[UUID, Envelope] = {}
    for apple_user, envelope in told:
        before = later.get(apple_user.key) or known.get(apple_user.key)
        if before is None or apple_user.version > before.version:
            later[apple_user.key], news[apple_user.key.user_id] = apple_user, envelope
    await store.save_apple_users(tx, list(later.values()))
    await _move(tx, people, news)


async def _move(tx: Transaction, people: Mapping[UUID, Person], news: Mapping[UUID, Envelope]) -> None:
    """Move the open invitations of people with news to where they stand now."""
    present = await store.open_invitations(tx, news)
    apple_users = await store.apple_users(tx, (each.apple_user for each in present))
    made: list[Change] = []
    for before in present:
        person = people[before.apple_user.user_id]
        after = decide.moved(before, person, apple_users.get(before.apple_user), tx.now)
        if after is not before:
            cause = news[person.user_id].event_id
            made.append(Change(before, after, StepKind.MOVED, before.correlation_id, cause))
    await changes.save(tx, made)


def _link(vault: Vault, heard: Heard[InvitationRequested]) -> Secret:
    link = sealed.link_told(vault, heard)
    if not letter.usable_link(link.reveal()):
        raise Poison("link_unusable", "the link is not an https link that a letter could carry")
    return link


def _told_person(heard: Heard[UserChanged]) -> Person:
    """Return the copy that we keep: what a letter needs, and nothing more."""
    event = heard.event
    return Person(
        user_id=event.user_id,
        version=_version(heard.envelope),
        left=event.state == PersonState.LEFT,
        managed=bool(event.managed_apple_id),
        name=letter.clean_name(event.name),
        mail_address=letter.usable_address(event.mail_address),
        locale=letter.clean_name(event.locale),
    )


def _apple_user(
    heard: Heard[AppleUserAssociated] | Heard[AppleUserRetired], *, associated: bool
) -> AppleUser:
    return AppleUser(_key(heard.event), _version(heard.envelope), associated)


def _key(event: AppleUserAssociated | AppleUserRetired | InvitationRequested) -> AppleUserKey:
    return AppleUserKey(event.user_id, event.library_id)


def _version(envelope: Envelope) -> int:
    """Return the version told. Raises Poison (`no_sequence`): without one nobody can say which is newer."""
    if envelope.sequence is None:
        raise Poison("no_sequence", f"{envelope.type} without ce_sequence")
    return envelope.sequence
