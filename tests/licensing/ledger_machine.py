"""What can happen to licences, as the rules of a state machine; the world that it happens to is ledger_world.py."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from licensing.handlers.pools import prefer_pool
from shared.events.words import RevokeReason
from tests.licensing.apple_in_memory import Answer
from tests.licensing.ledger_world import LIBRARIES, PEOPLE, LedgerWorld
from tests.licensing.situation import LIBRARY, Wish


class LedgerMachine(LedgerWorld):
    """Assignment asks and takes back, we work and die, Apple and others do as they please."""

    # -- what assignment asks

    @rule(
        chosen=st.sets(st.integers(0, 4), min_size=1),
        priority=st.integers(0, 2),
        no_wait=st.sampled_from([False, False, True]),
        library_id=st.sampled_from([None, None, *LIBRARIES]),
        patience=st.sampled_from([None, 30, 600]),
    )
    def request(self, chosen: set[int], patience: int | None, **said: Any) -> None:
        """Ask for new lives where the last one has ended, and again where it has not."""
        holders = self._chosen(chosen)
        for holder in holders:
            if not self.wanted[holder]:
                self._open_life(holder)
        targets = [self.lives[holder][-1] for holder in holders]
        self.run(lambda: self._ask(targets, patience=patience, **said))

    @rule(
        place=st.integers(0, 4),
        priority=st.integers(0, 2),
        no_wait=st.sampled_from([False, False, True]),
        library_id=st.sampled_from([None, *LIBRARIES]),
        patience=st.sampled_from([None, 30, 600]),
    )
    def cover_otherwise(self, place: int, patience: int | None, **said: Any) -> None:
        """Tell another cover of a life under a higher version; the former one, late, changes nothing then."""
        [holder] = self._chosen([place])
        if self.wanted[holder]:
            former = self.lives[holder][-1]
            later = Wish(holder, former.entitlement_id, former.version + 1)
            self.lives[holder][-1] = later
            self.run(lambda: self._ask([later], patience=patience, **said))
            before = self.runner.run(self._row(later))
            self.run(lambda: self._ask([former], priority=9))
            assert self.runner.run(self._row(later)) == before, "a lower version was not ignored"

    @rule(
        chosen=st.sets(st.integers(0, 4), min_size=1),
        reason=st.sampled_from([RevokeReason.LEFT_GROUP, RevokeReason.WIPED]),
    )
    def revoke(self, chosen: set[int], reason: RevokeReason) -> None:
        """Take lives back, at once or after a grace; also those that were never told of, and twice."""
        targets = [self.lives[holder][-1] for holder in self._chosen(chosen) if self.lives[holder]]
        for target in targets:
            self.wanted[target.holder] = False
        if targets:
            self.run(lambda: self._revoke(targets, reason))

    @rule(place=st.integers(0, 4))
    def late_duplicates(self, place: int) -> None:
        """Bring the request and the revoke of an ended life once more."""
        [holder] = self._chosen([place])
        for life in self.lives[holder][: -1 if self.wanted[holder] else None][:1]:
            self.run(lambda life=life: self._ask([life]))  # type: ignore[misc]
            self.run(lambda life=life: self._revoke([life], RevokeReason.ENDED))  # type: ignore[misc]

    @rule(place=st.integers(0, 4), library_id=st.sampled_from([None, *LIBRARIES]))
    def new_life_before_the_revoke(self, place: int, library_id: str | None) -> None:
        """Let a new life overtake the revoke of the former one, both told in one batch with what was told before."""
        [holder] = self._chosen([place])
        former = self.lives[holder][-1:]
        later = self._open_life(holder)
        self.run(lambda: self._ask(former, later, library_id=library_id))
        if former:
            self.run(lambda: self._revoke(former, RevokeReason.LEFT_GROUP))

    @rule(
        place=st.integers(0, 4),
        library_id=st.sampled_from([None, *LIBRARIES]),
        release=st.sampled_from(["is not sent", "is under way", "is done", "is refused", "is put back"]),
    )
    def leave_and_return(self, place: int, library_id: str | None, release: str) -> None:
        """Let a target come back while its release has left for Apple, or is about to; perhaps hear of it at once."""
        [holder] = self._chosen([place])
        if not self.wanted[holder]:
            return
        self.apple_works_and_so_do_we(rounds=2)
        former = self.lives[holder][-1]
        self.run(lambda: self._revoke([former], RevokeReason.LEFT_GROUP))
        later = self._open_life(holder)
        if release == "is put back":
            self.apple.answer = Answer.BUSY
            self.apple.meanwhile = lambda: self._elsewhere(self._ask([later], library_id=library_id))
        if release != "is not sent":
            self.run(lambda: self._work(4))
        self.run(lambda: self._ask([later], library_id=library_id))
        if release in {"is done", "is refused"}:
            for event in self.apple.pending:
                self.apple.run(event, refuses=release == "is refused")
            self.apple_works_and_so_do_we(rounds=1)

    # -- what our processes do, and what stops them

    @rule(rows=st.integers(1, 6))
    def work(self, rows: int) -> None:
        """Do what is due."""
        self.run(lambda: self._work(rows))

    @rule(rounds=st.integers(1, 3))
    def apple_works_and_so_do_we(self, rounds: int) -> None:
        """Let Apple end what it took, and us hear of it."""
        for _ in range(rounds):
            for event in self.apple.pending:
                self.apple.run(event)
            self._pass_time(31)
            self.run(lambda: self._work(8))

    @rule(seconds=st.sampled_from([31, 61, 301, 601]))
    def time_passes(self, seconds: int) -> None:
        self._pass_time(seconds)

    @rule(job=st.sampled_from(["waiting", "quarantine", "left behind", "serve"]))
    def the_clock_calls(self, job: str) -> None:
        self.run(lambda: self._call(job))

    @rule(library_id=st.sampled_from(LIBRARIES))
    def another_default(self, library_id: str) -> None:
        """Make a library the asset's default."""

        async def prefer() -> None:
            async with self.database.transaction() as tx:
                await prefer_pool(tx, self.pools[library_id])

        self.run(prefer)

    @rule(rows=st.integers(0, 4))
    def counts_are_wanted(self, rows: int) -> None:
        self.run(self._want_counts)
        self.run(lambda: self._work(rows))

    @rule(rows=st.integers(0, 12))
    def a_reconciliation_is_wanted(self, rows: int) -> None:
        """Find where we differ, and have all of it repaired."""
        self._pass_time(61)  # what moved just now proves nothing
        self.run(self._want_reconciliation)
        self.run(lambda: self._work(rows))

    # -- what Apple and others do

    @rule(place=st.integers(0, 3), refuses=st.sampled_from([False, False, True]))
    def apple_works(self, place: int, refuses: bool) -> None:  # noqa: FBT001 - drawn
        """Let one event end."""
        pending = self.apple.pending
        if pending:
            self.apple.run(pending[place % len(pending)], refuses=refuses)

    @rule(
        trouble=st.one_of(
            st.integers(0, 60), st.sampled_from(list(Answer)), st.sampled_from(["one walk", "all walks"])
        )
    )
    def trouble_is_ahead(self, trouble: int | str | Answer) -> None:
        """Let a process die after so many statements, Apple answer otherwise, or lists change while they are read."""
        match trouble:
            case int():
                self.database.statements_left = trouble
            case Answer():
                self.apple.answer = trouble
            case _:
                self.apple.unsteady_walks = 1 if trouble == "one walk" else 5

    @rule(library_id=st.sampled_from(LIBRARIES), change=st.integers(-3, 3))
    def buy_or_refund(self, library_id: str, change: int) -> None:
        """Change what is owned; nobody tells us."""
        library = self.apple.libraries[library_id]
        library.total = max(library.retired, library.total + change)

    @rule(
        place=st.integers(0, 4), reason=st.sampled_from([None, RevokeReason.LEFT_GROUP, RevokeReason.WIPED])
    )
    def another_hand_gives_beside_ours(self, place: int, reason: RevokeReason | None) -> None:
        """Let somebody else give a second licence; we find it, and perhaps it is our own that is to come back."""
        ours = [(each, name) for each in LIBRARIES for name in sorted(self.apple.libraries[each].holders)]
        if ours:
            library_id, name = ours[place % len(ours)]
            [holder] = [holder for holder in self.holders if str(holder) == name]
            other = LIBRARIES[library_id == LIBRARY]
            self._another_hand(other, self.holders.index(holder), gives=True)
            self.a_reconciliation_is_wanted(rows=8)
            if self.wanted[holder] and reason is not None:
                self.wanted[holder] = False
                self.run(lambda: self._revoke([self.lives[holder][-1]], reason))

    @rule(
        library_id=st.sampled_from(LIBRARIES),
        place=st.integers(0, 4),
        gives=st.sampled_from([True, True, False]),
        found=st.sampled_from([True, True, False]),
    )
    def another_hand(self, library_id: str, place: int, gives: bool, found: bool) -> None:  # noqa: FBT001 - drawn
        """Let somebody else give a licence or, of an app, take it; nobody tells us, but perhaps we find out."""
        self._another_hand(library_id, place, gives=gives)
        if found:
            self.a_reconciliation_is_wanted(rows=12)

    @rule(
        place=st.integers(0, 4),
        library_id=st.sampled_from(LIBRARIES),
        what=st.sampled_from(["asked", "revoked", "given", "taken", "accepted", "apple works"]),
    )
    def meanwhile(self, place: int, library_id: str, what: str) -> None:
        """Let something happen while we wait for Apple's next answer."""
        self.apple.meanwhile = lambda: self._elsewhere(self._happen(place, library_id, what))

    @rule(
        place=st.integers(0, 1),
        library_id=st.sampled_from(LIBRARIES),
        what=st.sampled_from(["joins", "joins", "leaves", "invitation ends", "account in use", "is read"]),
    )
    def person(self, place: int, library_id: str, what: str) -> None:
        """Let something become of a person's Apple user; we know once the users are read."""
        user_id = PEOPLE[place]
        library = self.apple.libraries[library_id]
        match what:
            case "joins":
                library.users.add(str(user_id))
            case "leaves":
                library.retire(str(user_id), revocable=not self.book)
            case _:
                self.run(lambda: self._tell_person(library_id, user_id, what))
        if what == "joins" or self.book:
            self.run(lambda: self._tell_person(library_id, user_id, "is read"))


class BookMachine(LedgerMachine):
    """The same with an asset whose licences never return (R6, promise 7)."""

    book = True
