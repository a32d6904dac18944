"""A small world around the service: it hears events, answers as licensing and devices do, and reads what was told."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from assignment.consumer import hears
from assignment.handlers.asking import Answer, ask
from assignment.handlers.facts import Patience
from assignment.handlers.groups import Membership, add_members, create_group, remove_members
from assignment.handlers.targets import Asked, TargetNamed
from assignment.handlers.withdrawing import revoke
from assignment.model import State, TargetType, Wish
from shared.database import Database, Transaction
from shared.events import Envelope, Event, Heard
from shared.events.assignment import (
    AssignmentRequested,
    AssignmentRevoked,
    InstallRequested,
    RemovalRequested,
)
from shared.events.envelope import read_envelope
from shared.events.licensing import (
    AssetChanged,
    LicenseAssigned,
    LicenseReleased,
    LicenseReserved,
    LicenseWaitlisted,
    PoolCounts,
    ReleasedTarget,
    ReservedTarget,
    WaitingTarget,
)
from shared.events.mdm_push import DeviceEnrolled, DeviceUnenrolled, InstallCompleted, RemovalCompleted
from shared.events.registry import REGISTRY, decode
from shared.events.words import AssetKind, EnrollmentKind, Held, Platform, RevokeReason, UnenrollReason
from shared.ids import new_id
from shared.outbox import unpack

LIBRARY = "2049025000431439"
PATIENCE = Patience(lives=3, installs=2, retry_seconds=60)

E = TypeVar("E", bound=Event)


def heard(event: E, *, sequence: int | None = None, correlation_id: UUID | None = None) -> Heard[E]:
    """Return an event as a handler gets it."""
    envelope = Envelope(
        event_id=new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=datetime.now(UTC),
        subject=event.subject(),
        correlation_id=correlation_id or new_id(),
        sequence=sequence,
    )
    return Heard(envelope, event)


def serials(count: int, *, first: int = 0) -> list[str]:
    """Return so many serial numbers."""
    return [f"C02X{number:06d}" for number in range(first, first + count)]


class World:
    """Assignment's database, with hands for everything around it."""

    def __init__(self, database: Database, *, patience: Patience = PATIENCE) -> None:
        self.database = database
        self._handlers = hears(patience)
        self._sequence = 0

    async def hear(self, *heard_events: Heard[Any]) -> None:
        """Handle events of one type as one batch."""
        async with self.database.transaction() as tx:
            await self.hear_in(tx, *heard_events)

    async def hear_in(self, tx: Transaction, *heard_events: Heard[Any]) -> None:
        """Handle events of one type inside a transaction of the test's own."""
        await self._handlers[type(heard_events[0].event)](tx, heard_events)

    async def say(self, event: Event) -> None:
        """Handle one event."""
        await self.hear(heard(event, sequence=self.next_sequence()))

    def next_sequence(self) -> int:
        """Return a sequence above all before."""
        self._sequence += 1
        return self._sequence

    async def drain(self) -> list[Any]:
        """Return the events told since the last time, in order, and forget them."""
        rows = await self.fetch("DELETE FROM outbox RETURNING id, key, headers, value")
        told = []
        for row in sorted(rows, key=lambda row: row["id"]):
            envelope = read_envelope(unpack(row["headers"]))
            event = decode(REGISTRY[envelope.type], envelope, key=row["key"], value=row["value"]).event
            told.append(event)
        return told

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        """Run one statement."""
        async with self.database.transaction() as tx:
            rows: list[Any] = await tx.raw.fetch(statement, *values)
        return rows

    # What the organisation has.

    async def app(self, *, kind: AssetKind = AssetKind.VPP_APP, **said: Any) -> UUID:
        """Let licensing tell an asset that Macs and iPads can have, and return its id."""
        event = asset_told(new_id(), kind=kind, **said)
        await self.say(event)
        return event.asset_id

    async def enroll(self, serial_numbers: Iterable[str], **said: Any) -> dict[str, UUID]:
        """Let mdm-push tell devices, and return their enrollment ids by serial number."""
        devices = {serial: new_id() for serial in serial_numbers}
        await self.hear(
            *(
                heard(enrolled_device(device_id, serial, **said), sequence=self.next_sequence())
                for serial, device_id in devices.items()
            )
        )
        return devices

    async def unenroll(
        self, device_id: UUID, *, generation: int = 1, reason: UnenrollReason = UnenrollReason.REMOVED
    ) -> None:
        """Let mdm-push tell that a device is gone."""
        await self.say(
            DeviceUnenrolled(
                enrollment_id=device_id, generation=generation, serial_number=None, reason=reason
            )
        )

    async def group(self, serial_numbers: Sequence[str] = ()) -> UUID:
        """Make a device group with these members, and return its id."""
        async with self.database.transaction() as tx:
            group_id = await create_group(tx, "3B")
        if serial_numbers:
            await self.join(group_id, serial_numbers)
        return group_id

    async def join(
        self, group_id: UUID, serial_numbers: Sequence[str], *, max_targets: int = 1_000_000
    ) -> Membership:
        """Add members."""
        async with self.database.transaction() as tx:
            return await add_members(tx, group_id, serial_numbers, max_targets=max_targets)

    async def leave(self, group_id: UUID, serial_numbers: Sequence[str]) -> Membership:
        """Remove members."""
        async with self.database.transaction() as tx:
            return await remove_members(tx, group_id, serial_numbers)

    # What it asks.

    async def ask(self, *asked: Asked, max_targets: int = 1_000_000) -> list[Answer]:
        """Post assignments."""
        async with self.database.transaction() as tx:
            return await self.ask_in(tx, *asked, max_targets=max_targets)

    async def ask_in(self, tx: Transaction, *asked: Asked, max_targets: int = 1_000_000) -> list[Answer]:
        """Post assignments inside a transaction of the test's own."""
        return await ask(tx, asked, request_id=new_id(), caller="portal", max_targets=max_targets)

    async def assign(self, asset_id: UUID, group_id: UUID, **wish: Any) -> UUID:
        """Assign an asset to a device group, and return the assignment's id."""
        (answer,) = await self.ask(to_group(asset_id, group_id, **wish))
        assert answer.assignment is not None, answer.refusal
        return answer.assignment.id

    async def revoke(self, assignment_id: UUID, reason: RevokeReason = RevokeReason.ENDED) -> None:
        """End an assignment."""
        async with self.database.transaction() as tx:
            await revoke(tx, assignment_id, reason)

    async def while_open(
        self, first: Callable[[Transaction], Awaitable[object]], second: Callable[[], Awaitable[object]]
    ) -> None:
        """Run `first` in a transaction and `second` beside it before `first` commits; it has to wait for that."""
        async with self.database.transaction() as tx:
            await first(tx)
            other = asyncio.ensure_future(second())
            await asyncio.sleep(0.05)
            waits = not other.done()
        await other
        assert waits, "the second transaction should have waited for the first"

    # How the others answer.

    async def settle(self, *, rounds: int = 10) -> list[Any]:
        """Answer everything that is told, as licensing with plenty and willing devices do; return what was told."""
        told: list[Any] = []
        for _ in range(rounds):
            news = await self.drain()
            if not news:
                return told
            told += news
            for event in news:
                await self.answer(event)
        raise AssertionError(f"not settled after {rounds} rounds: {told[-1]}")

    async def answer(self, event: Any) -> None:
        """Answer one event as licensing with plenty, or a willing device, does."""
        if isinstance(event, AssignmentRequested):
            await self.say(reserved(event))
            await self.say(assigned(event))
        elif isinstance(event, AssignmentRevoked):
            await self.say(released(event))
        elif isinstance(event, InstallRequested):
            await self.hear(*(heard(installed(event, target)) for target in event.targets))
        elif isinstance(event, RemovalRequested):
            await self.hear(*(heard(removed(event, target)) for target in event.targets))

    # What stands at the end.

    async def states(self, asset_id: UUID | None = None) -> Counter[str]:
        """Return how many entitlements stand where."""
        rows = await self.fetch(
            "SELECT state FROM entitlements WHERE $1::uuid IS NULL OR asset_id = $1", asset_id
        )
        return Counter(row["state"] for row in rows)

    async def state_of(self, device_id: UUID) -> list[tuple[str, str | None]]:
        """Return state and cause (or reason) of a device's lives, oldest first."""
        rows = await self.fetch(
            "SELECT state, coalesce(cause, reason) AS why FROM entitlements WHERE device_id = $1 ORDER BY id",
            device_id,
        )
        return [(row["state"], row["why"]) for row in rows]

    async def totals(self, assignment_id: UUID) -> dict[str, int]:
        """Return the totals of an assignment, after checking them against its covers."""
        stored = await self.fetch(
            "SELECT state, entitlements FROM totals WHERE assignment_id = $1 AND entitlements <> 0",
            assignment_id,
        )
        counted = await self.fetch(
            """SELECT e.state, count(*) AS entitlements FROM covers c JOIN entitlements e ON e.id = c.entitlement_id
               WHERE c.assignment_id = $1 GROUP BY 1""",
            assignment_id,
        )
        assert {row["state"]: row["entitlements"] for row in stored} == {
            row["state"]: row["entitlements"] for row in counted
        }
        return {row["state"]: row["entitlements"] for row in stored}

    async def check(self) -> None:
        """Check what must hold at any time: one living entitlement per place, and living exactly while covered."""
        broken = await self.fetch(
            """SELECT e.id, e.state FROM entitlements e
               WHERE (e.ended_at IS NULL) <> EXISTS (
                   SELECT FROM covers c WHERE c.entitlement_id = e.id AND c.ended_at IS NULL)
               AND e.ended_at IS NULL"""
        )
        assert not broken, broken
        wrong = await self.fetch(
            "SELECT id, state FROM entitlements WHERE (ended_at IS NULL) <> (state = ANY ($1))",
            [state for state in State if state not in _ENDED],
        )
        assert not wrong, wrong


