"""The ledger on PostgreSQL beside a dict: whatever comes in whatever order, the promises hold after every step."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from licensing.decide import Repair, Verdict, verdicts
from licensing.handlers.assets import tell_assets
from licensing.ledger import Ledger
from licensing.model import AppleFailure, Happening, Intent, IntentKind, License, Listing, Proof
from licensing.schedule import TELL_SECONDS
from licensing.steps.settle import put_back, settle
from licensing.store import foreign, intents, licenses, pools
from licensing.tables import metadata
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.events.licensing import AssetChanged
from shared.ids import new_id
from tests.licensing.situation import NOON, Situation, Wish, wishes

T = TypeVar("T")
Found = tuple[Transaction, Ledger, Intent, list[License]]

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))
"""EXAMPLES=2000 for a thorough run by hand."""

SERIALS = [f"S{number}" for number in range(3)]
TERMINAL = {"LicenseAssigned", "LicenseRefused", "LicenseReleased", "LicenseWaitlisted"}


class Outcome(StrEnum):
    """What Apple does with a request."""

    RAN = "ran"
    NEVER_RAN = "never ran"
    REFUSED = "refused for good"


_NUMBERS = {Outcome.RAN: 9709, Outcome.REFUSED: 9999}


class SimulatedApple:
    """Who holds a licence, as Apple counts it: first come, first served."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.holders: set[str] = set()

    def run(self, intent: Intent, members: list[License]) -> None:
        for member in members:
            if intent.kind is IntentKind.DISASSOCIATE:
                self.holders.discard(member.serial_number)
            elif len(self.holders) < self.total:
                self.holders.add(member.serial_number)

    def judge(self, intent: Intent, members: list[License], outcome: Outcome) -> Repair:
        """Say what a list proves that is read after the event ended; what it lacks was not done for that reason."""
        failures = () if outcome is Outcome.NEVER_RAN else (AppleFailure(_NUMBERS[outcome]),)
        listing = Listing(frozenset(self.holders), exact=True)
        return Repair(Proof.LIST, verdicts(intent.kind, members, listing, failures))


