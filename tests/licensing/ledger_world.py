"""The ledger and its steps on PostgreSQL, beside an Apple in memory: whatever happens in whatever order.

Rules are what can happen; after each of them the promises are held, and in the end our totals are Apple's.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition

from licensing import handlers, roster, work
from licensing.handlers.reconciling import reconcile_daily
from licensing.ledger import people as licenses_of_people
from licensing.model import AssetFacts, AssetKey, Holder
from licensing.model.reconciling import DifferenceClass
from licensing.steps import Desk, Pace
from licensing.steps.assets import AssetsStep
from licensing.steps.intent import IntentStep
from licensing.steps.list import ListStep
from licensing.steps.reconcile import ReconcileStep
from licensing.steps.repair import RepairStep
from licensing.store import people
from licensing.tables import metadata
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events.words import AssetKind, Refusal, RevokeReason
from shared.ids import new_id
from shared.vault import Vault
from shared.worker import LeaseLost, Step, WorkRow
from tests.licensing.apple_in_memory import Answer, AppleInMemory, Crash, Library
from tests.licensing.situation import LIBRARY, NOON, Situation, Wish

T = TypeVar("T")

LIBRARIES = [LIBRARY, "lib-2"]
DEVICES = ["S0", "S1", "S2"]
PEOPLE = [UUID(int=number) for number in (1, 2)]
GRACE = {"wiped": 300}
HELD = "('awaiting_acceptance', 'reserved', 'assigned', 'releasing')"
TOLD_LAST = {
    "waitlisted": {"LicenseWaitlisted"},
    "awaiting_acceptance": {"LicenseReserved"},
    "assigned": {"LicenseAssigned"},
    "refused": {"LicenseRefused"},
    "failed": {"LicenseFailed"},
    "lost": {"LicenseReleased"},
}
"""By state at rest; a release that Apple, or the ledger, refuses leaves a licence assigned."""


class _Fragile:
    """A connection whose process dies at a certain statement."""

    def __init__(self, raw: Any, database: "FragileDatabase") -> None:
        self._raw = raw
        self._database = database

    def __getattr__(self, name: str) -> Any:
        if name != "transaction":
            self._database.count()
        return getattr(self._raw, name)


class FragileDatabase(Database):
    """Lets a process die in the middle of a transaction, once it has made so many statements more."""

    statements_left: int | None = None

    def count(self) -> None:
        if self.statements_left is not None:
            self.statements_left -= 1
            if self.statements_left < 0:
                self.statements_left = None
                raise Crash

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            tx.raw = _Fragile(tx.raw, self)
            yield tx
            self.count()


class LedgerWorld(RuleBasedStateMachine):
    """Two libraries that hold one asset. `lives` and `wanted` are the model: what was asked for whom."""

    database: ClassVar[FragileDatabase]
    runner: ClassVar[asyncio.Runner]
    vault: ClassVar[Vault]
    book: ClassVar[bool] = False

    @initialize(
        totals=st.tuples(st.integers(1, 4), st.integers(0, 3)),
        joined=st.sets(st.tuples(st.sampled_from(LIBRARIES), st.sampled_from(PEOPLE))),
    )
    def begin(self, totals: tuple[int, int], joined: set[tuple[str, UUID]]) -> None:
        self.holders: list[Holder] = [*PEOPLE] if self.book else [*DEVICES, *PEOPLE]
        self.lives: dict[Holder, list[Wish]] = {holder: [] for holder in self.holders}
        self.wanted: dict[Holder, bool] = dict.fromkeys(self.holders, False)
        self.told: dict[Any, list[str]] = {}
        self.broken = False
        self.database.statements_left = None
        self.held: Counter[tuple[UUID, str]] = Counter()
        self.foreign: set[tuple[UUID, str]] = set()
        self.clock = TurnedClock(NOON)
        self.database.clock = self.clock
        self.runner.run(self._begin(totals, joined))

    async def _begin(self, totals: tuple[int, int], joined: set[tuple[str, UUID]]) -> None:
        async with self.database.transaction() as tx:
            for table in reversed(metadata.sorted_tables):
                await tx.raw.execute(f"DELETE FROM {table.name}")
        situation = Situation(self.database)
        await situation.begin(totals[0], book=self.book)
        second = await situation.open_pool(LIBRARIES[1], totals[1])
        self.pools = {LIBRARY: situation.pool_id, LIBRARIES[1]: second}
        async with self.database.transaction() as tx:
            await tx.raw.execute(
                "UPDATE library SET reclaim = $1, repairs = $2", json.dumps(GRACE), list(DifferenceClass)
            )
            for library_id in LIBRARIES:
                await _store_token(tx, self.vault, library_id)
        libraries = {each: Library(total) for each, total in zip(LIBRARIES, totals, strict=True)}
        key = AssetKey("361309726", "STDQ")
        facts = AssetFacts(key, self.book, not self.book, not self.book, ("iOS", "macOS"))  # type: ignore[arg-type]
        self.apple = AppleInMemory(facts, libraries, self.clock)
        desk = Desk(self.database, self.vault, Pace(part=timedelta(0)))  # a page in each step
        self.steps: dict[str, Step] = {
            work.INTENT: IntentStep(desk, self.apple).do,
            work.READ_LIST: ListStep(desk, self.apple).do,
            work.READ_ASSETS: AssetsStep(desk, self.apple).do,
            work.RECONCILE: ReconcileStep(desk, self.apple).do,
            work.REPAIR: RepairStep(desk).do,
        }
        for library_id, user_id in sorted(joined):
            libraries[library_id].users.add(str(user_id))
            await self._tell_person(library_id, user_id, "is read")
        self.situation = situation

    # -- what holds

    @invariant()
    @precondition(lambda self: hasattr(self, "situation"))
    def promises_hold(self) -> None:
        self._finish(self._check())

    def teardown(self) -> None:
        if hasattr(self, "situation") and not self.broken:
            self.database.statements_left = None
            self.runner.run(self._come_to_rest())

    async def _check(self) -> None:
        left, self.database.statements_left = self.database.statements_left, None
        await self.situation.check()
        await self._check_told()
        rows = await self.situation.rows(
            "SELECT pool_id, coalesce(serial_number, user_id::text) AS holder, state FROM license"
            f" WHERE state IN {HELD}"
        )
        held = Counter((row["pool_id"], row["holder"]) for row in rows)
        await self._check_grants(held, {(row[0], row[1]) for row in rows if row["state"] == "releasing"})
        for library_id, pool_id in self.pools.items():
            library = self.apple.libraries[library_id]
            ours = library.holders - library.given_by_others
            assert all((pool_id, name) in held for name in ours), "what we gave left held before it came back"
        self.held = held
        self.database.statements_left = left

    async def _check_told(self) -> None:
        """Promise 5, and what was told to whom for the end."""
        for envelope, event in await self.situation.told():
            for entitlement_id in event.entitlement_ids():
                self.told.setdefault(entitlement_id, []).append(envelope.type)
            if envelope.type == "LicenseAssigned":
                told = event.model_dump()
                for target in told["targets"]:
                    name = str(target["serial_number"] or target["user_id"])
                    library = self.apple.libraries[told["library_id"]]
                    assert name in library.ever_held, "told before Apple confirmed it"

    async def _check_grants(self, held: Counter[tuple[UUID, str]], returning: set[tuple[UUID, str]]) -> None:
        """Promise 1: whoever holds a unit more than before was granted it within the capacity of that moment.

        But a foreign licence that became ours: its unit comes with it, be the pool over-allocated or not.
        """
        strangers = await self.situation.rows("SELECT pool_id, holder FROM foreign_assignment")
        foreign = {(row["pool_id"], row["holder"]) for row in strangers}
        pools = {row["id"]: row for row in await self.situation.rows("SELECT * FROM pool")}
        listed = {
            (self.pools[library_id], name)
            for library_id, library in self.apple.libraries.items()
            for name in library.holders
        }
        for pool_id, pool in pools.items():
            mine = {key for key in held if key[0] == pool_id}
            granted = {key for key in mine if held[key] > self.held[key]} - returning
            adopted = granted & (self.foreign | (listed - self.held.keys()))
            units = sum(held[key] for key in mine)
            capacity = pool["total"] - pool["retired"] - pool["foreign_count"]
            assert not granted - adopted or units <= capacity, "granted beyond the capacity"
            assert pool["foreign_count"] == sum(1 for key in foreign if key[0] == pool_id)
        assert not foreign & held.keys(), "what is ours is not foreign"
        self.foreign = foreign

    async def _come_to_rest(self) -> None:
        """Go on until nothing is under way, and reconcile: then the ledger and Apple agree."""
        self.apple.answer, self.apple.unsteady_walks, self.apple.meanwhile = Answer.TAKEN, 0, None
        for want in (self._want_counts, self._want_reconciliation):
            await self._do_everything()
            self.clock.turn(120)
            await want()
        await self._do_everything()
        await self._check()
        self._check_totals(
            await self.situation.rows(
                "SELECT *, coalesce(serial_number, user_id::text) AS holder FROM license"
            ),
            {row["library_id"]: row for row in await self.situation.rows("SELECT * FROM pool")},
        )

    def _check_totals(self, rows: Sequence[Any], pools: dict[str, Any]) -> None:
        for library_id, library in self.apple.libraries.items():
            pool = pools[library_id]
            states = {"assigned": set(), "awaiting_acceptance": set()}  # type: dict[str, set[str]]
            for row in rows:
                if row["pool_id"] == pool["id"] and row["state"] in states:
                    states[row["state"]].add(row["holder"])
            foreign = {name for pool_id, name in self.foreign if pool_id == pool["id"]}
            assert states["assigned"] | foreign == library.holders
            assert pool["held"] == len(states["assigned"]) + len(states["awaiting_acceptance"])
            assert (pool["total"], pool["retired"]) == (library.total, library.retired)
        state = {row["entitlement_id"]: row["state"] for row in rows}
        for holder, lives in self.lives.items():
            for life in lives:
                told, now = self.told[life.entitlement_id], state[life.entitlement_id]
                wanted = self.wanted[holder] and life is lives[-1]
                assert told[-1] in TOLD_LAST.get(now, set(told)) or (now == "assigned" and not wanted), now
                if not wanted and now == "assigned":
                    assert "LicenseRefused" in told, "only Apple keeps what is not wanted"
                if not wanted:
                    assert {"LicenseReleased", "LicenseRefused"} & set(told), "a revoke is answered"

    async def _do_everything(self) -> None:
        """Let Apple end what it took, hear of it, and do all that is due, until nothing is left."""
        for library_id in LIBRARIES:
            for user_id in PEOPLE:
                await self._tell_person(library_id, user_id, "is read")
        for _ in range(100):
            for event in self.apple.pending:
                self.apple.run(event)
            for job in ("waiting", "quarantine", "left behind"):
                await self._call(job)
            await self._work(100)
            await self._check()
            open_rows = await self.situation.rows(
                "SELECT 1 FROM work WHERE kind = ANY ($1) UNION ALL SELECT 1 FROM license WHERE release_at > $2"
                " AND state = 'releasing'",
                list(self.steps),
                self.clock.now(),
            )
            if not open_rows:
                return
            self.clock.turn(61)
        raise AssertionError("the work does not come to its end")

    # -- how

    def run(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something; where the process dies in the middle of it, another one does it again."""

        async def done() -> T:
            while True:
                try:
                    return await act()
                except Crash:  # what was armed is spent: it dies as often as that was
                    await self._check()

        self._pass_time(1)
        return self._finish(done())

    def _finish(self, act: Coroutine[Any, Any, T]) -> T:
        """Do something to its end; what fails here has failed, and need not come to rest."""
        self.broken = True
        result = self.runner.run(act)
        self.broken = False
        return result

    def _pass_time(self, seconds: int) -> None:
        self.clock.turn(seconds)
        self.apple.run_overdue()

    def _chosen(self, places: Iterable[int]) -> list[Holder]:
        return list(dict.fromkeys(self.holders[place % len(self.holders)] for place in sorted(places)))

    def _open_life(self, holder: Holder) -> Wish:
        self.lives[holder].append(Wish(holder, new_id()))
        self.wanted[holder] = True
        return self.lives[holder][-1]

    async def _ask(self, *sets: Wish | Sequence[Wish], patience: int | None = None, **said: Any) -> None:
        """Bring requests, each set in an event of its own, in one batch."""
        expires_at = None if patience is None else self.clock.now() + timedelta(seconds=patience)
        kind = AssetKind.VPP_BOOK if self.book else AssetKind.VPP_APP
        targets = [[each] if isinstance(each, Wish) else each for each in sets]
        await self.situation.hear(
            [
                self.situation.requested(*group, kind=kind, expires_at=expires_at, **said)
                for group in targets
                if group
            ]
        )

    async def _revoke(self, targets: Sequence[Wish], reason: RevokeReason) -> None:
        for target in targets:
            await self.situation.revoke(target, version=target.version + 1, reason=reason)

    async def _row(self, life: Wish) -> dict[str, Any]:
        [row] = await self.situation.rows(
            "SELECT * FROM license WHERE entitlement_id = $1", life.entitlement_id
        )
        return dict(row)

    async def _work(self, most: int) -> None:
        """Do rows that are due; one that a dead process had is as good as another: its lease has run out."""
        for _ in range(most):
            row = await self._claim()
            if row is None:
                return
            try:
                await self.steps[row.kind](row)
            except LeaseLost:
                continue
            except Unavailable as error:
                wait = max(1.0, error.retry_after_seconds or 0.0)
                async with self.database.transaction() as tx:
                    due_at = tx.now + timedelta(seconds=wait)
                    await tx.raw.execute("UPDATE work SET due_at = $2 WHERE id = $1", row.id, due_at)

    async def _claim(self) -> WorkRow | None:
        lease = new_id()
        async with self.database.transaction() as tx:
            row = await tx.raw.fetchrow(
                "UPDATE work SET lease = $1 WHERE id = (SELECT id FROM work WHERE due_at <= $2"
                " AND kind = ANY ($3) ORDER BY due_at, id LIMIT 1)"
                " RETURNING id, kind, payload::text, correlation_id, attempts",
                *(lease, tx.now, list(self.steps)),
            )
        if row is None:
            return None
        return WorkRow(row[0], row[1], json.loads(row[2]), row[3], row[4], lease)

    async def _call(self, job: str) -> None:
        async with self.database.transaction() as tx:
            if job == "left behind":
                await roster.accept_left_behind(tx)
        act = {
            "waiting": handlers.waitlist.end_waiting,
            "quarantine": handlers.waitlist.end_quarantine,
            "serve": handlers.waitlist.serve_pool,
        }.get(job)
        if act is not None:
            async with self.database.transaction() as tx:
                await act(tx, self.situation.pool_id)

    async def _want_counts(self) -> None:
        async with self.database.transaction() as tx:
            for library_id in LIBRARIES:
                await work.want_assets(tx, library_id)

    async def _want_reconciliation(self) -> None:
        async with self.database.transaction() as tx:
            await reconcile_daily(tx)

    def _another_hand(self, library_id: str, place: int, *, gives: bool) -> None:
        library, [holder] = self.apple.libraries[library_id], self._chosen([place])
        if gives and (isinstance(holder, str) or str(holder) in library.users):
            library.total += library.full
            library.give_by_another_hand(str(holder))
        elif not gives and not self.book:
            library.lose(str(holder))

    async def _elsewhere(self, act: Awaitable[None]) -> None:
        """Let something happen in another process than the one that is about to die."""
        left, self.database.statements_left = self.database.statements_left, None
        await act
        self.database.statements_left = left

    async def _happen(self, place: int, library_id: str, what: str) -> None:
        [holder] = self._chosen([place])
        match what:
            case "asked":
                await self._ask([self.lives[holder][-1] if self.wanted[holder] else self._open_life(holder)])
            case "revoked" if self.wanted[holder]:
                self.wanted[holder] = False
                await self._revoke([self.lives[holder][-1]], RevokeReason.LEFT_GROUP)
            case "given" | "taken":
                self._another_hand(library_id, place, gives=what == "given")
            case "accepted" if isinstance(holder, UUID):
                self.apple.libraries[library_id].users.add(str(holder))
                await self._tell_person(library_id, holder, "is read")
            case "apple works":
                for event in self.apple.pending:
                    self.apple.run(event)

    async def _tell_person(self, library_id: str, user_id: UUID, what: str) -> None:
        """Let us hear of a person's Apple user, as the roster does it."""
        async with self.database.transaction() as tx:
            await people.lock(tx, {user_id: None})
            knew = await tx.raw.fetchval(
                "SELECT state = 'associated' FROM apple_user WHERE (library_id, user_id) = ($1, $2)",
                *(library_id, user_id),
            )
            associated = str(user_id) in self.apple.libraries[library_id].users
            if what == "invitation ends" and not knew:
                await licenses_of_people.invitation_ended(tx, library_id, [user_id])
            elif what == "account in use" and not knew:
                await licenses_of_people.refused(tx, library_id, [user_id], Refusal.ACCOUNT_IN_USE, 9641)
            elif what == "is read" and associated is not bool(knew):
                await tx.raw.execute(
                    "INSERT INTO apple_user (library_id, user_id, client_user_id, state, correlation_id, changed_at)"
                    " VALUES ($1, $2::uuid, $2::uuid::text, $3, $2::uuid, $4)"
                    " ON CONFLICT (library_id, user_id) DO UPDATE SET state = excluded.state",
                    *(library_id, user_id, "associated" if associated else "retired", tx.now),
                )
                follow = licenses_of_people.accepted if associated else licenses_of_people.lost
                await follow(tx, library_id, [user_id])


async def _store_token(tx: Transaction, vault: Vault, library_id: str) -> None:
    token_id = new_id()
    await tx.raw.execute(
        "INSERT INTO content_token (id, library_id, sealed, organization_name, expires_at, created_by, created_at)"
        " VALUES ($1, $2, $3, 'School', $4, 'test', $5)",
        token_id,
        library_id,
        vault.seal(b"token", table="content_token", column="sealed", row_id=token_id),
        tx.now + timedelta(days=365),
        tx.now,
    )