_ENDED = {State.REFUSED, State.FAILED, State.LOST, State.REVOKING, State.REVOKED}


def to_group(asset_id: UUID, group_id: UUID, *, acknowledged: bool = False, **wish: Any) -> Asked:
    """Return what asks for an asset on a device group."""
    return Asked(asset_id, TargetNamed(TargetType.DEVICE_GROUP, group_id), Wish(**wish), acknowledged)


def to_device(asset_id: UUID, serial: str, *, acknowledged: bool = False, **wish: Any) -> Asked:
    """Return what asks for an asset on a device."""
    target = TargetNamed(TargetType.DEVICE, serial_number=serial)
    return Asked(asset_id, target, Wish(**wish), acknowledged)


def reserved(event: AssignmentRequested) -> LicenseReserved:
    """Return licensing's answer that every target's licence is held."""
    targets = tuple(ReservedTarget(**_principal(target)) for target in event.targets)
    return LicenseReserved(asset_id=event.asset_id, library_id=LIBRARY, targets=targets)


def assigned(event: AssignmentRequested) -> LicenseAssigned:
    """Return licensing's answer that Apple confirmed every target's licence."""
    return LicenseAssigned(asset_id=event.asset_id, library_id=LIBRARY, targets=event.targets)


def released(
    event: AssignmentRevoked | AssignmentRequested, *, asked: bool = True, held: Held = Held.LICENSE
) -> LicenseReleased:
    """Return licensing's answer that every target's licence came back."""
    targets = tuple(ReleasedTarget(**_principal(target), asked=asked, held=held) for target in event.targets)
    return LicenseReleased(asset_id=event.asset_id, targets=targets)


