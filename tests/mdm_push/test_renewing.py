"""Devices whose certificate was renewed, over the wire: they come without a new Authenticate."""

import asyncio
from typing import Any

import pytest

from tests.mdm_push.doors import Doors
from tests.mdm_push.workbench import TOPIC

IDLE = {"Status": "Idle", "UDID": "U"}
UPDATE = {"MessageType": "TokenUpdate", "UDID": "U", "Topic": TOPIC, "Token": b"new", "PushMagic": "new"}
REPORT = {"Status": "Acknowledged", "UDID": "U", "CommandUUID": "00000000-0000-7000-8000-000000000000"}


@pytest.fixture
def ca_names_devices() -> bool:
    return True


async def bound(doors: Doors) -> list[tuple[str, int]]:
    """Return which devices certificates are bound to, in which life."""
    async with doors.bench.database.reading() as tx:
        rows = await tx.raw.fetch(
            "SELECT e.apple_id, i.generation FROM identities i JOIN enrollments e ON e.id = i.enrollment_id"
            " ORDER BY i.bound_at"
        )
    return [(row["apple_id"], row["generation"]) for row in rows]


@pytest.mark.parametrize("content", [UPDATE, IDLE, REPORT])
async def test_a_renewed_certificate_is_bound_to_the_same_life_beside_the_former(
    doors: Doors, content: dict[str, Any]
) -> None:
    former = await doors.enroll("U")
    await doors.bench.told()
    renewed = doors.authority.issue_device(common_name="u")
    assert (await doors.put(content, identity=renewed)).status_code == 200
    assert (await doors.put(IDLE, identity=renewed)).status_code == 200
    assert (await doors.put(IDLE, identity=former)).status_code == 200
    assert await doors.bench.told() == [], "it is the same life"
    assert await bound(doors) == [("U", 1), ("U", 1)]


async def test_the_first_two_connections_with_a_renewed_certificate_may_come_at_once(doors: Doors) -> None:
    await doors.enroll("U")
    renewed = doors.authority.issue_device(common_name="U")
    answers = await asyncio.gather(*(doors.put(UPDATE, identity=renewed) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert await bound(doors) == [("U", 1), ("U", 1)]


async def test_a_user_of_a_mac_may_come_first_with_the_renewed_certificate(doors: Doors) -> None:
    await doors.enroll("U")
    renewed = doors.authority.issue_device(common_name="U")
    assert (await doors.put(UPDATE | {"UserID": "USER-1"}, identity=renewed)).status_code == 200


async def test_a_serial_number_names_a_device_too(doors: Doors) -> None:
    first = doors.authority.issue_device(common_name="anything")
    authenticate = {"MessageType": "Authenticate", "UDID": "U", "Topic": TOPIC, "SerialNumber": "C02X"}
    assert (await doors.put(authenticate, identity=first)).status_code == 200
    renewed = doors.authority.issue_device(common_name="C02X")
    assert (await doors.put(UPDATE, identity=renewed)).status_code == 400, "it is not enrolled yet"
    assert (await doors.put(UPDATE, identity=first)).status_code == 200
    assert (await doors.put(UPDATE, identity=renewed)).status_code == 200


async def test_what_is_not_a_renewal_is_refused_and_changes_nothing(doors: Doors) -> None:
    former = await doors.enroll("U")
    other = await doors.enroll("OTHER")
    again = {"MessageType": "Authenticate", "UDID": "U", "Topic": TOPIC}
    present = doors.authority.issue_device(common_name="U")
    for content in (again, UPDATE | {"Token": b"kept"}):
        assert (await doors.put(content, identity=present)).status_code == 200
    await doors.bench.told()
    before = (
        await bound(doors),
        await doors.bench.value("SELECT push_token FROM enrollments WHERE apple_id = 'U'"),
    )
    nameless = doors.authority.issue_device(common_name="MDM Identity")
    for identity in (other, former, nameless):  # another device's, a former life's, nobody's
        for content in (UPDATE, IDLE, REPORT, {"MessageType": "CheckOut", "UDID": "U", "Topic": TOPIC}):
            assert (await doors.put(content, identity=identity)).status_code == 400
    assert (
        await bound(doors),
        await doors.bench.value("SELECT push_token FROM enrollments WHERE apple_id = 'U'"),
    ) == before
    assert await doors.bench.told() == []


async def test_a_device_that_checked_out_does_not_return_by_a_renewed_certificate(doors: Doors) -> None:
    identity = await doors.enroll("U")
    check_out = {"MessageType": "CheckOut", "UDID": "U", "Topic": TOPIC}
    assert (await doors.put(check_out, identity=identity)).status_code == 200
    renewed = doors.authority.issue_device(common_name="U")
    assert (await doors.put(UPDATE, identity=renewed)).status_code == 400
    assert await bound(doors) == [("U", 1)]
