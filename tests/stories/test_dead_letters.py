"""Records that cannot be read: parked with their reason, seen over HTTP, replayed or discarded; nobody waits."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from local.doors import Door
from local.waiting import until
from shared.events import Principal
from shared.events.assignment import AssignmentRequested
from shared.events.envelope import Headers
from shared.events.registry import encode
from shared.events.words import AssetKind, AssignmentMode, InstallMode
from shared.ids import new_id
from shared.topics import (
    ASSIGNMENT_EVENTS,
    ASSIGNMENT_PEOPLE,
    LICENSING_EVENTS,
    LICENSING_INVITATIONS,
    MDM_PUSH_EVENTS,
    Topic,
    dead_letters,
)
from tests.stories.probe import Probe, envelope_of
from tests.stories.stage import Stage, Title, device

HALF = b'{"half": '
PERSONAL = b'{"name": "Camille Martin", "mail_'
"""The beginning of a record that names a person, as a publisher would leave it that died in the middle."""
REASONS = ["no_envelope", "unreadable", "unknown_version"]


def request_for(app: Title) -> AssignmentRequested:
    """Return a good request for a device that nobody has."""
    return AssignmentRequested(
        asset_id=UUID(app.asset_id),
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        install_mode=InstallMode.AUTOMATIC,
        targets=(Principal(entitlement_id=new_id(), version=1, serial_number="PARKED000001"),),
    )


async def spoil(probe: Probe, app: Title, reason: str) -> str:
    """Put a record on the app's own key that is bad for this reason; return its event id."""
    event = request_for(app)
    envelope = envelope_of(event)
    headers: Headers = envelope.headers()
    value: bytes | None = encode(event)
    match reason:
        case "no_envelope":
            headers = [(name, told) for name, told in headers if name != "ce_type"]
        case "unreadable":
            value = HALF
        case "unknown_version":
            headers = envelope_of(event, event_id=envelope.event_id, version=99).headers()
    await probe.put(ASSIGNMENT_EVENTS, event.key().encode(), value, headers)
    return str(envelope.event_id)


async def parked(door: Door, app: Title, reason: str) -> list[dict[str, Any]]:
    """Return what a service has parked under the app's key for this reason."""
    found = await door.every("/v1/dead-letters", reason=reason)
    return [each for each in found if each["key"] == app.asset_id]


async def letters_on_the_bus(probe: Probe, service: str, key: str) -> set[bytes | None]:
    """Return what a service's dead-letter topic holds under a key; what a relay sent twice is there once."""
    records = await probe.records(dead_letters(service))
    return {record.value for record in records if record.key == key.encode()}


@pytest.mark.parametrize("reason", REASONS)
async def test_scenario_21_a_record_that_cannot_be_read_is_parked_and_nobody_waits_behind_it(
    stage: Stage, probe: Probe, reason: str
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    await spoil(probe, app, reason)
    assignment = await stage.assign(app, device(ipad))
    await stage.settles(assignment, installed=1)
    [letter] = await parked(stage.doors.licensing, app, reason)
    assert letter["topic"] == ASSIGNMENT_EVENTS.name
    assert letter["detail"]
    path = f"/v1/dead-letters/{letter['id']}"
    assert await stage.doors.licensing.get(path) == letter
    await until(partial(letters_on_the_bus, probe, "licensing", app.asset_id), bool)
    assert await letters_on_the_bus(probe, "licensing", app.asset_id)
    await stage.doors.licensing.delete(path)
    assert await parked(stage.doors.licensing, app, reason) == []


@pytest.mark.parametrize("reason", REASONS)
async def test_a_replay_of_what_still_cannot_be_read_leaves_it_parked(
    stage: Stage, probe: Probe, reason: str
) -> None:
    app = await stage.title(1)
    await spoil(probe, app, reason)
    await stage.sees(partial(_count, stage.doors.licensing, app, reason), 1)
    [letter] = await parked(stage.doors.licensing, app, reason)
    path = f"/v1/dead-letters/{letter['id']}"
    asked = await stage.doors.licensing.post(f"{path}/replay")
    assert asked["replay_asked_at"] is not None

    async def still_asked() -> Any:
        return (await stage.doors.licensing.get(path))["replay_asked_at"]

    await stage.sees(still_asked, None)
    assert [each["id"] for each in await parked(stage.doors.licensing, app, reason)] == [letter["id"]]
    await stage.doors.licensing.delete(path)


async def test_a_service_parks_only_what_it_would_have_heard(stage: Stage, probe: Probe) -> None:
    app = await stage.title(1)
    await spoil(probe, app, "unreadable")
    await stage.sees(partial(_count, stage.doors.licensing, app, "unreadable"), 1)
    assert await parked(stage.doors.mdm_push, app, "unreadable") == []  # it does not hear that type
    [letter] = await parked(stage.doors.licensing, app, "unreadable")
    await stage.doors.licensing.delete(f"/v1/dead-letters/{letter['id']}")


@pytest.mark.parametrize(
    ("service", "kind", "topic"),
    [
        ("assignment", "LicenseReserved", LICENSING_EVENTS),
        ("assignment", "InstallCompleted", MDM_PUSH_EVENTS),
        ("licensing", "AssignmentRevoked", ASSIGNMENT_EVENTS),
        ("mdm-push", "RemovalRequested", ASSIGNMENT_EVENTS),
        ("invitation", "InvitationRequested", LICENSING_INVITATIONS),
        ("invitation", "UserChanged", ASSIGNMENT_PEOPLE),
    ],
)
async def test_every_service_parks_what_it_cannot_read_and_goes_on(
    stage: Stage, probe: Probe, service: str, kind: str, topic: Topic
) -> None:
    door: Door = getattr(stage.doors, service.replace("-", "_"))
    key = str(new_id())
    plain = envelope_of(request_for(Title(key, "1")), type=kind)
    value = PERSONAL if topic.restricted else HALF
    await probe.put(topic, key.encode(), value, plain.headers())

    async def letters() -> list[dict[str, Any]]:
        found = await door.every("/v1/dead-letters", event_type=kind)
        return [each for each in found if each["key"] == key]

    await until(letters, bool)
    [letter] = await letters()
    assert (letter["reason"], letter["topic"]) == ("unreadable", topic.name)
    assert b"Martin" not in str(letter).encode()
    told = {None if topic.restricted else HALF}
    await stage.sees(partial(letters_on_the_bus, probe, service, key), told)
    await door.delete(f"/v1/dead-letters/{letter['id']}")


async def _count(door: Door, app: Title, reason: str) -> int:
    return len(await parked(door, app, reason))
