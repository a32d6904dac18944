"""The simulated identity provider: its keys verify its tokens, and nobody else's."""

import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from joserfc import errors, jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError

from local.simulators.identity import Grant, IdentitySimulator

GRANT = {
    "subject": "school-portal",
    "scope": "assignments:read assignments:write",
    "audience": "managed-distribution",
}


@pytest.fixture
async def provider() -> AsyncIterator[IdentitySimulator]:
    async with IdentitySimulator() as simulator:
        yield simulator


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


async def fetch_keys(client: httpx2.AsyncClient, url: str) -> KeySet:
    configuration = (await client.get(f"{url}/.well-known/openid-configuration")).json()
    assert configuration["issuer"] == url
    return KeySet.import_key_set((await client.get(configuration["jwks_uri"])).json())


async def test_a_token_has_the_shape_of_rfc_9068_and_the_published_keys_verify_it(
    provider: IdentitySimulator, client: httpx2.AsyncClient
) -> None:
    answer = (await client.post(f"{provider.admin_url}/token", json={**GRANT, "expires_in": 60})).json()
    token = jwt.decode(answer["access_token"], await fetch_keys(client, provider.url), algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    assert token.claims["iss"] == provider.url
    assert token.claims["aud"] == "managed-distribution"
    assert token.claims["sub"] == token.claims["client_id"] == "school-portal"
    assert token.claims["scope"] == "assignments:read assignments:write"
    assert token.claims["exp"] - token.claims["iat"] == 60
    assert abs(token.claims["iat"] - time.time()) < 5
    assert answer["token_type"] == "Bearer"


async def test_every_token_has_an_id_of_its_own(
    provider: IdentitySimulator, client: httpx2.AsyncClient
) -> None:
    keys = await fetch_keys(client, provider.url)
    ids = {jwt.decode(provider.sign(Grant(**GRANT)), keys).claims["jti"] for _ in range(3)}
    assert len(ids) == 3


async def test_after_a_rotation_tokens_of_the_former_key_still_verify(
    provider: IdentitySimulator, client: httpx2.AsyncClient
) -> None:
    former = provider.sign(Grant(**GRANT))
    kid = (await client.post(f"{provider.admin_url}/keys", json={})).json()["kid"]
    keys = await fetch_keys(client, provider.url)
    assert jwt.decode(former, keys).claims["sub"] == "school-portal"
    assert jwt.decode(provider.sign(Grant(**GRANT)), keys).header["kid"] == kid


async def test_a_rotation_may_withdraw_the_former_key(
    provider: IdentitySimulator, client: httpx2.AsyncClient
) -> None:
    former = provider.sign(Grant(**GRANT))
    await client.post(f"{provider.admin_url}/keys", json={"keep_former": False})
    with pytest.raises(errors.InvalidKeyIdError):
        jwt.decode(former, await fetch_keys(client, provider.url))


async def test_the_private_key_is_not_published(
    provider: IdentitySimulator, client: httpx2.AsyncClient
) -> None:
    (key,) = (await client.get(provider.jwks_url)).json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}


async def test_the_public_door_signs_nothing(provider: IdentitySimulator, client: httpx2.AsyncClient) -> None:
    assert (await client.post(f"{provider.url}/token", json=GRANT)).status_code == 404


def test_a_grant_names_its_subject() -> None:
    with pytest.raises(ValidationError):
        Grant.model_validate({"audience": "managed-distribution"})
