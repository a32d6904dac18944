"""Devices as mdm-push tells them: enrolled, changed, gone; and what that means for their lives."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from assignment.decide.entitlements import Fact, Said
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import reopen, worth_reopening
from assignment.model import Device
from assignment.store import covers, devices, entitlements
from assignment.store.devices import Told
from shared.database import Transaction
from shared.events import Heard
from shared.events.mdm_push import DeviceEnrolled, DeviceUnenrolled, DeviceUpdated
from shared.events.words import RevokeReason, UnenrollReason
from shared.locks import Rung

_REASONS = {
    UnenrollReason.REMOVED: RevokeReason.UNENROLLED,
    UnenrollReason.WIPED: RevokeReason.WIPED,
}


async def device_told(
    tx: Transaction, heard: Sequence[Heard[DeviceEnrolled]] | Sequence[Heard[DeviceUpdated]]
) -> None:
    """Keep what was told with the highest sequence; both events say that the device is enrolled.

    A device that was gone, or comes with a higher generation, has lost what was on it: its living entitlements
    are asked to install again, and covers that stand on ended lives open new ones. One that only changed (a new
    OS version) is judged anew where it had been refused.
    """
    latest = {one.event.enrollment_id: one for one in sorted(heard, key=_sequence)}
    tx.reach(Rung.TARGETS)
    known = await devices.lock_with_sequences(tx, latest)
    unknown = latest.keys() - known.keys()
    told_before = {device_id: sequence for device_id, (_, sequence) in known.items()}
    told_before |= await devices.gone_before_known(tx, unknown) if unknown else {}
    news = {
        device_id: _told(one)
        for device_id, one in latest.items()
        if device_id not in told_before or told_before[device_id] < _sequence(one)
    }
    if not news:
        return
    await devices.put(tx, list(news.values()))
    before = {device_id: known[device_id][0] for device_id in news if device_id in known}
    changed = {device_id: news[device_id].device for device_id in before if _matters(before, news, device_id)}
    returned = {device_id for device_id in changed if _returned(before[device_id], changed[device_id])}
    if changed:
        await _follow(tx, changed, returned, latest)


async def device_gone(tx: Transaction, heard: Sequence[Heard[DeviceUnenrolled]]) -> None:
    """Give back every life of devices whose present generation ended; the covers stand for its return."""
    latest = {one.event.enrollment_id: one for one in sorted(heard, key=_sequence)}
    tx.reach(Rung.TARGETS)
    known = await devices.lock_with_sequences(tx, latest)
    gone = {
        device_id: latest[device_id]
        for device_id, (device, sequence) in known.items()
        if sequence < _sequence(latest[device_id]) and device.generation <= latest[device_id].event.generation
    }
    unknown = latest.keys() - known.keys()
    if unknown:  # its beginning may be parked, and be heard only after its end
        await devices.note_gone(tx, {device_id: _sequence(latest[device_id]) for device_id in unknown})
    if not gone:
        return
    await devices.unenroll(tx, {device_id: _sequence(one) for device_id, one in gone.items()})
    changes = Changes(tx)
    changes.load(await entitlements.lock_living_on(tx, list(gone)))
    for life in list(changes.lives.values()):
        one = gone[life.device_id]
        reason = _REASONS[one.event.reason]
        said = Said("DeviceUnenrolled", event_id=one.envelope.event_id, reason=reason)
        changes.hear(life.id, Fact.DEVICE_LEFT, said)
    await finish(changes)


async def _follow(
    tx: Transaction,
    changed: Mapping[UUID, Device],
    returned: set[UUID],
    latest: Mapping[UUID, Heard[DeviceEnrolled] | Heard[DeviceUpdated]],
) -> None:
    """Let lives follow what was told of their devices; `latest` holds the event that told it."""

    def said_of(device_id: UUID) -> Said:
        one = latest[device_id]
        return Said(type(one.event).__name__, event_id=one.envelope.event_id)

    changes = Changes(tx)
    standing = await covers.on(tx, list(changed), with_living=list(returned))
    changes.load(await entitlements.lock(tx, {cover.entitlement_id for cover in standing}))
    for life in list(changes.lives.values()):
        if life.device_id in returned:
            changes.hear(life.id, Fact.RETURNED, said_of(life.device_id))
    await reopen(changes, changed, worth_reopening(standing, changes.lives, returned), said_of)
    await finish(changes)


def _sequence(one: Heard[DeviceEnrolled] | Heard[DeviceUpdated] | Heard[DeviceUnenrolled]) -> int:
    return one.envelope.sequence or 0


def _told(one: Heard[DeviceEnrolled] | Heard[DeviceUpdated]) -> Told:
    event = one.event
    device = Device(
        id=event.enrollment_id,
        serial_number=event.serial_number,
        platform=event.platform,
        os_version=event.os_version,
        kind=event.kind,
        enrolled=True,
        generation=event.generation,
    )
    return Told(device, event.supervised, event.product_name, _sequence(one))


def _matters(before: Mapping[UUID, Device], news: Mapping[UUID, Told], device_id: UUID) -> bool:
    return before[device_id] != news[device_id].device


def _returned(before: Device, now: Device) -> bool:
    return not before.enrolled or now.generation > before.generation