def taken(asset_id: UUID, entitlement_id: UUID, serial: str) -> LicenseReleased:
    """Return licensing's word that Apple or another hand took a licence."""
    target = ReleasedTarget(entitlement_id=entitlement_id, serial_number=serial, asked=False)
    return LicenseReleased(asset_id=asset_id, targets=(target,))


def waitlisted(event: AssignmentRequested, *, first: int = 1) -> LicenseWaitlisted:
    """Return licensing's answer that every target waits, the first of them at this place."""
    targets = tuple(
        WaitingTarget(**_principal(target), position=first + number)
        for number, target in enumerate(event.targets)
    )
    return LicenseWaitlisted(asset_id=event.asset_id, targets=targets, as_of=datetime.now(UTC))


def installed(event: InstallRequested, target: Any) -> InstallCompleted:
    """Return a device's word that it has it."""
    return InstallCompleted(**_delivery(event, target))


def removed(event: RemovalRequested, target: Any) -> RemovalCompleted:
    """Return a device's word that it has it no more."""
    return RemovalCompleted(**_delivery(event, target))


def _principal(target: Any) -> dict[str, Any]:
    return {
        "entitlement_id": target.entitlement_id,
        "version": target.version,
        "serial_number": target.serial_number,
    }


def _delivery(event: Any, target: Any) -> dict[str, Any]:
    return {
        "enrollment_id": target.enrollment_id,
        "delivery_id": target.delivery_id,
        "entitlement_id": target.entitlement_id,
        "asset_id": event.asset_id,
        "kind": event.kind,
    }


def asset_told(asset_id: UUID, *, kind: AssetKind = AssetKind.VPP_APP, **said: Any) -> AssetChanged:
    """Return AssetChanged about an asset with 50 licences that Macs and iPads can have, unless told other."""
    pool = PoolCounts(
        library_id=LIBRARY,
        total=50,
        capacity=50,
        available=50,
        held=0,
        foreign=0,
        waiting=0,
        over_allocated=0,
    )
    fields: dict[str, Any] = {
        "kind": kind,
        "adam_id": "408709785",
        "pricing_param": "STDQ",
        "device_assignable": kind is AssetKind.VPP_APP,
        "revocable": kind is AssetKind.VPP_APP,
        "platforms": (Platform.IOS, Platform.MACOS),
        "unlimited": False,
        "pools": (pool,),
    }
    return AssetChanged(asset_id=asset_id, **{**fields, **said})


def enrolled_device(device_id: UUID, serial: str | None, **said: Any) -> DeviceEnrolled:
    """Return DeviceEnrolled about a supervised iPad, unless told other."""
    fields: dict[str, Any] = {
        "generation": 1,
        "platform": Platform.IOS,
        "os_version": "17.4",
        "kind": EnrollmentKind.DEVICE,
        "supervised": True,
    }
    return DeviceEnrolled(enrollment_id=device_id, serial_number=serial, **{**fields, **said})
