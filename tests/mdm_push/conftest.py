"""What the tests of mdm-push share: a migrated database, and devices that speak to the use cases or to the doors."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import asyncpg
import httpx2
import pytest

from local.simulators.apns import ApnsSettings, ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.identity import IdentitySettings, IdentitySimulator
from local.simulators.serving import Serving
from mdm_push import api, checkin
from mdm_push.handlers.means import Means
from mdm_push.identity import Prover
from mdm_push.model import Patience
from mdm_push.tables import metadata
from shared.auth import Verifier
from shared.clock import SystemClock, TurnedClock
from shared.database import Database
from shared.migrate import migrate
from shared.trust import tls_context
from shared.vault import Vault
from shared.web import Health, build_app
from tests.conftest import NewDatabase
from tests.mdm_push.doors import Doors
from tests.mdm_push.workbench import Workbench

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
AUDIENCE = "mdm-push"
QUICK = Patience(retry_seconds=(0.2,), verify_seconds=(0.2,), push_again_seconds=(600,), not_now_seconds=(1,))


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock(START)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    path = tmp_path / "keyset.json"
    path.write_text(Vault.generate())
    return Vault.load(path)


@pytest.fixture(scope="session")
async def migrated_url(new_database: NewDatabase) -> str:
    """One database for the session: migrations take longer than tests."""
    url = await new_database("mdm-push")
    await migrate(url, package="mdm_push")
    return url


@pytest.fixture
async def database_url(migrated_url: str) -> str:
    """The session's database, emptied."""
    connection = await asyncpg.connect(migrated_url)
    tables = reversed(metadata.sorted_tables)
    await connection.execute(
        ";".join(f"DELETE FROM {table.name}" for table in tables)
    )  # TRUNCATE makes new files
    await connection.close()
    return migrated_url


@pytest.fixture
async def database(database_url: str, clock: TurnedClock) -> AsyncIterator[Database]:
    database = Database(database_url, clock=clock)
    yield database
    await database.close()


@pytest.fixture
def bench(database: Database, vault: Vault, clock: TurnedClock) -> Workbench:
    """The use cases, at a time that only the test turns."""
    return Workbench(database, Means(vault), clock)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("mdm-push tests")


@pytest.fixture(scope="session")
def folder(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where certificates lie: ca.pem, server.pem, server.key."""
    made = tmp_path_factory.mktemp("mdm_push")
    (made / "ca.pem").write_bytes(authority.certificate_pem)
    authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(made, "server")
    return made


@pytest.fixture
async def simulator(folder: Path) -> AsyncIterator[ApnsSimulator]:
    """APNs, insisting on every header that Apple recommends, and on MDM pushes to the letter."""
    settings = ApnsSettings(
        certificate_file=folder / "server.pem",
        key_file=folder / "server.key",
        client_ca_file=folder / "ca.pem",
        required_headers=frozenset({"apns-topic", "apns-push-type", "apns-priority", "apns-expiration"}),
        strict_mdm=True,
    )
    async with ApnsSimulator(settings) as simulator:
        yield simulator


@pytest.fixture(scope="session")
async def identity_provider(folder: Path) -> AsyncIterator[IdentitySimulator]:
    settings = IdentitySettings(certificate_file=folder / "server.pem", key_file=folder / "server.key")
    async with IdentitySimulator(settings) as provider:
        yield provider


@pytest.fixture
def ca_names_devices() -> bool:
    """Whether the names in a device's certificate are the authority's word."""
    return False


@pytest.fixture
async def doors(
    database_url: str,
    vault: Vault,
    authority: Authority,
    folder: Path,
    identity_provider: IdentitySimulator,
    *,
    ca_names_devices: bool,
) -> AsyncIterator[Doors]:
    """The service's doors on a real port, at the time of day, with a quick patience."""

    async def nothing() -> Sequence[str]:
        return []

    database = Database(database_url)
    means = Means(vault, patience=QUICK, ca_names_devices=ca_names_devices)
    prover = Prover(authority.certificate_pem, trusted_proxies=[ip_network("127.0.0.2")], clock=SystemClock())
    async with httpx2.AsyncClient(verify=tls_context(folder / "ca.pem")) as http:
        app = build_app(
            title="mdm-push",
            description="",
            verifier=Verifier(
                {identity_provider.url: identity_provider.jwks_url},
                audience=AUDIENCE,
                http=http,
                clock=SystemClock(),
            ),
            health=Health(stuck=list, unready=nothing),
            routers=[api.router(database, means), checkin.router(database, prover, means)],
            open_doors=checkin.DOORS,
        )
        serving = await Serving.start(app)
        url = f"http://127.0.0.1:{serving.port}"
        async with httpx2.AsyncClient(base_url=url) as client:
            yield Doors(
                Workbench(database, means, TurnedClock(START)), client, url, authority, identity_provider
            )
        await serving.stop()
    await database.close()
