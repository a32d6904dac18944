"""One request to Apple, from its sending to its end.

Stored as unsent, then sent, then followed by the id of Apple's event: each pass of its work row does the
next of these, and what a process leaves that dies between two of them is taken up where it stood.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from licensing import work
from licensing.decide import Repair, after_refusal, settled_by_list
from licensing.ledger import Ledger
from licensing.model import (
    Access,
    AppleFailure,
    AppleRefused,
    AssetKey,
    EventState,
    EventStatus,
    Fault,
    HolderKind,
    Intent,
    License,
    OutcomeUnknown,
    Pool,
    Proof,
    TokenRefused,
)
from licensing.steps.desk import Desk
from licensing.steps.keep import keep
from licensing.steps.names import faults_of, names_of
from licensing.steps.outside import Writer
from licensing.steps.settle import ALL_DONE, put_back, settle
from licensing.store import intents, licenses, pools
from shared import worker
from shared.errors import Unavailable
from shared.worker import WorkRow

_UNKNOWN_EVENT = 9708


class IntentStep:
    """Brings intents to their end."""

    def __init__(self, desk: Desk, apple: Writer) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Do what comes next for one intent."""
        async with self._database.reading() as tx:
            intent = await intents.read(tx, UUID(row.payload["intent_id"]))
            pool = None if intent is None else await pools.read(tx, intent.pool_id)
            if intent is None or pool is None:
                access = None
            elif intent.sent_at is None:
                access = await self._desk.access_in(tx, pool.library_id)
            else:  # what was sent is followed, also while nothing more may be sent
                access = await self._desk.reading_access_in(tx, pool.library_id)
        if intent is None or pool is None or access is None:
            await self._done(row)
            return
        async with self._desk.suspending(access):
            if intent.sent_at is None:
                await self._send(row, intent, access, pool)
            elif intent.event_id is None:
                await self._look_again(row, intent, intent.sent_at)
            else:
                await self._follow(row, intent, access, (intent.event_id, intent.sent_at))

    async def _send(self, row: WorkRow, intent: Intent, access: Access, pool: Pool) -> None:
        """Send an intent in its turn: while it waits for that, it still takes members."""
        limits = await self._apple.turn(access)
        holders = HolderKind.CLIENT_USER_IDS if intent.of_people else HolderKind.SERIAL_NUMBERS
        most = limits.client_user_ids if intent.of_people else limits.serial_numbers
        members, names = await self._mark_sent(row, intent, pool, most)
        if not members:
            return
        sent_at = self._database.clock.now()
        key = AssetKey(pool.adam_id, pool.pricing_param)
        try:
            event_id = await self._apple.write(access, intent.kind, key, names, holders=holders)
        except OutcomeUnknown:
            await self._look_again(row, intent, sent_at)
        except (TokenRefused, Unavailable):
            await self._put_back(intent)
            raise
        except AppleRefused as refused:
            await self._refused(row, intent, pool, refused.failure)
        else:
            await self._note_event(row, intent, event_id)

    async def _mark_sent(
        self, row: WorkRow, intent: Intent, pool: Pool, most: int
    ) -> tuple[Sequence[License], Sequence[str]]:
        """Store that Apple may have it from now on; what is beyond Apple's limit goes into another request.

        Return the members with Apple's names for them; none where there is nothing to send. Raises Unavailable
        where the library was fenced or suspended while it waited for its turn.
        """
        async with self._database.transaction() as tx:
            await self._desk.access_in(tx, pool.library_id)
            ledger = await Ledger.of_pools(tx, [intent.pool_id])
            current = await intents.read(tx, intent.intent_id)
            if current is None or current.sent_at is not None:
                return [], []  # this lease ran out while we waited: another worker has sent it
            members = await licenses.of_intent(tx, intent.intent_id)
            if not members:
                await worker.finish(tx, row)
                await intents.delete(tx, intent.intent_id)
                return [], []
            ledger.separate(intent.pool_id, members[most:], attempt=intent.attempt)
            await intents.mark_sent(tx, intent.intent_id)
            names = await names_of(tx, pool.library_id, members[:most])
            await ledger.close()
        return members[:most], names

    async def _note_event(self, row: WorkRow, intent: Intent, event_id: str) -> None:
        """Keep the id of Apple's event before all else, also for whoever has taken the row from us meanwhile."""
        await keep(self._database, lambda tx: intents.follow(tx, intent.intent_id, event_id))
        async with self._database.transaction() as tx:
            covered = await intents.covered(tx, intent.intent_id, event_id)
            due_at = tx.now if covered else tx.now + self._desk.pace.first_status
            await worker.proceed(tx, row, payload=row.payload, due_at=due_at)

    async def _put_back(self, intent: Intent) -> None:
        async with self._database.transaction() as tx:
            ledger = await Ledger.of_pools(tx, [intent.pool_id])
            await put_back(tx, ledger, intent, await licenses.of_intent(tx, intent.intent_id))
            await ledger.close()

    async def _refused(self, row: WorkRow, intent: Intent, pool: Pool, failure: AppleFailure) -> None:
        """Apple refused the request whole: cut out what is bad, or let a list say what is true."""
        async with self._database.reading() as tx:
            [fault] = await faults_of(tx, pool.library_id, [failure])
        if settled_by_list(intent.kind, fault):
            await self._let_list_settle(row, intent, [fault])
            return
        self._apple.forget_limits()
        await self._settle(row, intent, fault)

    async def _follow(self, row: WorkRow, intent: Intent, access: Access, sent: tuple[str, datetime]) -> None:
        """Read the status of Apple's event."""
        event_id, sent_at = sent
        try:
            state = await self._apple.status(access, event_id)
        except TokenRefused:
            raise
        except AppleRefused as refused:
            if refused.failure.number != _UNKNOWN_EVENT:
                raise Unavailable(f"apple_{refused.failure.number}") from refused
            await self._look_again(row, intent, sent_at)
            return
        await self._hear(row, intent, state, (access.library_id, sent_at))

    async def _hear(
        self, row: WorkRow, intent: Intent, state: EventState, sent: tuple[str, datetime]
    ) -> None:
        library_id, sent_at = sent
        match state.status:
            case EventStatus.COMPLETE:
                await self._settle(row, intent, None)
            case EventStatus.FAILED:
                async with self._database.reading() as tx:
                    faults = await faults_of(tx, library_id, state.failures)
                await self._let_list_settle(row, intent, faults)
            case EventStatus.PENDING:
                next_at = self._database.clock.now() + self._desk.pace.next_status
                await self._look_again(row, intent, sent_at, next_at)

    async def _look_again(
        self, row: WorkRow, intent: Intent, sent_at: datetime, next_at: datetime | None = None
    ) -> None:
        """Look again at `next_at`; from the proof time on let Apple's list decide what became of it."""
        proven_at = sent_at + self._desk.pace.proof
        if self._database.clock.now() >= proven_at:
            await self._let_list_settle(row, intent, ())
            return
        async with self._database.transaction() as tx:
            due_at = min(next_at or proven_at, proven_at)
            await worker.proceed(tx, row, payload=row.payload, due_at=due_at)

    async def _settle(self, row: WorkRow, intent: Intent, fault: Fault | None) -> None:
        """Write the outcome: all done, or with a `fault` what can be saved of a request refused whole."""
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            ledger = await Ledger.of_pools(tx, [intent.pool_id])
            if await intents.read(tx, intent.intent_id) is None:
                return
            members = await licenses.of_intent(tx, intent.intent_id)
            repair = (
                Repair(Proof.EVENT, {ALL_DONE: members}) if fault is None else after_refusal(members, fault)
            )
            await settle(tx, ledger, intent, members, repair)
            await ledger.close()

    async def _let_list_settle(self, row: WorkRow, intent: Intent, faults: Sequence[Fault]) -> None:
        """Have a list read where Apple's word does not say it all: one settles all such events of the pool."""
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await pools.lock(tx, [intent.pool_id])
            await intents.mark_ended(tx, intent.intent_id, faults)
            await work.want_lists(tx, [intent.pool_id])

    async def _done(self, row: WorkRow) -> None:
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
