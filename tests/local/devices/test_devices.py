import asyncio
import base64
import hashlib

import httpx2
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response

from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import Device, DeviceFleet, Enrollment, Kind, ProofMode
from tests.local.apns.h2_sender import Sender
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import APP, INSTALL, TOPIC, Fleets, Push, done, enrolled


async def test_an_ipad_enrolls_by_authenticate_and_then_token_update(mdm: TinyMdm, ipad: Device) -> None:
    authenticate, token_update = mdm.checkins
    assert authenticate == {
        "MessageType": "Authenticate",
        "Topic": TOPIC,
        "UDID": ipad.udid,
        "SerialNumber": "BOX000000001",
        "OSVersion": "17.6.1",
        "BuildVersion": "21G101",
        "ProductName": "iPad13,18",
    }
    assert token_update["MessageType"] == "TokenUpdate"
    assert (token_update["Token"], token_update["PushMagic"]) == (ipad.token, ipad.magic)
    assert ipad.enrollment is Enrollment.ENROLLED
    assert {headers["content-type"] for headers in mdm.headers} == {"application/x-apple-aspen-mdm-checkin"}


async def test_a_mac_names_itself_and_keeps_its_udid_over_a_wipe(
    mdm: TinyMdm, fleet: DeviceFleet, mac: Device
) -> None:
    assert mdm.checkins[0]["ModelName"] == "MacBook Air"
    former = (mac.token, mac.magic, mac.proof)
    udid = mac.udid
    await fleet.wipe([mac])
    assert (mac.enrollment, mac.token) == (Enrollment.WIPED, None)
    await fleet.enroll([mac])
    assert [message["UDID"] for message in mdm.checkins] == [udid] * 4
    assert all(new != old for new, old in zip((mac.token, mac.magic, mac.proof), former, strict=True))


async def test_every_message_is_signed_by_the_devices_own_certificate(
    mdm: TinyMdm, authority: Authority, ipad: Device
) -> None:
    for headers, body in zip(mdm.headers, mdm.bodies, strict=True):
        content = cms.ContentInfo.load(base64.b64decode(headers["mdm-signature"]))["content"]
        [signer] = content["signer_infos"]
        certificate = x509.load_der_x509_certificate(content["certificates"][0].chosen.dump())
        certificate.verify_directly_issued_by(authority.certificate)
        digests = [
            a["values"][0].native for a in signer["signed_attrs"] if a["type"].native == "message_digest"
        ]
        assert digests == [hashlib.sha256(body).digest()]
        public_key = certificate.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        signed = signer["signed_attrs"].untag().dump()
        public_key.verify(signer["signature"].native, signed, ec.ECDSA(hashes.SHA256()))
        assert certificate.subject.rfc4514_string() == f"CN={ipad.udid}"


async def test_a_device_behind_a_proxy_shows_its_certificate_in_a_header(
    fleets: Fleets, mdm: TinyMdm, authority: Authority
) -> None:
    async with fleets(proof_mode=ProofMode.HEADER) as fleet:
        devices = fleet.create(2)
        await fleet.enroll(devices)
    values = {headers["client-cert"] for headers in mdm.headers}
    assert len(values) == 2
    for value in values:
        assert value.startswith(":")
        assert value.endswith(":")
        certificate = x509.load_der_x509_certificate(base64.b64decode(value.strip(":")))
        certificate.verify_directly_issued_by(authority.certificate)


async def test_a_device_sleeps_until_its_own_magic_arrives(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, sender: Sender
) -> None:
    token, _ = mdm.tokens[ipad.udid]
    await sender.post(token, body=b'{"mdm":"of somebody else"}')
    await fleet.settled()
    assert mdm.reports == []
    await push(ipad)
    await fleet.settled()
    assert mdm.reports == [{"UDID": ipad.udid, "Status": "Idle"}]


async def test_check_out_is_one_attempt_and_then_the_device_is_on_its_own(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device
) -> None:
    mdm.replies.append(Response(status_code=500))
    await fleet.check_out([ipad])
    assert mdm.checkins[-1]["MessageType"] == "CheckOut"
    assert ipad.enrollment is Enrollment.CHECKED_OUT


