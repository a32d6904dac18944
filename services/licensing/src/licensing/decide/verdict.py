"""What Apple's word means for the members of a request (pure).

Source of the numbers: App and Book Management API, "Handling error responses" and the legacy "Interpreting
Error Codes".
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from licensing.model import AppleFailure, Happening, IntentKind, License, Listing, Proof
from shared.events.words import Refusal

NOT_ENOUGH_LICENSES = 9709
_BY_LIST = frozenset({NOT_ENOUGH_LICENSES, 9616, 9619})
_AGAIN = frozenset({9603, 9616, 9619, 9643, 9644, 9646, 9729})
"""Internal error, already (or not) assigned, locked by a transfer, maintenance, too many requests, moved."""
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
    kind: IntentKind, members: Sequence[License], listing: Listing, failures: Sequence[AppleFailure]
) -> Verdicts:
    """Judge the members of an ended request by Apple's list, read after it ended (promise 6).

    A FAILED event is a partial one: what the list shows counts, its error numbers only say why the rest was
    not done. A member that an inexact list lacks is not judged.
    """
    judged: dict[Verdict, list[License]] = defaultdict(list)
    for member in members:
        present = member.serial_number in listing.present
        if not present and not listing.exact:
            continue
        done = present is (kind is IntentKind.ASSOCIATE)
        judged[_DONE if done else _why(kind, member, failures)].append(member)
    return judged


def settled_by_list(failure: AppleFailure) -> bool:
    """Say whether a request refused whole for this reason is judged by Apple's list, like a failed event.

    None left (9709): the counts are read again with it. Already, or not, assigned: some of it is true already.
    """
    return failure.number in _BY_LIST


def after_refusal(members: Sequence[License], failure: AppleFailure) -> Repair:
    """Cut the bad element out of a request that Apple refused whole; nothing of it was done.

    Where Apple names nobody, halves find the culprit: each is sent by itself.
    """
    everybody = Verdict(Happening.APPLE_REFUSED, failure.number)
    if failure.number in _IRREVOCABLE | _NOT_FOR_DEVICES or (
        len(members) == 1 and failure.number not in _TOO_MANY
    ):
        return Repair(Proof.REFUSAL, {everybody: members})
    named = [member for member in members if member.serial_number in failure.serial_numbers]
    if named:
        rest = [member for member in members if member.serial_number not in failure.serial_numbers]
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


def _why(kind: IntentKind, member: License, failures: Sequence[AppleFailure]) -> Verdict:
    number = _number(member.serial_number, failures)
    if number is None or number in _AGAIN:
        return Verdict(Happening.NOT_DONE)
    if number == NOT_ENOUGH_LICENSES:
        associating = kind is IntentKind.ASSOCIATE
        return Verdict(Happening.NONE_LEFT if associating else Happening.NOT_DONE)
    return Verdict(Happening.APPLE_REFUSED, number)


def _number(serial_number: str, failures: Sequence[AppleFailure]) -> int | None:
    """Return the number that names this serial, else the one that names nobody and so means all."""
    unnamed = {failure.number for failure in failures if not failure.serial_numbers}
    for failure in failures:
        if serial_number in failure.serial_numbers:
            return failure.number
    return unnamed.pop() if len(unnamed) == 1 else None