class LedgerMachine(RuleBasedStateMachine):
    """Random wishes, purchases, refunds and outcomes; `wanted` is the model: which life each serial has."""

    url: ClassVar[str]
    runner: ClassVar[asyncio.Runner]

    @initialize(total=st.integers(1, 4))
    def begin(self, total: int) -> None:
        self.held: Counter[str] = Counter()
        self.foreign: set[str] = set()
        self.apple = SimulatedApple(total)
        self.lives: dict[str, list[Wish]] = {serial: [] for serial in SERIALS}
        self.wanted: dict[str, bool] = dict.fromkeys(SERIALS, False)
        self.told: dict[Any, list[str]] = {}
        self.run(self._begin(total))

    async def _begin(self, total: int) -> None:
        self.clock = TurnedClock(NOON)
        self.database = Database(self.url, clock=self.clock, pool_size=1)
        async with self.database.transaction() as tx:
            for table in reversed(metadata.sorted_tables):
                await tx.raw.execute(f"DELETE FROM {table.name}")
        self.situation = Situation(self.database)
        await self.situation.begin(total)

    @rule(
        chosen=st.sets(st.sampled_from(SERIALS), min_size=1),
        priority=st.integers(0, 2),
        no_wait=st.booleans(),
    )
    def request(self, chosen: set[str], priority: int, no_wait: bool) -> None:  # noqa: FBT001 - drawn
        """Ask for new lives where the last one has ended, and again where it has not."""
        for serial in chosen:
            if not self.wanted[serial]:
                self.lives[serial].append(Wish(serial, new_id()))
                self.wanted[serial] = True
        targets = [self.lives[serial][-1] for serial in sorted(chosen)]
        self.run(self.situation.request(*targets, priority=priority, no_wait=no_wait))

    @rule(chosen=st.sets(st.sampled_from(SERIALS), min_size=1), sends=st.booleans())
    def revoke(self, chosen: set[str], sends: bool) -> None:  # noqa: FBT001 - drawn
        """Take lives back; also those that were never told of, and twice."""
        targets = [self.lives[serial][-1] for serial in sorted(chosen) if self.lives[serial]]
        for target in targets:
            self.wanted[target.serial_number] = False
        if targets:
            self.run(self.situation.revoke(*targets))
        if sends:
            self.run(self._send(0))

    @rule(serial=st.sampled_from(SERIALS))
    def late_duplicate(self, serial: str) -> None:
        """Bring the request of an ended life once more."""
        if len(self.lives[serial]) > 1:
            self.run(self.situation.request(self.lives[serial][0]))

    @rule(serial=st.sampled_from(SERIALS))
    def new_life_before_the_revoke(self, serial: str) -> None:
        """Let a new life overtake the revoke of the former one."""
        former, self.wanted[serial] = self.lives[serial][-1:], True
        self.lives[serial].append(Wish(serial, new_id()))
        self.run(self.situation.request(self.lives[serial][-1]))
        if former:
            self.run(self.situation.revoke(*former))

    @rule(serial=st.sampled_from(SERIALS), sent=st.booleans(), outcome=st.sampled_from([None, *Outcome]))
    def leave_and_return(self, serial: str, sent: bool, outcome: Outcome | None) -> None:  # noqa: FBT001 - drawn
        """Let a target come back while its release has left for Apple, or is about to; perhaps hear of it at once."""
        if self.wanted[serial]:
            self.run(self._drain())
            self.run(self.situation.revoke(self.lives[serial][-1]))
            if sent:
                self.run(self._send(0))
            self.lives[serial].append(Wish(serial, new_id()))
            self.run(self.situation.request(self.lives[serial][-1]))
            if outcome is not None:
                self.run(self._settle_one(0, outcome))

    @rule(change=st.integers(-3, 3))
    def buy_or_refund(self, change: int) -> None:
        """Change what is owned; our ledger reads it at once."""
        self.apple.total = max(0, self.apple.total + change)
        self.run(self._store_total())

    @rule(place=st.integers(0, 3))
    def send(self, place: int) -> None:
        """Send one request."""
        self.run(self._send(place))

    @rule(serial=st.sampled_from(SERIALS))
    def another_hand_gives(self, serial: str) -> None:
        """Let somebody else assign a licence; nobody tells us."""
        if len(self.apple.holders) < self.apple.total:
            self.apple.holders.add(serial)

    @rule()
    def read_the_list(self) -> None:
        """Read what is owned, and who is foreign."""
        self.run(self._read_list())

    @rule(place=st.integers(0, 3), outcome=st.sampled_from(Outcome))
    def settle_one(self, place: int, outcome: Outcome) -> None:
        """Let Apple do with one request what it does, and settle it by the list."""
        self.run(self._settle_one(place, outcome))

    @rule()
    def send_and_settle_all(self) -> None:
        """Let Apple do everything that is on its way."""
        self.run(self._drain())

    @rule(place=st.integers(0, 3))
    def put_back_one(self, place: int) -> None:
        """Learn that Apple certainly has not got one request."""
        self.run(self._put_back(place))

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "situation"):
            self.run(self._check())

    def teardown(self) -> None:
        if hasattr(self, "situation"):
            self.run(self._come_to_rest())
            self.run(self.database.close())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if hasattr(self, "situation"):
            self.clock.turn(1)
        return self.runner.run(coroutine)

    async def _check(self) -> None:
        await self.situation.check()
        await self._check_grants()
        for entitlement_id, answers in (await self.situation.told_of()).items():
            self.told.setdefault(entitlement_id, []).extend(answers)

    async def _check_grants(self) -> None:
        """Promise 1: whoever holds a unit more than before was granted it within the capacity of that moment.

        But a foreign licence that became ours: its unit comes with it, be the pool over-allocated or not.
        """
        rows = await self.situation.rows(
            "SELECT serial_number FROM license WHERE state IN ('reserved', 'assigned', 'releasing')"
        )
        held = Counter(row["serial_number"] for row in rows)
        adopted = self.foreign | (self.apple.holders - self.held.keys())
        granted = {serial for serial, units in held.items() if units > self.held[serial]} - adopted
        pool = await self.situation.pool()
        capacity = pool["total"] - pool["retired"] - pool["foreign_count"]
        assert not granted or held.total() <= capacity, "granted beyond the capacity"
        strangers = await self.situation.rows("SELECT serial_number FROM foreign_assignment")
        self.foreign = {row["serial_number"] for row in strangers}
        assert len(self.foreign) == pool["foreign_count"]
        assert not self.foreign & held.keys(), "what is ours is not foreign"
        self.held = held

    async def _store_total(self) -> None:
        async with self.database.transaction() as tx:
            await pools.lock(tx, [self.situation.pool_id])
            await tx.raw.execute("UPDATE pool SET total = $1", self.apple.total)
            ledger = await Ledger.of_pools(tx, [self.situation.pool_id])
            await ledger.close()

    async def _send(self, place: int) -> None:
        async with _one_intent(self.situation, place, sent=False) as found:
            if found is not None:
                tx, _, intent, _ = found
                await intents.mark_sent(tx, intent.intent_id)

    async def _read_list(self) -> None:
        async with self.database.transaction() as tx:
            await pools.lock(tx, [self.situation.pool_id])
            await self._store_list(tx)
            ledger = await Ledger.of_pools(tx, [self.situation.pool_id])
            await ledger.adopt_waiting(self.situation.pool_id)
            await ledger.close()

    async def _store_list(self, tx: Transaction) -> None:
        await tx.raw.execute("UPDATE pool SET total = $1", self.apple.total)
        pool_id, holders = self.situation.pool_id, sorted(self.apple.holders)
        strangers = await foreign.strangers(tx, pool_id, holders, since=tx.now)
        await foreign.store(tx, pool_id, strangers, people=0, since=tx.now)

    async def _settle_one(self, place: int, outcome: Outcome) -> None:
        async with _one_intent(self.situation, place, sent=True) as found:
            if found is None:
                return
            tx, _, intent, members = found
            if outcome is Outcome.RAN:
                self.apple.run(intent, members)
            await self._store_list(tx)
            ledger = await Ledger.of_pools(tx, [self.situation.pool_id])
            await ledger.adopt_waiting(self.situation.pool_id)
            await settle(tx, ledger, intent, members, self.apple.judge(intent, members, outcome))
            await ledger.close()

    async def _drain(self) -> None:
        for _ in range(60):
            if not await self.situation.rows("SELECT 1 FROM intent"):
                break
            await self._send(0)
            await self._settle_one(0, Outcome.RAN)
            await self._check()

    async def _put_back(self, place: int) -> None:
        async with _one_intent(self.situation, place, sent=True) as found:
            if found is not None:
                await put_back(*found)

    async def _come_to_rest(self) -> None:
        """Send and settle until nothing is under way: then the ledger and Apple agree."""
        await self._drain()
        await self._read_list()
        await self._check()
        await self._drain()
        assert not await self.situation.rows("SELECT 1 FROM intent")
        await self._check()
        rows = await self.situation.rows(
            "SELECT serial_number, entitlement_id FROM license WHERE state = 'assigned'"
        )
        assigned = {row["serial_number"]: row["entitlement_id"] for row in rows}
        pool = await self.situation.pool()
        assert assigned.keys() | self.foreign == self.apple.holders
        assert pool["held"] + pool["foreign_count"] == len(self.apple.holders)
        assert pool["total"] == self.apple.total
        for serial, wanted in self.wanted.items():
            if not wanted and serial in assigned:
                assert self.told[assigned[serial]][-1] == "LicenseRefused", (
                    "only Apple keeps what is not wanted"
                )
            for life in self.lives[serial]:
                assert TERMINAL & set(self.told.get(life.entitlement_id, []))


