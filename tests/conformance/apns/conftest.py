import itertools
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.conformance.apns.h2_sender import Sender
from tests.conformance.apns.look_alike import Devices, LookAlike, doors, opened

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=doors())
async def look_alike(request: pytest.FixtureRequest) -> AsyncIterator[LookAlike]:
    async with opened(request.param) as service:
        yield service


@pytest.fixture
async def sender(look_alike: LookAlike) -> AsyncIterator[Sender]:
    async with Sender(look_alike.topic).connected(look_alike.port, look_alike.context()) as sender:
        yield sender


@pytest.fixture(scope="session")
async def devices(look_alike: LookAlike) -> AsyncIterator[Devices]:
    if not look_alike.admin_url:
        pytest.skip("devices come and go at an admin door, and APNS_ADMIN_URL names none")
    async with httpx2.AsyncClient(base_url=look_alike.admin_url, trust_env=False) as admin:
        yield Devices(admin, look_alike.topic)


@pytest.fixture
def fresh_tokens() -> Iterator[str]:
    """Tokens that no other test knows."""
    return (f"{number:064x}" for number in _numbers)


@pytest.fixture
async def token(devices: Devices, fresh_tokens: Iterator[str]) -> str:
    """The token of a device."""
    token = next(fresh_tokens)
    await devices.register([token])
    return token
