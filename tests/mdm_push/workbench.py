"""A work bench for the use cases: devices without a network, and asks without a broker."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from mdm_push.handlers import asked, connecting, enrolling
from mdm_push.handlers.means import Means
from mdm_push.messages import Authenticate, Report, Speaker, TokenUpdate, read
from mdm_push.model import DeviceCertificate, Handout
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.events import Envelope, Heard
from shared.events.assignment import DeliveryTarget, InstallRequested, RemovalRequested
from shared.events.registry import REGISTRY
from shared.events.words import AssetKind, AssignmentMode
from shared.ids import asset_id, new_id

TOPIC = "com.apple.mgmt.External.5c0f1a0e-0000-4000-8000-000000000001"
ADAM_ID = "361285480"
ASSET = asset_id(ADAM_ID, "STDQ")
BUNDLE = "com.example.keynote"
TIME = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class Told:
    """An event as it stands in the outbox."""

    event: Any
    correlation_id: str
    sequence: int | None


@dataclass(slots=True)
class Device:
    """One device channel; `certificate` is what it proves."""

    udid: str
    certificate: DeviceCertificate
    enrollment_id: UUID = field(default_factory=uuid4)

    @property
    def speaker(self) -> Speaker:
        return Speaker(UDID=self.udid)


@dataclass(slots=True)
class Workbench:
    database: Database
    means: Means
    clock: TurnedClock

    def certificate(self, name: str) -> DeviceCertificate:
        return DeviceCertificate(
            hashlib.sha256(name.encode()).digest(), self.clock.now() + timedelta(days=365)
        )

    async def authenticate(self, device: Device, **facts: Any) -> None:
        message = read(Authenticate, {"Topic": TOPIC, "OSVersion": "17.5", "ProductName": "iPad14,1"} | facts)
        async with self.database.transaction() as tx:
            await enrolling.authenticate(
                tx, device.speaker, message, device.certificate, correlation_id=new_id()
            )
        device.enrollment_id = await self.value("SELECT id FROM enrollments WHERE apple_id = $1", device.udid)

    async def token_update(self, device: Device, *, speaker: Speaker | None = None, **facts: Any) -> None:
        said = {"Topic": TOPIC, "Token": b"\x01\x02" * 16, "PushMagic": f"magic-{device.udid}"} | facts
        async with self.database.transaction() as tx:
            await enrolling.token_update(
                tx,
                speaker or device.speaker,
                read(TokenUpdate, said),
                device.certificate,
                correlation_id=new_id(),
                means=self.means,
            )

    async def check_out(self, device: Device) -> None:
        async with self.database.transaction() as tx:
            await enrolling.check_out(tx, device.speaker, device.certificate, correlation_id=new_id())

    async def enroll(self, name: str = "ipad", *, settle: bool = True, **facts: Any) -> Device:
        """Enroll a device; unless told otherwise it has answered DeviceInformation and sleeps."""
        device = Device(f"UDID-{name}", self.certificate(name))
        await self.authenticate(device, SerialNumber=f"SN-{name}", **facts)
        await self.token_update(device)
        if settle:
            command = await self.idle(device)
            assert command is not None
            responses = {"IsSupervised": True, "OSVersion": facts.get("OSVersion", "17.5")}
            assert await self.report(device, command, QueryResponses=responses) is None
            await self.told()
        return device

    async def idle(self, device: Device, channel: str | None = None) -> Handout | None:
        served = await connecting.polled(
            self.database, channel or device.udid, device.certificate, means=self.means
        )
        return served.command

    async def report(
        self, device: Device, command: Handout | UUID, status: str = "Acknowledged", **results: Any
    ) -> Handout | None:
        command_id = command.id if isinstance(command, Handout) else command
        report = read(Report, {"Status": status, "CommandUUID": str(command_id)} | results)
        async with self.database.transaction() as tx:
            served = await connecting.report_received(
                tx, device.udid, report, device.certificate, means=self.means
            )
        return served.command

    async def ask_install(self, *devices: Device | UUID, **said: Any) -> list[DeliveryTarget]:
        """Ask for an install on each; `targets` repeats an ask, `version` and `asset_id` say otherwise."""
        targets = said.pop("targets", None) or self.targets(*devices, version=said.pop("version", 1))
        async with self.database.transaction() as tx:
            await self.hear_install(tx, targets, **said)
        return list(targets)

    async def hear_install(self, tx: Transaction, targets: Sequence[DeliveryTarget], **said: Any) -> None:
        """Hear InstallRequested in this transaction."""
        event = InstallRequested(
            **{"asset_id": ASSET, "kind": AssetKind.VPP_APP, "adam_id": ADAM_ID} | said,
            assignment_mode=AssignmentMode.DEVICE,
            targets=tuple(targets),
        )
        await asked.installs_requested(tx, [heard(event)], means=self.means)

    def targets(self, *devices: Device | UUID, version: int = 1) -> list[DeliveryTarget]:
        """Return a new delivery for each."""
        return [
            DeliveryTarget(
                entitlement_id=new_id(),
                delivery_id=new_id(),
                enrollment_id=device.enrollment_id if isinstance(device, Device) else device,
                version=version,
            )
            for device in devices
        ]

    async def ask_removal(self, targets: Sequence[DeliveryTarget], **said: Any) -> None:
        event = RemovalRequested(
            **{"asset_id": ASSET, "kind": AssetKind.VPP_APP, "adam_id": ADAM_ID} | said,
            targets=tuple(targets),
        )
        async with self.database.transaction() as tx:
            await asked.removals_requested(tx, [heard(event)], means=self.means)

    async def told(self) -> list[Told]:
        """Return and forget what stands in the outbox, oldest first."""
        async with self.database.transaction() as tx:
            rows = await tx.raw.fetch("DELETE FROM outbox RETURNING id, headers, value")
        return [_read(row["headers"], row["value"]) for row in sorted(rows, key=lambda row: row["id"])]

    async def value(self, statement: str, *values: Any) -> Any:
        async with self.database.reading() as tx:
            return await tx.raw.fetchval(statement, *values)

    async def next_push(self, device: Device) -> float | None:
        """Return in how many seconds the device is to be woken, None for never."""
        at = await self.value(
            "SELECT next_push_at FROM push_state WHERE enrollment_id = $1", device.enrollment_id
        )
        return None if at is None else (at - self.clock.now()).total_seconds()


def heard(event: Any, correlation_id: UUID | None = None) -> Heard[Any]:
    """Return an event as a handler gets it."""
    envelope = Envelope(
        event_id=new_id(),
        source="assignment",
        type=type(event).__name__,
        version=1,
        time=TIME,
        subject="x",
        correlation_id=correlation_id or new_id(),
    )
    return Heard(envelope, event)


def _read(headers: bytes, value: bytes) -> Told:
    names = dict(json.loads(headers))
    event = REGISTRY[names["ce_type"]].model_validate_json(value)
    sequence = names.get("ce_sequence")
    return Told(event, names["ce_correlationid"], int(sequence) if sequence else None)