@asynccontextmanager
async def _one_intent(situation: Situation, place: int, *, sent: bool) -> AsyncIterator[Found | None]:
    """Yield one unsettled request with its locked ledger, which is closed at the end; None where there is none."""
    async with situation.database.transaction() as tx:
        ledger = await Ledger.of_pools(tx, [situation.pool_id])
        await tx.raw.execute("DELETE FROM intent WHERE size = 0")  # as its step does
        rows = await tx.raw.fetch(
            "SELECT id FROM intent WHERE (sent_at IS NOT NULL) = $1 ORDER BY kind DESC, id", sent
        )
        if not rows:
            yield None
            return
        intent = await intents.read(tx, rows[place % len(rows)]["id"])
        assert intent is not None
        yield tx, ledger, intent, await licenses.of_intent(tx, intent.intent_id)
        await ledger.close()


@pytest.mark.timeout(120 + EXAMPLES)
def test_the_promises_hold_whatever_happens_in_whatever_order(licensing_url: str) -> None:
    with asyncio.Runner() as runner:  # a loop of its own: Hypothesis calls from outside any
        LedgerMachine.url = licensing_url
        LedgerMachine.runner = runner
        run_state_machine_as_test(
            LedgerMachine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate,),  # shrinking would take minutes: run the printed steps by hand
            ),
        )


async def test_scenario_11_versions_rise_strictly_under_many_writers(situation: Situation) -> None:
    await situation.begin(1000)

    async def write(number: int) -> None:
        await situation.request(*wishes(5, f"W{number}X"))

    async def tell() -> None:
        async with situation.database.transaction() as tx:
            await tell_assets(tx)

    await asyncio.gather(*(write(n) if n % 2 else tell() for n in range(40)))
    await tell()
    told = [envelope for envelope, _ in await situation.told() if envelope.type == "AssetChanged"]
    versions = [envelope.sequence or 0 for envelope in told]
    assert versions == sorted(set(versions))
    assert (await situation.pool())["held"] == 100


async def test_many_changes_of_an_asset_are_told_once_when_the_clock_calls(situation: Situation) -> None:
    await situation.begin(10)
    for target in wishes(3):
        await situation.request(target)
    for _ in range(2):
        async with situation.database.transaction() as tx:
            await tell_assets(tx)
    (event,) = [event for _, event in await situation.told() if isinstance(event, AssetChanged)]
    assert (event.pools[0].held, event.pools[0].available) == (3, 7)
    assert TELL_SECONDS >= 1


async def test_scenario_10_overlapping_sets_from_many_hands_do_not_deadlock(situation: Situation) -> None:
    await situation.begin(30)
    targets = wishes(60)
    dice = random.Random(7)
    await situation.request(*targets[:40])

    async def some(number: int) -> None:
        chosen = dice.sample(targets, 25)
        match number % 3:
            case 0:
                await situation.request(*chosen)
            case 1:
                await situation.revoke(*chosen[:5])
            case _:
                async with _one_intent(situation, number, sent=number % 2 == 0) as found:
                    if found is not None and found[2].sent_at is None:
                        await intents.mark_sent(found[0], found[2].intent_id)
                    elif found is not None:
                        tx, ledger, intent, members = found
                        await settle(
                            tx,
                            ledger,
                            intent,
                            members,
                            Repair(Proof.EVENT, {Verdict(Happening.DONE): members}),
                        )

    await asyncio.gather(*(some(number) for number in range(60)))
    await situation.check()
