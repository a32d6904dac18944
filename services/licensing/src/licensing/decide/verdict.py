"""What Apple's word means for the members of a request (pure).

The source of the numbers, and what each means, stands in model/errors.py.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from licensing.model import Fault, Happening, Holder, IntentKind, License, Listing, Proof
from licensing.model.errors import RETRIED
from shared.events.words import Refusal

NOT_ENOUGH_LICENSES = 9709
UNKNOWN_USER = 9609
_BY_LIST = frozenset({NOT_ENOUGH_LICENSES, 9616, 9619})
_AGAIN = {
    IntentKind.ASSOCIATE: RETRIED | {9616, 9619},
    IntentKind.DISASSOCIATE: RETRIED | {9616, 9619, UNKNOWN_USER},
}
"""9616, 9619: already, or not, assigned; 9609: Apple does not know the holder. Where the list says otherwise, it has
changed since."""
_IRREVOCABLE = frozenset({9607, 9706})
_NOT_FOR_DEVICES = frozenset({9628, 9707})
_TOO_MANY = frozenset({9700, 9701, 9702})


class Verdict(NamedTuple):
    """What happened to a member, and Apple's number where it was refused."""

    happening: Happening
    error_number: int | None = None


_DONE = Verdict(Happening.DONE)

Verdicts = Mapping[Verdict, Sequence[License]]


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of a request and how that was proven: who is judged, who is sent again, each part by itself."""

    proof: Proof
    judged: Verdicts = field(default_factory=dict)
    parts: Sequence[Sequence[License]] = ()

    @property
    def members(self) -> list[License]:
        """Return everybody for whom the request is settled."""
        return [member for group in (*self.judged.values(), *self.parts) for member in group]

    @property
    def undone(self) -> list[License]:
        """Return those for whom Apple did nothing: everything is as it was before the request."""
        judged = [group for verdict, group in self.judged.items() if verdict.happening is not Happening.DONE]
        return [member for group in (*judged, *self.parts) for member in group]

    def without(self, entitlement_ids: Collection[UUID]) -> "Repair":
        """Return the same for all but these."""
        judged = {verdict: _others(group, entitlement_ids) for verdict, group in self.judged.items()}
        parts = [_others(part, entitlement_ids) for part in self.parts]
        return Repair(self.proof, judged, [part for part in parts if part])


def verdicts(
    kind: IntentKind, members: Sequence[License], listing: Listing, faults: Sequence[Fault]
) -> Verdicts:
    """Judge the members of an ended request by Apple's list, read after it ended (promise 6).

    A FAILED event is a partial one: what the list shows counts, its error numbers only say why the rest was
    not done. A member that an inexact list lacks is not judged.
    """
    judged: dict[Verdict, list[License]] = defaultdict(list)
    for member in members:
        present = member.holder in listing.present
        if not present and not listing.exact:
            continue
        done = present is (kind is IntentKind.ASSOCIATE)
        judged[_DONE if done else _why(kind, member, faults)].append(member)
    return judged


def settled_by_list(kind: IntentKind, fault: Fault) -> bool:
    """Say whether a request refused whole for this reason is judged by Apple's list, like a failed event.

    None left (9709): the counts are read again with it. Already, or not, assigned: some of it is true already.
    A user that Apple does not know any more (9609) has nothing to give back.
    """
    return fault.number in _BY_LIST or (fault.number == UNKNOWN_USER and kind is IntentKind.DISASSOCIATE)


def after_refusal(members: Sequence[License], fault: Fault) -> Repair:
    """Cut the bad element out of a request that Apple refused whole; nothing of it was done.

    Where Apple names nobody, halves find the culprit: each is sent by itself.
    """
    everybody = _refused(fault.number, members[0].holder)
    if fault.number in _IRREVOCABLE | _NOT_FOR_DEVICES or (
        len(members) == 1 and fault.number not in _TOO_MANY
    ):
        return Repair(Proof.REFUSAL, {everybody: members})
    named = [member for member in members if member.holder in fault.holders]
    if named:
        rest = [member for member in members if member.holder not in fault.holders]
        return Repair(Proof.REFUSAL, {everybody: named}, [rest] if rest else [])
    middle = (len(members) + 1) // 2
    return Repair(Proof.REFUSAL, {}, [part for part in (members[:middle], members[middle:]) if part])


def refusal_for(error_number: int | None) -> Refusal:
    """Return the slug under which an error number of Apple's is told."""
    if error_number in _IRREVOCABLE:
        return Refusal.IRREVOCABLE
    if error_number in _NOT_FOR_DEVICES:
        return Refusal.NOT_DEVICE_ASSIGNABLE
    return Refusal.APPLE_REFUSED


def _others(group: Sequence[License], entitlement_ids: Collection[UUID]) -> list[License]:
    return [member for member in group if member.entitlement_id not in entitlement_ids]


def _why(kind: IntentKind, member: License, faults: Sequence[Fault]) -> Verdict:
    number = _number(member.holder, faults)
    if number is None or number in _AGAIN[kind]:
        return Verdict(Happening.NOT_DONE)
    if number == NOT_ENOUGH_LICENSES:
        associating = kind is IntentKind.ASSOCIATE
        return Verdict(Happening.NONE_LEFT if associating else Happening.NOT_DONE)
    return _refused(number, member.holder)


def _refused(number: int, holder: Holder) -> Verdict:
    """Return what a no means: a person whose Apple user is not known is invited first, everybody else is refused."""
    if number == UNKNOWN_USER and isinstance(holder, UUID):
        return Verdict(Happening.PROMISED)
    return Verdict(Happening.APPLE_REFUSED, number)


def _number(holder: Holder, faults: Sequence[Fault]) -> int | None:
    """Return the number that names this holder, else the one that names nobody and so means all."""
    unnamed = {fault.number for fault in faults if not fault.holders}
    for fault in faults:
        if holder in fault.holders:
            return fault.number
    return unnamed.pop() if len(unnamed) == 1 else None