async def test_a_device_that_was_offline_connects_once_for_all_its_pushes(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    await fleet.go_offline([ipad])
    await push(ipad)
    await push(ipad)
    await fleet.settled()
    assert mdm.reports == []
    await fleet.go_online([ipad])
    await fleet.settled()
    assert len(mdm.reports) == 1


async def test_a_wiped_device_keeps_nothing_and_its_token_is_gone(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, sender: Sender
) -> None:
    await done(fleet, mdm, push, ipad, mdm.queue(ipad.udid, "InstallApplication", **INSTALL))
    checkins = len(mdm.checkins)
    token, _ = mdm.tokens[ipad.udid]
    await fleet.wipe([ipad])
    assert (ipad.apps, len(mdm.checkins)) == ({}, checkins)
    assert (await sender.post(token)).status == 410


async def test_a_device_that_enrolls_anew_loses_its_former_profile_and_the_apps_that_go_with_it(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, sender: Sender
) -> None:
    await done(fleet, mdm, push, ipad, mdm.queue(ipad.udid, "InstallApplication", **INSTALL))
    former, _ = mdm.tokens[ipad.udid]
    assert await fleet.enroll([ipad]) == []
    assert (ipad.enrollment, ipad.apps) == (Enrollment.ENROLLED, {})
    assert [message["MessageType"] for message in mdm.checkins[-2:]] == ["Authenticate", "TokenUpdate"]
    assert (await sender.post(former)).status == 410


async def test_a_fleet_elsewhere_hears_apns_over_its_admin_door(
    fleets: Fleets, mdm: TinyMdm, apns: ApnsSimulator, push: Push
) -> None:
    async with fleets(apns=apns.admin_url) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        await fleet.go_offline([ipad])
        await push(ipad)
        await fleet.go_online([ipad])
        await mdm.connected.wait()
        await fleet.settled()
        await fleet.wipe([ipad])


async def test_the_admin_door_creates_enrolls_and_watches_devices(
    fleet: DeviceFleet, mdm: TinyMdm, push: Push
) -> None:
    async with httpx2.AsyncClient(base_url=fleet.admin_url) as admin:
        made = await admin.post("/devices", json={"count": 2, "kind": "mac", "serial_prefix": "MAC"})
        [first, second] = made.json()["serials"]
        mdm.replies.append(Response(status_code=400))
        enrolled = await admin.post("/devices/enroll", json={"serials": [second, first]})
        assert enrolled.json()["enrolled"] == 1
        await admin.post("/devices/enroll", json={"prefix": "MAC"})
        mac = fleet.devices[first]
        script = {"serials": [first], "times": {"duplicate_report": 1}}
        assert (await admin.post("/devices/script", json=script)).status_code == 204
        uuid = mdm.queue(mac.udid, "InstallApplication", **INSTALL, InstallAsManaged=True)
        await done(fleet, mdm, push, mac, uuid)
        assert len(mdm.answers_to(uuid)) == 2
        seen = (await admin.get(f"/devices/{first}")).json()
        [app] = seen["apps"]
        assert app.items() >= {"adam_id": 361309726, "identifier": APP, "managed": True}.items()
        assert app["status"] == "Managed"
        heard = (await admin.get("/requests")).json()
        answer = {"channel": first, "what": "InstallApplication", "outcome": "Acknowledged Queued"}
        assert heard["requests"][-1] == answer
        newer = await admin.get("/requests", params={"after": heard["last"]})
        assert newer.json() == {"last": heard["last"], "requests": []}
        counts = (await admin.get("/counts")).json()
        assert (counts["enrollments"], counts["apps"]) == ({"enrolled": 2}, {"Managed": 1})
        for path in ("offline", "online", "wipe"):
            assert (await admin.post(f"/devices/{path}", json={"serials": [first]})).status_code == 204
        assert (await admin.post("/devices/checkout", json={"serials": [second]})).status_code == 204
        listed = (await admin.get("/devices", params={"kind": "mac"})).json()
        assert [device["enrollment"] for device in listed] == ["wiped", "checked_out"]
        assert (await admin.get("/devices/NOBODY")).status_code == 404


async def test_a_thousand_devices_enroll_and_install(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with asyncio.timeout(150), fleets(proof_mode=ProofMode.HEADER) as fleet:
        devices = fleet.create(1000)
        assert await fleet.enroll(devices) == []
        for device in devices:
            mdm.queue(device.udid, "InstallApplication", **INSTALL)
            await push(device)
        await fleet.settled()
    assert sum(len(device.apps) for device in devices) == 1000
