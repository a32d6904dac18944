"""What the tests of licensing share: a ledger, an office that works it, and a simulated Apple."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import httpx2
import pytest

from licensing.api import DOORS, router
from licensing.apple import Apple, Wire, http_client
from licensing.model import Access
from licensing.store.budget import RequestBudget
from licensing.tables import metadata
from licensing.takeover import TakeoverGuard
from local.simulators.apple import AppleSettings, AppleSimulator, Knobs
from local.simulators.authority import Authority
from local.simulators.identity import Grant, IdentitySimulator
from local.simulators.serving import Serving
from shared.auth import Verifier
from shared.clock import SystemClock, TurnedClock
from shared.database import Database
from shared.vault import Secret, Vault
from shared.web import Health, build_app
from tests.conftest import NewDatabase
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import NOON, Situation

AUDIENCE = "licensing"
QUICK = Knobs(limits={**Knobs().limits, "maxRequestPerSecond": 100_000}, notification_retry_seconds=())

Call = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture(scope="session")
async def licensing_url(new_database: NewDatabase) -> str:
    """One database with licensing's tables; each test finds it empty."""
    url = await new_database("licensing")
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await database.close()
    return url


@pytest.fixture
async def database(licensing_url: str) -> AsyncIterator[Database]:
    """The database, emptied, at a time that only the test turns."""
    database = Database(licensing_url, clock=TurnedClock(NOON))
    async with database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            await tx.raw.execute(f"DELETE FROM {table.name}")
    yield database
    await database.close()


@pytest.fixture
def situation(database: Database) -> Situation:
    """A ledger with nothing in it yet."""
    return Situation(database)


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    path = tmp_path_factory.mktemp("vault") / "keys.json"
    path.write_text(Vault.generate())
    return Vault.load(path)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ca.pem, server.pem and server.key lie."""
    folder = tmp_path_factory.mktemp("licensing")
    authority = Authority.create("licensing tests")
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(folder, "server")
    return folder


@pytest.fixture(scope="session")
async def apple_simulator(certificates: Path) -> AsyncIterator[AppleSimulator]:
    settings = AppleSettings(
        certificate_file=certificates / "server.pem",
        key_file=certificates / "server.key",
        trust_ca_file=certificates / "ca.pem",
        knobs=QUICK,
    )
    async with AppleSimulator(settings) as simulator:
        yield simulator


@pytest.fixture
async def admin(
    apple_simulator: AppleSimulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AppleAdmin]:
    """Apple's back door, everything as new."""
    async with httpx2.AsyncClient() as http:
        admin = AppleAdmin(apple_simulator, http, monkeypatch)
        await admin.post("/reset")
        yield admin


@pytest.fixture
async def apple(
    database: Database, certificates: Path, apple_simulator: AppleSimulator
) -> AsyncIterator[Apple]:
    """The client under test, over real https."""
    async with Wire(lambda: http_client(certificates / "ca.pem"), deadline_seconds=10.0) as wire:
        yield Apple(
            wire,
            base_url=apple_simulator.url,
            budget=RequestBudget(database),
            clock=SystemClock(),
            guard=TakeoverGuard(database),
        )


@pytest.fixture
async def access(admin: AppleAdmin, situation: Situation) -> Access:
    """The right to speak for a library with 50 licences of an app, which nobody has claimed."""
    uid, text = await admin.open_library(50)
    await situation.store_library(uid)
    return Access(uid, Secret(text.encode()))


@pytest.fixture(scope="session")
async def identity() -> AsyncIterator[IdentitySimulator]:
    async with IdentitySimulator() as identity:
        yield identity


@pytest.fixture
async def door(
    database: Database, vault: Vault, apple: Apple, identity: IdentitySimulator, certificates: Path
) -> AsyncIterator[Serving]:
    """The service's HTTP door, on a real port with TLS."""

    async def nothing() -> Sequence[str]:
        return []

    async with httpx2.AsyncClient() as http:
        app = build_app(
            title="licensing",
            description="",
            verifier=Verifier(
                {identity.url: identity.jwks_url}, audience=AUDIENCE, http=http, clock=SystemClock()
            ),
            health=Health(stuck=list, unready=nothing),
            routers=[router(database, apple, vault)],
            open_doors=DOORS,
        )
        serving = await Serving.start(
            app, certificate_file=certificates / "server.pem", key_file=certificates / "server.key"
        )
        yield serving
        await serving.stop()


@pytest.fixture
async def call(door: Serving, identity: IdentitySimulator, certificates: Path) -> AsyncIterator[Call]:
    """`await call("GET", path, scope=...)`: one request with a token of that scope, or none."""
    async with http_client(certificates / "ca.pem") as http:

        async def call(
            method: str, path: str, *, scope: str | None = "licenses:read licenses:admin", **said: object
        ) -> httpx2.Response:
            headers = dict(said.pop("headers", {}))  # type: ignore[call-overload]
            if scope is not None:
                token = identity.sign(Grant(subject="portal", scope=scope, audience=AUDIENCE))
                headers["authorization"] = f"Bearer {token}"
            url = f"https://127.0.0.1:{door.port}{path}"
            return await http.request(method, url, headers=headers, **said)  # type: ignore[arg-type]

        yield call


@pytest.fixture
def office(situation: Situation, apple: Apple, vault: Vault, door: Serving) -> Office:
    """Licensing without its loops: a test says when work is done, and what time it is."""
    return Office(situation, apple, vault, f"https://127.0.0.1:{door.port}")


@pytest.fixture
async def school(office: Office, admin: AppleAdmin, call: Call) -> Office:
    """An office whose library holds 50 licences of an app; claimed, read and told."""
    _, text = await admin.open_library(50)
    response = await call("POST", "/v1/content-tokens", json={"content_token": text})
    assert response.status_code == 201, response.text
    await office.settle_all()
    await office.adopt_pool()
    await office.told()
    return office
