from typing import Any

import pytest

from local.simulators.authority import Authority
from shared.ids import new_id
from tests.mdm_push.doors import Doors
from tests.mdm_push.workbench import TOPIC, Device


def upload(authority: Authority, topic: str = TOPIC, **changes: Any) -> dict[str, Any]:
    identity = authority.issue_push(topic=topic)
    return {
        "certificate_pem": identity.certificate_pem.decode(),
        "private_key_pem": identity.private_key_pem.decode(),
        **changes,
    }


async def store(doors: Doors, body: dict[str, Any], **headers: str) -> Any:
    return await doors.call(
        "POST", "/v1/push-certificates", scope="devices:command", json=body, headers=headers
    )


async def enrolled(doors: Doors, udid: str = "U") -> Device:
    await doors.enroll(udid)
    row = await doors.bench.value("SELECT id FROM enrollments WHERE apple_id = $1", udid)
    return Device(udid, doors.bench.certificate(udid), row)


async def test_enrollments_are_listed_in_pages_and_by_filters(doors: Doors) -> None:
    for udid in ("A", "B", "C"):
        await doors.enroll(udid)
    first = (await doors.call("GET", "/v1/enrollments?limit=2")).json()
    assert [item["platform"] for item in first["items"]] == ["iOS", "iOS"]
    rest = (await doors.call("GET", f"/v1/enrollments?cursor={first['next_cursor']}")).json()
    assert len(rest["items"]) == 1
    assert rest["next_cursor"] is None
    assert (await doors.call("GET", "/v1/enrollments?state=unenrolled")).json()["items"] == []
    assert (await doors.call("GET", "/v1/enrollments?state=nonsense")).status_code == 422


async def test_an_enrollment_tells_its_story_and_what_holds_it_up(doors: Doors) -> None:
    device = await enrolled(doors)
    [target] = await doors.bench.ask_install(device)
    answer = await doors.call("GET", f"/v1/enrollments/{device.enrollment_id}")
    assert answer.status_code == 200
    story = answer.json()
    assert story["why"]["blocked_by"] == "no_push_certificate"
    assert story["open_commands"] == 2
    [delivery] = story["deliveries"]
    assert (delivery["delivery_id"], delivery["state"]) == (str(target.delivery_id), "commanded")
    await store(doors, upload(doors.authority))
    story = (await doors.call("GET", f"/v1/enrollments/{device.enrollment_id}")).json()
    assert (story["why"]["blocked_by"], story["why"]["next_action"]) == ("not_pushed_yet", "wake_up")
    assert story["why"]["next_at"] == story["push"]["next_push_at"]


async def test_no_answer_shows_what_a_device_confided(doors: Doors) -> None:
    device = await enrolled(doors)
    text = (await doors.call("GET", f"/v1/enrollments/{device.enrollment_id}")).text
    text += (await doors.call("GET", "/v1/enrollments")).text
    assert "magic" not in text
    assert "U" not in text.replace("UTC", "")


async def test_an_unknown_enrollment_is_a_404(doors: Doors) -> None:
    answer = await doors.call("GET", f"/v1/enrollments/{new_id()}")
    assert (answer.status_code, answer.json()["type"]) == (404, "unknown_enrollment")


async def test_commands_are_listed_by_what_they_are_for(doors: Doors) -> None:
    device = await enrolled(doors)
    [target] = await doors.bench.ask_install(device)
    [command] = (await doors.call("GET", f"/v1/commands?delivery_id={target.delivery_id}")).json()["items"]
    assert (command["request_type"], command["state"]) == ("InstallApplication", "queued")
    by_type = f"/v1/commands?enrollment_id={device.enrollment_id}&request_type=DeviceInformation&state=queued"
    assert len((await doors.call("GET", by_type)).json()["items"]) == 1


async def test_a_push_certificate_is_stored_sealed_and_never_read_back(doors: Doors) -> None:
    body = upload(doors.authority, apple_account="mdm@school.example")
    answer = await store(doors, body)
    assert answer.status_code == 201
    assert answer.json()["topic"] == TOPIC
    newer = await store(doors, upload(doors.authority))
    listed = await doors.call("GET", "/v1/push-certificates")
    assert [item["in_use"] for item in listed.json()["items"]] == [False, True]
    assert listed.json()["items"][1]["id"] == newer.json()["id"]
    assert "PRIVATE" not in listed.text
    key = await doors.bench.value("SELECT private_key FROM push_certificates LIMIT 1")
    assert b"PRIVATE" not in key


async def test_the_same_upload_twice_with_one_key_is_one_certificate(doors: Doors) -> None:
    body = upload(doors.authority)
    first = await store(doors, body, **{"idempotency-key": "one"})
    again = await store(doors, body, **{"idempotency-key": "one"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert await doors.bench.value("SELECT count(*) FROM push_certificates") == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"certificate_pem": "nonsense"}, "certificate_pem"),
        ({"private_key_pem": "nonsense"}, "private_key_pem"),
        ({"private_key_pem": ...}, "private_key_pem"),
        ({"certificate_pem": None}, "certificate_pem"),
    ],
)
async def test_a_bad_upload_is_a_422_that_names_the_field(
    doors: Doors, changes: dict[str, Any], field: str
) -> None:
    other = upload(doors.authority)["private_key_pem"]
    changes = {name: other if value is ... else value for name, value in changes.items()}
    answer = await store(doors, upload(doors.authority) | changes)
    assert answer.status_code == 422
    assert field in answer.json()["fields"]
    assert "PRIVATE KEY" not in answer.text


async def test_a_certificate_of_no_mdm_topic_is_refused(doors: Doors) -> None:
    answer = await store(doors, upload(doors.authority, topic="com.example.app"))
    assert "com.apple.mgmt." in answer.json()["fields"]["certificate_pem"]


async def test_another_topic_is_refused_unless_all_devices_are_to_enroll_again(doors: Doors) -> None:
    await enrolled(doors)
    other = upload(doors.authority, topic=f"{TOPIC}0")
    answer = await store(doors, other)
    assert (answer.status_code, answer.json()["type"]) == (409, "another_topic")
    assert (await store(doors, other | {"all_devices_must_reenroll": True})).status_code == 201


async def test_every_route_asks_for_its_scope(doors: Doors) -> None:
    for path in ("/v1/enrollments", f"/v1/enrollments/{new_id()}", "/v1/commands", "/v1/push-certificates"):
        assert (await doors.http.get(path)).status_code == 401
        assert (await doors.call("GET", path, scope="licenses:read")).status_code == 403
    answer = await doors.call("POST", "/v1/push-certificates", json=upload(doors.authority))
    assert answer.status_code == 403
