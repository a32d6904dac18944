"""Apple's side of one asset in several libraries, in memory: what it does and when is said by a test, or drawn."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from licensing.model import (
    Access,
    AppleFailure,
    AppleRefused,
    AssetFacts,
    AssetKey,
    AssetList,
    AssignmentPage,
    EventState,
    EventStatus,
    HolderKind,
    IntentKind,
    Limits,
    ListedAsset,
    OutcomeUnknown,
    Reading,
)
from shared.clock import Clock
from shared.errors import Unavailable
from shared.ids import new_id

_LONGEST = timedelta(minutes=9)
"""Apple's events end sooner than silence proves anything (promise 6)."""
_PAGE = 2
_SMALL = Limits(serial_numbers=2, client_user_ids=2, users=2, assets=2)
FINAL = 9999
"""A number that we know nothing of: a final no."""


class Crash(Exception):
    """The process dies here."""


_PENDING = EventState(EventStatus.PENDING)


class Answer(StrEnum):
    """How Apple answers a request."""

    TAKEN = "taken"
    TAKEN_UNHEARD = "taken, and the answer is lost"
    TAKEN_AND_WE_DIE = "taken, and we die before we store the answer"
    LOST = "the request is lost on its way"
    BUSY = "come later"
    NONE_LEFT = "refused whole: none left"
    REFUSED = "refused whole, for its first name"
    UNKNOWN_USER = "refused whole, for a user that Apple does not know, and nobody is named"


_TAKEN = frozenset({Answer.TAKEN, Answer.TAKEN_UNHEARD, Answer.TAKEN_AND_WE_DIE})


@dataclass
class Library:
    """Who holds a licence, and whose Apple user is associated. `total` counts what is retired too."""

    total: int
    holders: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    ever_held: set[str] = field(default_factory=set)
    given_by_others: set[str] = field(default_factory=set)
    retired: int = 0
    version: int = 0

    @property
    def full(self) -> bool:
        return len(self.holders) + self.retired >= self.total

    def change(self, kind: IntentKind, name: str, *, of_people: bool) -> int | None:
        """Give or take back; return the number of Apple's error where it does neither."""
        self.version += 1
        if kind is IntentKind.DISASSOCIATE:
            if name not in self.holders:
                return 9619
            self.lose(name)
            return None
        if of_people and name not in self.users:
            return 9609
        if name in self.holders:
            return 9616
        if self.full:
            return 9709
        self._give(name)
        return None

    def _give(self, name: str) -> None:
        self.holders.add(name)
        self.ever_held.add(name)

    def lose(self, name: str) -> None:
        self.version += 1
        self.holders.discard(name)
        self.given_by_others.discard(name)

    def give_by_another_hand(self, name: str) -> None:
        if not self.full and name not in self.holders:
            self.version += 1
            self._give(name)
            self.given_by_others.add(name)

    def retire(self, name: str, *, revocable: bool) -> None:
        """End an Apple user: what they hold comes back, or is spent for good."""
        self.users.discard(name)
        if name in self.holders:
            self.retired += not revocable
            self.lose(name)


@dataclass
class Event:
    """A request that Apple took."""

    library_id: str
    kind: IntentKind
    names: frozenset[str]
    of_people: bool
    taken_at: datetime
    state: EventState = _PENDING

    def is_about_one_of(self, other: "Event") -> bool:
        return self.library_id == other.library_id and bool(self.names & other.names)


