import plistlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.simulators.authority import Authority
from local.simulators.devices.proof import by_signature
from mdm_push.checkin import DOORS
from mdm_push.messages import Malformed, Report, read, read_plist
from tests.mdm_push.doors import Doors
from tests.mdm_push.workbench import TOPIC

IDLE = {"Status": "Idle", "UDID": "U"}


async def test_a_device_enrolls_over_the_wire_and_fetches_its_first_command(doors: Doors) -> None:
    identity = await doors.enroll("U")
    answer = await doors.put(IDLE, identity=identity)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xml; charset=UTF-8"
    command = plistlib.loads(answer.content)
    assert set(command) == {"CommandUUID", "Command"}
    assert command["Command"]["RequestType"] == "DeviceInformation"


@pytest.mark.parametrize("path", DOORS)
async def test_one_url_may_serve_both_conversations(doors: Doors, path: str) -> None:
    identity = await doors.enroll("U")
    update = {
        "MessageType": "TokenUpdate",
        "UDID": "U",
        "Topic": TOPIC,
        "Token": b"t",
        "PushMagic": "other",
    }
    assert (await doors.put(update, identity=identity, path=path)).status_code == 200
    assert (await doors.put(IDLE, identity=identity, path=path)).content.startswith(b"<?xml")


async def test_binary_property_lists_are_read_too(doors: Doors) -> None:
    identity = await doors.enroll("U")
    body = plistlib.dumps(IDLE, fmt=plistlib.FMT_BINARY)
    assert (await doors.put(body, identity=identity)).status_code == 200


async def test_conformance_10_an_empty_queue_is_a_200_without_a_body(doors: Doors) -> None:
    identity = await doors.enroll("U")
    command = plistlib.loads((await doors.put(IDLE, identity=identity)).content)
    report = {"Status": "Acknowledged", "UDID": "U", "CommandUUID": command["CommandUUID"]}
    answer = await doors.put(report, identity=identity)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no plist",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><plist><dict><key>a</key></dict></plist>",
        plistlib.dumps(["no dictionary"]),
        {"UDID": "U"},
        {"MessageType": "Nonsense", "UDID": "U"},
        {"MessageType": 7, "UDID": "U"},
        {"MessageType": "DeclarativeManagement", "UDID": "U", "Endpoint": "tokens"},
        {"MessageType": "GetToken", "UDID": "U", "TokenServiceType": "com.apple.maid"},
        {"MessageType": "TokenUpdate", "UDID": "U"},
        {"MessageType": "Authenticate", "Topic": TOPIC},
        {"MessageType": "Authenticate", "UDID": "OTHER:USER-1", "Topic": TOPIC},
        {"Status": "Nonsense", "UDID": "U"},
        {"Status": "Idle"},
        {"Status": "Idle", "UDID": "somebody else"},
    ],
)
async def test_conformance_01_what_cannot_be_read_is_a_400_and_changes_nothing(
    doors: Doors, content: dict[str, Any] | bytes
) -> None:
    identity = await doors.enroll("U")
    await doors.bench.told()
    for path in DOORS:
        assert (await doors.put(content, identity=identity, path=path)).status_code == 400
    assert await doors.bench.told() == []
    assert await doors.bench.value("SELECT count(*) FROM enrollments") == 1


async def test_conformance_02_a_body_over_the_cap_is_a_413(doors: Doors) -> None:
    identity = await doors.enroll("U")
    body = plistlib.dumps({**IDLE, "Padding": b"x" * (5 * 1024 * 1024)})
    assert (await doors.put(body, identity=identity)).status_code == 413


async def test_conformance_03_and_04_wrong_identities_are_400_and_never_401(doors: Doors) -> None:
    mine = await doors.enroll("U")
    other = await doors.enroll("OTHER")
    stranger = Authority.create("stranger").issue_device(common_name="U")
    server = doors.authority.issue_server(hosts=["localhost"])
    for identity in (stranger, server, other, doors.authority.issue_device(common_name="U"), None):
        for content in (IDLE, {"MessageType": "CheckOut", "UDID": "U", "Topic": TOPIC}):
            assert (await doors.put(content, identity=identity)).status_code == 400
    assert (await doors.put(IDLE, identity=mine)).status_code == 200


async def test_a_header_of_an_untrusted_peer_proves_nothing(doors: Doors) -> None:
    identity = await doors.enroll("U")
    pem = identity.certificate_pem.decode().splitlines()
    header = {"Client-Cert": f":{''.join(pem[1:-1])}:"}
    answer = await doors.put(IDLE, identity=None, **header)
    assert (answer.status_code, answer.text) == (400, "no_identity")


