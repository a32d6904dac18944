"""Bad input at the doors that devices open: 400 or 413, nothing changed, and never a 401, which would unenroll them."""

import plistlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from local.doors import Door, Doors
from local.simulators.authority import Authority, Identity
from local.simulators.devices.proof import Proof, by_header, by_signature
from local.system import System
from tests.stories.stage import Stage

DOORS = ("/mdm/checkin", "/mdm/connect")
UDID = "00008101-00BADBADBADBAD00"


@pytest.fixture
def authority(system: System) -> Authority:
    """The authority that signs devices."""
    key = system.ca_file.with_name("authority.key")
    return Authority.load(Identity(system.ca_file.read_bytes(), key.read_bytes()))


@pytest.fixture
def proof(authority: Authority) -> Proof:
    """The proof of a device that the authority knows."""
    return by_signature(authority.issue_device(common_name=UDID))


@pytest.fixture
async def mdm(stage: Stage) -> AsyncIterator[Door]:
    """The device doors, without a token; nothing that a test does here may change who is enrolled."""
    before = await _enrolled(stage.doors)
    yield await stage.doors.service("mdm-push", token=None)
    assert await _enrolled(stage.doors) == before


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "body",
    [b"", b"not a plist", b"<plist><dict>", b"bplist00\xff\xff", plistlib.dumps(["a", "list"])],
    ids=["empty", "text", "cut", "binary garbage", "a list"],
)
async def test_a_broken_property_list_is_a_bad_request(
    mdm: Door, proof: Proof, path: str, body: bytes
) -> None:
    assert (await _put(mdm, path, body, proof)).status_code == 400


@pytest.mark.parametrize(
    "said",
    [
        {"MessageType": "Surrender"},
        {"MessageType": 7},
        {"MessageType": "Authenticate"},
        {"MessageType": "TokenUpdate", "Token": "text", "PushMagic": 1},
        {"MessageType": "TokenUpdate", "Topic": "com.apple.mgmt.x", "Token": b"t", "PushMagic": "m"},
        {"MessageType": "DeclarativeManagement", "Endpoint": "tokens"},
        {"Status": "Perhaps"},
        {"Status": "Acknowledged"},
        {"Status": "Idle"},
    ],
    ids=lambda said: " ".join(str(value) for value in said.values()),
)
async def test_what_a_device_may_not_say_is_a_bad_request(
    mdm: Door, proof: Proof, said: dict[str, Any]
) -> None:
    body = plistlib.dumps({"UDID": UDID, **said})
    for path in DOORS:
        assert (await _put(mdm, path, body, proof)).status_code == 400


@pytest.mark.parametrize("path", DOORS)
async def test_an_oversized_body_is_not_read_to_its_end(mdm: Door, proof: Proof, path: str) -> None:
    body = b" " * (5 * 1024 * 1024)
    assert (await _put(mdm, path, body, proof)).status_code == 413


@pytest.mark.parametrize("path", DOORS)
async def test_a_certificate_that_does_not_chain_to_our_authority_is_a_bad_request(
    mdm: Door, path: str
) -> None:
    stranger = by_signature(Authority.create("Somebody else").issue_device(common_name=UDID))
    answer = await _put(mdm, path, _authenticate(), stranger)
    assert (answer.status_code, answer.text) == (400, "certificate_not_ours")


@pytest.mark.parametrize("path", DOORS)
async def test_a_certificate_in_a_header_counts_from_no_untrusted_peer(
    mdm: Door, authority: Authority, path: str
) -> None:
    shown = by_header(authority.issue_device(common_name=UDID), "Client-Cert")
    answer = await _put(mdm, path, _authenticate(), shown)
    assert (answer.status_code, answer.text) == (400, "no_identity")


@pytest.mark.parametrize("path", DOORS)
async def test_a_signature_over_another_body_is_a_bad_request(mdm: Door, proof: Proof, path: str) -> None:
    name, value = proof.header(_authenticate(serial="ANOTHERONE01"))
    answer = await mdm.http.put(path, content=_authenticate(), headers={name: value})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("header", ["", "!!!", "AAAA", "x" * 10_000])
async def test_a_signature_that_is_none_is_a_bad_request(mdm: Door, path: str, header: str) -> None:
    answer = await mdm.http.put(path, content=_authenticate(), headers={"Mdm-Signature": header})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", DOORS)
async def test_no_identity_and_a_token_of_ours_are_a_bad_request_alike(
    mdm: Door, doors: Doors, path: str
) -> None:
    assert (await mdm.http.put(path, content=_authenticate())).status_code == 400
    bearer = {"Authorization": "Bearer nonsense"}
    assert (await mdm.http.put(path, content=_authenticate(), headers=bearer)).status_code == 400
    assert (await doors.mdm_push.http.put(path, content=_authenticate())).status_code == 400


async def test_one_device_does_not_speak_for_another(stage: Stage, mdm: Door, authority: Authority) -> None:
    [ipad] = await stage.ipads(1)
    udid = (await stage.doors.devices.get(f"/devices/{ipad}"))["udid"]
    thief = by_signature(authority.issue_device(common_name=udid))
    for said in ({"Status": "Idle"}, {"MessageType": "CheckOut", "Topic": "any"}):
        body = plistlib.dumps({"UDID": udid, **said})
        assert (await _put(mdm, "/mdm/connect", body, thief)).status_code == 400
    [known] = await stage.sights.devices(serial_number=ipad)
    assert known["enrolled"]


def _authenticate(serial: str = "BAD000000001") -> bytes:
    return plistlib.dumps(
        {
            "MessageType": "Authenticate",
            "Topic": "com.apple.mgmt.External.00000000-0000-0000-0000-000000000000",
            "UDID": UDID,
            "SerialNumber": serial,
            "OSVersion": "17.6.1",
            "BuildVersion": "21G101",
            "ProductName": "iPad13,18",
        }
    )


async def _put(mdm: Door, path: str, body: bytes, proof: Proof) -> httpx2.Response:
    name, value = proof.header(body)
    return await mdm.http.put(path, content=body, headers={name: value})


async def _enrolled(doors: Doors) -> set[str]:
    """Return which enrollments there are, but those that other hands make meanwhile."""
    found = await doors.mdm_push.every("/v1/enrollments", state="enrolled")
    return {each["id"] for each in found if each["serial_number"] in {None, "BAD000000001"}}