class AppleInMemory:
    """Answers the steps. `meanwhile` happens once, while we wait for an answer."""

    def __init__(self, facts: AssetFacts, libraries: Mapping[str, Library], clock: Clock) -> None:
        self.facts = facts
        self.libraries = libraries
        self.events: dict[str, Event] = {}
        self.answer = Answer.TAKEN
        self.unsteady_walks = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self._clock = clock

    @property
    def pending(self) -> list[Event]:
        return [event for event in self.events.values() if event.state.status is EventStatus.PENDING]

    def run(self, event: Event, *, refuses: bool = False) -> None:
        """Let an event come to its end."""
        library = self.libraries[event.library_id]
        failed: dict[int, set[str]] = defaultdict(set)
        for name in sorted(event.names):
            number = FINAL if refuses else library.change(event.kind, name, of_people=event.of_people)
            if number is not None:
                failed[number].add(name)
        failures = tuple(
            _failure(number, () if number == 9709 else names, of_people=event.of_people)
            for number, names in failed.items()
        )
        event.state = EventState(EventStatus.FAILED if failures else EventStatus.COMPLETE, failures)

    def run_overdue(self) -> None:
        """Let those end that have taken as long as any does."""
        for event in self.pending:
            if event.taken_at + _LONGEST <= self._clock.now():
                self.run(event)

    async def turn(self, _access: Access) -> Limits:
        return _SMALL

    def forget_limits(self) -> None:
        """Nothing is remembered."""

    async def write(
        self,
        access: Access,
        kind: IntentKind,
        _key: AssetKey,
        names: Sequence[str],
        *,
        holders: HolderKind = HolderKind.SERIAL_NUMBERS,
    ) -> str:
        """Take a request; it must not name whom an event is about that has not ended (promise 6)."""
        of_people = holders is HolderKind.CLIENT_USER_IDS
        event = Event(access.library_id, kind, frozenset(names), of_people, self._clock.now())
        assert not any(other.is_about_one_of(event) for other in self.pending), "one at a time"
        assert self.facts.revocable or kind is IntentKind.ASSOCIATE, (
            "an irrevocable licence is never released"
        )
        answer, self.answer = self.answer, Answer.TAKEN
        await self._let_others_act()
        if answer in _TAKEN:
            event_id = str(new_id())
            self.events[event_id] = event
        if answer is Answer.TAKEN:
            return event_id
        raise _trouble(answer, names[:1], of_people=of_people)

    async def status(self, _access: Access, event_id: str) -> EventState:
        return self.events[event_id].state

    async def asset(self, access: Access, _key: AssetKey) -> ListedAsset | None:
        await self._let_others_act()
        return self._listed(access.library_id)

    async def assets(self, access: Access) -> AssetList:
        listed = self._listed(access.library_id)
        await self._let_others_act()
        return AssetList([listed], exact=True)

    async def assignments(
        self, access: Access, _key: AssetKey, *, first_page: int = 0
    ) -> AsyncGenerator[AssignmentPage, None]:
        """Yield small pages, each as the list is when it is read."""
        library, index = self.libraries[access.library_id], first_page
        while True:
            names, version = sorted(library.holders), library.version
            if index and index * _PAGE >= len(names):
                raise AppleRefused(AppleFailure(9650))
            part, index = names[index * _PAGE : (index + 1) * _PAGE], index + 1
            last = index * _PAGE >= len(names)
            if last and index > 1 and self.unsteady_walks:
                self.unsteady_walks -= 1
                part, version = part[1:], version + 1  # somebody moved to a page that was read before
            yield _page(part, version, None if last else index)
            if last:
                return
            await self._let_others_act()

    def _listed(self, library_id: str) -> ListedAsset:
        library = self.libraries[library_id]
        assigned = len(library.holders)
        available = max(0, library.total - library.retired - assigned)
        return ListedAsset(self.facts, Reading(library.total, available, assigned, library.retired))

    async def _let_others_act(self) -> None:
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            await act()


def _page(names: Sequence[str], version: int, next_page: int | None) -> AssignmentPage:
    devices = [name for name in names if is_device(name)]
    people = [name for name in names if not is_device(name)]
    return AssignmentPage(devices, people, str(version), next_page)


def is_device(name: str) -> bool:
    """Say whether a holder is a device: people go by their user ids."""
    return name.startswith("S")


def _failure(number: int, names: Sequence[str] | set[str], *, of_people: bool) -> AppleFailure:
    named = frozenset(names)
    return (
        AppleFailure(number, client_user_ids=named)
        if of_people
        else AppleFailure(number, serial_numbers=named)
    )


def _trouble(answer: Answer, first: Sequence[str], *, of_people: bool) -> Exception:
    """Return what we see where Apple's answer is not its event's id."""
    match answer:
        case Answer.TAKEN_AND_WE_DIE:
            return Crash()
        case Answer.BUSY:
            return Unavailable("apple_503")
        case Answer.NONE_LEFT:
            return AppleRefused(AppleFailure(9709))
        case Answer.UNKNOWN_USER:
            return AppleRefused(AppleFailure(9609))
        case Answer.REFUSED:
            return AppleRefused(_failure(FINAL, first, of_people=of_people))
        case _:
            return OutcomeUnknown("no_answer")