async def test_no_device_speaks_for_a_user_channel_of_another_by_its_own_name(doors: Doors) -> None:
    owner = await doors.enroll("OWNER")
    user = {"UDID": "OWNER", "UserID": "USER-1"}
    update = {"MessageType": "TokenUpdate", "Topic": TOPIC, "Token": b"t2", "PushMagic": "m2", **user}
    assert (await doors.put(update, identity=owner)).status_code == 200
    await doors.bench.told()
    thief = doors.authority.issue_device(common_name="THIEF")
    for name in ({"UDID": "OWNER:USER-1"}, {"EnrollmentID": "OWNER:USER-1"}):
        message = {"MessageType": "Authenticate", "Topic": TOPIC, **name}
        assert (await doors.put(message, identity=thief)).status_code == 400
    assert await doors.bench.told() == []
    assert (await doors.put({"Status": "Idle", **user}, identity=owner)).status_code == 200


async def test_an_identity_that_is_said_twice_proves_nothing(doors: Doors) -> None:
    identity = await doors.enroll("U")
    body = plistlib.dumps(IDLE)
    name, value = by_signature(identity).header(body)
    answer = await doors.http.put("/mdm/connect", content=body, headers=[(name, value), (name, value)])
    assert (answer.status_code, answer.text) == (400, "two_identities")


@pytest.mark.parametrize(
    "results",
    [
        {"QueryResponses": {"SerialNumber": "VMware-56 4d/+", "IsSupervised": "perhaps"}},
        {"QueryResponses": "nonsense"},
        {"ErrorChain": [{"ErrorCode": "many", "ErrorDomain": "x" * 1000}]},
        {"ManagedApplicationList": {"": {}}},
        {"Identifier": "x" * 1000, "State": 7, "RejectionReason": ["?"]},
    ],
)
async def test_results_that_cannot_be_read_are_taken_and_never_brought_again(
    doors: Doors, results: dict[str, Any]
) -> None:
    identity = await doors.enroll("U")
    command = plistlib.loads((await doors.put(IDLE, identity=identity)).content)
    report = {"Status": "Acknowledged", "UDID": "U", "CommandUUID": command["CommandUUID"], **results}
    answer = await doors.put(report, identity=identity)
    assert (answer.status_code, answer.content) == (200, b"")
    assert await doors.bench.value("SELECT state FROM commands") == "acknowledged"


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_no_device_route_ever_answers_401(doors: Doors, path: str, method: str) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"mdm-signature": "x"}, {"client-cert": ":x:"}):
        answer = await doors.http.request(method, path, headers=headers, content=b"x")
        assert answer.status_code in {400, 405}


async def test_a_bootstrap_token_is_kept_sealed_and_given_back(doors: Doors) -> None:
    identity = await doors.enroll("U")
    get = {"MessageType": "GetBootstrapToken", "UDID": "U"}
    assert (await doors.put(get, identity=identity)).content == b""
    await doors.put(
        {"MessageType": "SetBootstrapToken", "UDID": "U", "BootstrapToken": b"open sesame"},
        identity=identity,
    )
    assert plistlib.loads((await doors.put(get, identity=identity)).content) == {
        "BootstrapToken": b"open sesame"
    }
    assert b"open sesame" not in await doors.bench.value("SELECT bootstrap_token FROM enrollments")
    await doors.put({"MessageType": "SetBootstrapToken", "UDID": "U"}, identity=identity)
    assert (await doors.put(get, identity=identity)).content == b""


async def test_network_users_are_politely_not_managed(doors: Doors) -> None:
    identity = await doors.enroll("U")
    answer = await doors.put(
        {"MessageType": "UserAuthenticate", "UDID": "U", "UserID": "X"}, identity=identity
    )
    assert answer.status_code == 410


async def test_a_user_channel_has_its_own_queue_under_its_device(doors: Doors) -> None:
    identity = await doors.enroll("U")
    user = {"UDID": "U", "UserID": "USER-1", "UserShortName": "ada"}
    update = {"MessageType": "TokenUpdate", "Topic": TOPIC, "Token": b"t2", "PushMagic": "m2", **user}
    assert (await doors.put(update, identity=identity)).status_code == 200
    answer = await doors.put({"Status": "Idle", **user}, identity=identity)
    assert (answer.status_code, answer.content) == (200, b"")
    parent = await doors.bench.value("SELECT parent_id FROM enrollments WHERE apple_id = 'U:USER-1'")
    assert parent == await doors.bench.value("SELECT id FROM enrollments WHERE apple_id = 'U'")


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda noise: b"bplist00" + noise)))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    try:
        content = read_plist(body)
        read(Report, content)
    except Malformed:
        return


def test_a_complaint_names_the_key_and_never_its_value() -> None:
    with pytest.raises(Malformed) as malformed:
        read(Report, {"Status": "hunter2"})
    assert "Status" in str(malformed.value)
    assert "hunter2" not in str(malformed.value)
