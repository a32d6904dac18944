import asyncio
import base64
import json
import math
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.responses import Response, StreamingResponse

from local.simulators.authority import Authority
from shared import issuer_keys
from shared.auth import Caller, Verifier
from shared.clock import TurnedClock
from shared.errors import Unauthorized, Unavailable
from shared.issuer_keys import FRESH_SECONDS, PAUSE_SECONDS, USABLE_SECONDS
from shared.trust import tls_context
from tests.shared.issuers import AUDIENCE, NOW, Issuer, ServedIssuer, a_key, serve_issuer


@dataclass
class Town:
    """One issuer, one verifier that believes it, and the clock of both."""

    issuer: Issuer
    verifier: Verifier
    clock: TurnedClock


@pytest.fixture(scope="module")
async def issuer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedIssuer]:
    async with serve_issuer(tmp_path_factory.mktemp("issuer")) as served:
        yield served


@pytest.fixture
def town(issuer: ServedIssuer) -> Town:
    served, http = issuer
    served.keys, served.answer, served.asked = [a_key("first")], None, 0
    clock = TurnedClock(NOW)
    granted = {served.url: {"system:serviceaccount:school:portal": frozenset({"directory:read"})}}
    verifier = Verifier(
        {served.url: f"{served.url}/keys"}, audience=AUDIENCE, http=http, clock=clock, subject_scopes=granted
    )
    return Town(served, verifier, clock)


async def refusal(town: Town, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await town.verifier.verify(token)
    assert caught.value.slug == "invalid_token"
    return caught.value.detail.removeprefix("the token is refused: ")


async def test_a_good_token_says_who_calls_and_what_they_may_do(town: Town) -> None:
    caller = await town.verifier.verify(town.issuer.token())
    assert caller == Caller(town.issuer.url, "portal", frozenset({"assignments:read", "assignments:write"}))


async def test_rsa_keys_are_good_too(town: Town) -> None:
    town.issuer.keys = [RSAKey.generate_key(2048, {"kid": "rsa"})]
    assert (await town.verifier.verify(town.issuer.token(algorithm="RS256"))).subject == "portal"


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scope": ..., "scp": ["a", "b"]}, {"a", "b"}),
        ({"scope": ..., "scp": "a"}, {"a"}),
        ({"scope": ...}, set()),
        ({"scope": 7}, set()),
        ({"scope": ..., "sub": "system:serviceaccount:school:portal"}, {"directory:read"}),
    ],
)
async def test_scopes_come_from_the_token_or_from_the_settings(
    town: Town, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert (await town.verifier.verify(town.issuer.token(**claims))).scopes == scopes


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://stranger.example.org"}, "unknown issuer"),
        ({"iss": ...}, "unknown issuer"),
        ({"iss": ["x"]}, "unknown issuer"),
        ({"aud": "another"}, "wrong audience"),
        ({"aud": ["another"]}, "wrong audience"),
        ({"aud": ...}, "wrong audience"),
        ({"exp": NOW.timestamp() - 61}, "expired"),
        ({"exp": ...}, "expired"),
        ({"exp": math.nan}, "expired"),
        ({"exp": math.inf}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": "tomorrow"}, "expired"),
        ({"nbf": NOW.timestamp() + 61}, "not yet valid"),
        ({"nbf": math.nan}, "not yet valid"),
        ({"sub": ...}, "no subject"),
        ({"sub": ""}, "no subject"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(town: Town, claims: dict[str, Any], reason: str) -> None:
    assert await refusal(town, town.issuer.token(**claims)) == reason


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW.timestamp() - 59},
        {"nbf": NOW.timestamp() + 59},
        {"nbf": ...},
        {"aud": ["another", AUDIENCE]},
    ],
)
async def test_a_token_within_the_leeway_is_good(town: Town, claims: dict[str, Any]) -> None:
    assert (await town.verifier.verify(town.issuer.token(**claims))).subject == "portal"


async def test_an_issuer_is_known_by_its_exact_name(town: Town) -> None:
    assert await refusal(town, town.issuer.token(iss=town.issuer.url + "/")) == "unknown issuer"


async def test_a_token_signed_by_another_key_of_the_same_id_is_refused(town: Town) -> None:
    assert await refusal(town, town.issuer.token(key=a_key("first"))) == "bad signature"


