"""Senders that prove themselves by a token: "Establishing a token-based connection to APNs"."""

import ssl
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from local.simulators.apns import ApnsSimulator
from tests.conformance.apns.h2_sender import Headers, Sender
from tests.local.apns.parts import APP_TOPIC, NOW, TOKEN, TOPIC, Clock, Connect, at_both_doors

pytestmark = at_both_doors

TEAM, KEY_ID = "TEAM012345", "KEY0123456"
Bearer = Callable[..., Headers]


@pytest.fixture
def key(simulator: ApnsSimulator) -> ECKey:
    key = ECKey.generate_key("P-256")
    simulator.provider_tokens.trust(KEY_ID, team_id=TEAM, public_key_pem=key.as_pem(private=False).decode())
    simulator.registry.register([TOKEN], topic=APP_TOPIC)
    return key


@pytest.fixture
def bearer(key: ECKey) -> Bearer:
    def made(
        *, team: str = TEAM, key_id: str = KEY_ID, issued_at: float = NOW, signed_by: ECKey = key
    ) -> Headers:
        header = {"alg": "ES256", "kid": key_id}
        token = jwt.encode(header, {"iss": team, "iat": int(issued_at)}, signed_by)
        return {"authorization": f"bearer {token}", "apns-push-type": "alert"}

    return made


@pytest.fixture
async def app_sender(connect: Connect, stranger: ssl.SSLContext) -> Sender:
    sender: Sender = await connect(stranger, topic=APP_TOPIC)
    return sender


async def test_a_good_token_takes_the_place_of_a_certificate(app_sender: Sender, bearer: Bearer) -> None:
    for _ in range(2):
        reply = await app_sender.post(TOKEN, body=b'{"aps":{"alert":"Hello"}}', headers=bearer())
        assert reply.status == 200


async def test_a_signature_in_der_is_as_good(app_sender: Sender, bearer: Bearer) -> None:
    """Pushy, and whoever else signs with Java's own means, writes it so."""
    headers = bearer()
    signed, _, signature = str(headers["authorization"]).rpartition(".")
    raw = urlsafe_b64decode(signature.encode())
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    headers = {**headers, "authorization": f"{signed}.{urlsafe_b64encode(der).decode()}"}
    assert (await app_sender.post(TOKEN, body=b"{}", headers=headers)).status == 200
    forged = encode_dss_signature(1, 2**300)
    headers = {**headers, "authorization": f"{signed}.{urlsafe_b64encode(forged).decode()}"}
    assert (await app_sender.post(TOKEN, body=b"{}", headers=headers)).reason == "InvalidProviderToken"


async def test_a_token_speaks_for_no_topic_of_its_own(app_sender: Sender, bearer: Bearer) -> None:
    reply = await app_sender.post(TOKEN, headers={**bearer(), "apns-topic": None})
    assert (reply.status, reply.reason) == (400, "MissingTopic")


async def test_a_token_never_speaks_for_device_management(
    app_sender: Sender, bearer: Bearer, simulator: ApnsSimulator
) -> None:
    reply = await app_sender.post(TOKEN, headers={**bearer(), "apns-topic": TOPIC, "apns-push-type": "mdm"})
    assert (reply.status, reply.reason) == (400, "TopicDisallowed")


@pytest.mark.parametrize("authorization", [None, "", "bearer", "basic abc"])
async def test_who_brings_no_token_is_asked_for_one(app_sender: Sender, authorization: str | None) -> None:
    reply = await app_sender.post(TOKEN, headers={"authorization": authorization})
    assert (reply.status, reply.reason) == (403, "MissingProviderToken")


async def test_a_token_that_is_not_what_its_team_signed_is_refused(
    app_sender: Sender, bearer: Bearer
) -> None:
    wrong = [
        bearer(team="TEAM999999"),
        bearer(key_id="KEY9999999"),
        bearer(signed_by=ECKey.generate_key("P-256")),
        bearer(issued_at=NOW + 3600),
        {"authorization": "bearer not.a.token"},
    ]
    replies = [await app_sender.post(TOKEN, headers=headers) for headers in wrong]
    assert {(reply.status, reply.reason) for reply in replies} == {(403, "InvalidProviderToken")}


async def test_a_token_is_good_for_an_hour(app_sender: Sender, bearer: Bearer, clock: Clock) -> None:
    headers = bearer()
    body = b'{"aps":{}}'
    clock.now = NOW + 3599
    assert (await app_sender.post(TOKEN, body=body, headers=headers)).status == 200
    clock.now = NOW + 3601
    reply = await app_sender.post(TOKEN, body=body, headers=headers)
    assert (reply.status, reply.reason) == (403, "ExpiredProviderToken")
    assert (await app_sender.post(TOKEN, body=body, headers=bearer(issued_at=clock.now))).status == 200
