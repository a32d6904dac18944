"""What devices prove themselves with: EC and RSA keys, signed or in a header; and tokens that they get (`GetToken`)."""

import base64
import hashlib

import httpx2
import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from local.simulators.authority import Authority
from local.simulators.devices import Device, DeviceFleet, KeyType, Kind, ProofMode
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import Fleets, Push, Visits, enrolled

MAID = "com.apple.maid"


async def test_an_rsa_device_signs_each_message_with_its_own_certificate(
    fleets: Fleets, mdm: TinyMdm, push: Push, authority: Authority
) -> None:
    async with fleets(key_type=KeyType.RSA) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        assert (await Visits(fleet, mdm, push).does(ipad, "ProfileList"))["Status"] == "Acknowledged"
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
        assert isinstance(public_key, rsa.RSAPublicKey)
        assert public_key.key_size == 2048
        signed = signer["signed_attrs"].untag().dump()
        public_key.verify(signer["signature"].native, signed, padding.PKCS1v15(), hashes.SHA256())
        assert certificate.subject.rfc4514_string() == f"CN={ipad.udid}"


async def test_rsa_devices_behind_a_proxy_show_a_certificate_each_and_share_a_few_keys(
    fleets: Fleets, mdm: TinyMdm
) -> None:
    async with fleets(proof_mode=ProofMode.HEADER, key_type=KeyType.RSA, rsa_keys=2) as fleet:
        await fleet.enroll(fleet.create(3))
    values = {headers["client-cert"].strip(":") for headers in mdm.headers}
    certificates = [x509.load_der_x509_certificate(base64.b64decode(value)) for value in values]
    keys = [certificate.public_key() for certificate in certificates]
    assert (len(certificates), all(isinstance(key, rsa.RSAPublicKey) for key in keys)) == (3, True)
    assert len({key.public_numbers() for key in keys if isinstance(key, rsa.RSAPublicKey)}) == 2


async def test_the_type_of_key_may_be_chosen_at_each_enrollment(fleets: Fleets, mdm: TinyMdm) -> None:
    async with fleets(proof_mode=ProofMode.HEADER) as fleet:
        [ipad] = fleet.create(1)
        async with httpx2.AsyncClient(base_url=fleet.admin_url, trust_env=False) as admin:
            for key_type in ("rsa", None):
                body = {"serials": [ipad.serial], "key_type": key_type}
                assert (await admin.post("/devices/enroll", json=body)).json()["enrolled"] == 1
    values = [headers["client-cert"].strip(":") for headers in mdm.headers[::2]]
    keys = [x509.load_der_x509_certificate(base64.b64decode(value)).public_key() for value in values]
    assert isinstance(keys[0], rsa.RSAPublicKey)
    assert isinstance(keys[1], ec.EllipticCurvePublicKey)


async def test_a_device_gets_a_token_of_a_service(fleet: DeviceFleet, mdm: TinyMdm, ipad: Device) -> None:
    mdm.service_tokens[MAID] = b"a token"
    assert await fleet.get_tokens([ipad], MAID) == {ipad.serial: b"a token"}
    message = mdm.checkins[-1]
    assert (message["MessageType"], message["TokenServiceType"]) == ("GetToken", MAID)
    assert not {"TokenParameters", "Topic"} & message.keys()
    watch = {"SecurityToken": "s", "PhoneUDID": "p", "WatchUDID": "w"}
    mdm.service_tokens["com.apple.watch.pairing"] = b"another"
    await fleet.get_tokens([ipad], "com.apple.watch.pairing", parameters=watch)
    assert mdm.checkins[-1]["TokenParameters"] == watch


async def test_a_token_comes_on_a_users_channel_too(fleet: DeviceFleet, mdm: TinyMdm) -> None:
    mac = await enrolled(fleet, Kind.MAC, os_version="14.0")
    await fleet.hands.log_in([mac], "anna")
    mdm.service_tokens[MAID] = b"a token"
    assert await fleet.get_tokens([mac], MAID, user="anna") == {f"{mac.serial}:anna": b"a token"}
    assert mdm.checkins[-1]["UserID"] == mac.users["anna"].user_id


@pytest.mark.parametrize(
    ("kind", "os_version", "asks"),
    [
        (Kind.IOS, "16.7", False),
        (Kind.IOS, "17.0", True),
        (Kind.MAC, "13.6", False),
        (Kind.MAC, "14.0", True),
    ],
)
async def test_tokens_are_asked_for_from_ios_17_and_macos_14(
    fleet: DeviceFleet, mdm: TinyMdm, kind: Kind, os_version: str, *, asks: bool
) -> None:
    mdm.service_tokens[MAID] = b"a token"
    device = await enrolled(fleet, kind, os_version=os_version)
    assert (await fleet.get_tokens([device], MAID) != {}) is asks
    assert (mdm.checkins[-1]["MessageType"] == "GetToken") is asks


async def test_without_the_servers_capability_nobody_asks_for_tokens(fleets: Fleets, mdm: TinyMdm) -> None:
    async with fleets(get_token=False) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        assert await fleet.get_tokens([ipad], MAID) == {}
    assert mdm.checkins[-1]["MessageType"] == "TokenUpdate"


async def test_a_service_that_the_server_does_not_know_answers_400(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device
) -> None:
    mdm.service_tokens[MAID] = b"a token"
    async with httpx2.AsyncClient(base_url=fleet.admin_url, trust_env=False) as admin:
        known = await admin.post("/devices/get-token", json={})
        unknown = await admin.post("/devices/get-token", json={"service": "com.example.chess"})
    assert known.json() == {ipad.serial: hashlib.sha256(b"a token").hexdigest()}
    assert unknown.json() == {}
    assert fleet.trace.exchanges[-1].outcome == "HTTP 400"