async def test_a_token_without_a_signature_is_refused(town: Town) -> None:
    def encoded(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")

    for algorithm in ("none", "None", "ES256"):
        token = f"{encoded({'alg': algorithm, 'kid': 'first'})}.{encoded(town.issuer.claims())}."
        assert await refusal(town, token) == "bad signature"


async def test_the_public_key_is_not_good_as_a_shared_secret(town: Town) -> None:
    first = town.issuer.keys[0]
    assert isinstance(first, ECKey)
    for secret in (first.as_pem(private=False), json.dumps(first.as_dict(private=False)).encode()):
        key = OctKey.import_key(base64.urlsafe_b64encode(secret).decode(), {"kid": "first"})
        assert await refusal(town, town.issuer.token(algorithm="HS256", key=key)) == "bad signature"


async def test_a_symmetric_key_in_the_key_set_proves_nothing(town: Town) -> None:
    shared_secret = OctKey.generate_key(256, {"kid": "oct"})
    town.issuer.keys.append(shared_secret)
    assert await refusal(town, town.issuer.token(algorithm="HS256", key=shared_secret)) == "unknown key"


async def test_an_rsa_key_proves_no_other_algorithm(town: Town) -> None:
    town.issuer.keys = [RSAKey.generate_key(2048, {"kid": "rsa"})]
    assert await refusal(town, town.issuer.token(algorithm="PS256")) == "bad signature"


async def test_a_huge_token_is_refused_before_it_is_read(town: Town) -> None:
    assert await refusal(town, town.issuer.token(note="x" * 9000)) == "too large"
    assert town.issuer.asked == 0


@given(token=st.text(max_size=100) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,9}"))
async def test_what_is_no_token_is_refused(token: str) -> None:
    async with httpx2.AsyncClient() as http:
        verifier = Verifier({}, audience=AUDIENCE, http=http, clock=TurnedClock(NOW))
        with pytest.raises(Unauthorized):
            await verifier.verify(token)


async def test_keys_are_fetched_once_for_many_tokens(town: Town) -> None:
    tokens = [town.issuer.token(sub=f"caller {number}") for number in range(20)]
    await asyncio.gather(*(town.verifier.verify(token) for token in tokens))
    assert town.issuer.asked == 1


async def test_a_new_key_is_found_and_a_withdrawn_one_ends(town: Town) -> None:
    old = town.issuer.token()
    await town.verifier.verify(old)
    town.issuer.keys = [a_key("second")]
    town.clock.turn(PAUSE_SECONDS)
    assert (await town.verifier.verify(town.issuer.token())).subject == "portal"
    assert await refusal(town, old) == "unknown key"


async def test_unknown_keys_do_not_make_us_flood_the_issuer(town: Town) -> None:
    await town.verifier.verify(town.issuer.token())
    for number in range(20):
        assert await refusal(town, town.issuer.token(key=a_key(f"made up {number}"))) == "unknown key"
    assert town.issuer.asked == 1
    town.clock.turn(PAUSE_SECONDS)
    assert await refusal(town, town.issuer.token(key=a_key("made up"))) == "unknown key"
    assert town.issuer.asked == 2


async def test_a_key_that_cannot_be_read_does_not_take_the_others_with_it(town: Town) -> None:
    [good] = [key.as_dict(private=False) for key in town.issuer.keys]
    bad = {"kty": "EC", "crv": "P-256", "kid": "bad", "x": "AA", "y": "AA"}
    town.issuer.answer = Response(json.dumps({"keys": [bad, {"kty": "RSA", "kid": "worse"}, good]}))
    assert (await town.verifier.verify(town.issuer.token())).subject == "portal"


async def test_an_issuer_whose_answer_drips_holds_nobody_up_for_long(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_TIMEOUT_SECONDS", 0.3)

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.1)

    town.issuer.answer = StreamingResponse(drip())
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await town.verifier.verify(town.issuer.token())
    assert time.monotonic() - began < 5


async def test_aging_keys_are_renewed_beside_the_work(town: Town) -> None:
    await town.verifier.verify(town.issuer.token())
    town.clock.turn(FRESH_SECONDS + 1)
    for _ in range(3):
        await town.verifier.verify(town.issuer.token(exp=NOW.timestamp() + 9000))
    async with asyncio.timeout(20):
        while town.issuer.asked < 2:
            await asyncio.sleep(0.01)
    assert town.issuer.asked == 2


BROKEN = [
    Response(status_code=500),
    Response(status_code=302, headers={"location": "https://elsewhere.example.org/keys"}),
    Response("no JSON"),
    Response("[]"),
    Response('{"keys": {}}'),
    Response('{"keys": []}'),
    Response('{"keys": [{"kty": "EC", "crv": "P-256", "kid": "first", "x": "AA", "y": "AA"}]}'),
    Response(b" " * 300_000),
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
async def test_an_issuer_that_fails_leaves_the_last_keys_good_for_an_hour(
    town: Town, broken: Response
) -> None:
    token = town.issuer.token(exp=NOW.timestamp() + 9000)
    await town.verifier.verify(token)
    town.issuer.answer = broken
    town.clock.turn(USABLE_SECONDS - 1)
    assert (await town.verifier.verify(token)).subject == "portal"
    town.clock.turn(2 + PAUSE_SECONDS)
    with pytest.raises(Unavailable) as caught:
        await town.verifier.verify(token)
    assert caught.value.retry_after_seconds == PAUSE_SECONDS
    town.issuer.answer = None
    town.clock.turn(PAUSE_SECONDS)
    assert (await town.verifier.verify(token)).subject == "portal"


async def test_an_issuer_that_nobody_answers_for_is_unavailable_and_does_not_hinder_the_start(
    town: Town,
) -> None:
    silent = "https://127.0.0.1:9"
    async with httpx2.AsyncClient() as http:
        verifier = Verifier({silent: silent}, audience=AUDIENCE, http=http, clock=town.clock)
        with pytest.raises(Unavailable):
            await verifier.verify(town.issuer.token(iss=silent))


async def test_an_issuer_with_a_certificate_of_a_stranger_is_not_believed(town: Town, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority.create("stranger").certificate_pem)
    async with httpx2.AsyncClient(verify=tls_context(stranger)) as http:
        url = town.issuer.url
        verifier = Verifier({url: f"{url}/keys"}, audience=AUDIENCE, http=http, clock=town.clock)
        with pytest.raises(Unavailable):
            await verifier.verify(town.issuer.token())
    assert town.issuer.asked == 0


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        tls_context(tmp_path / "ca.pem")
