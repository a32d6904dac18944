"""Where the suite finds its service: options, the environment, or a simulator that it starts for itself.

It speaks HTTP only. Against Apple's own service it needs `--apple-url` and `--apple-token` (or APPLE_URL and
APPLE_TOKEN); what needs the admin door is left out then, and so is what would change the library. Tests that need
the door carry the marker `needs_admin`.
"""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.conformance.apple.api import Admin, Api
from tests.conformance.apple.subscriber import Subscriber

OPTIONS = {
    "--apple-url": "base URL of the service, such as https://vpp.itunes.apple.com/mdm/v2",
    "--apple-token": "text of a .vpptoken file",
    "--apple-admin-url": "admin door of a simulated service",
    "--apple-ca-file": "CA that signed the service's certificate, where it is not a public one",
    "--apple-subscriber-certificate": "certificate of 127.0.0.1 that the service trusts, for notifications",
    "--apple-subscriber-key": "its private key",
}
APART_SECONDS = 0.1  # between requests to a service without an admin door: Apple counts 15 a second


@dataclass(frozen=True)
class Place:
    """What the options say, or where the simulator is that was started in their place."""

    url: str
    token: str = ""
    admin_url: str = ""
    ca_file: str = ""
    certificate: str = ""
    key: str = ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; the environment has them too, as APPLE_URL and so on."""
    group = parser.getgroup("apple", "a service of Apple's App and Book Management API")
    for name, words in OPTIONS.items():
        group.addoption(name, default=None, help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "needs_admin: needs the admin door of a simulated service")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the admin door."""
    for item in items:
        if isinstance(item, pytest.Function) and "admin" in item.fixturenames:
            item.add_marker("needs_admin")


def said(config: pytest.Config, name: str) -> str:
    """Return an option, else its environment variable, else nothing."""
    variable = name.removeprefix("--").replace("-", "_").upper()
    return str(config.getoption(name, default=None) or os.environ.get(variable, ""))


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    values = [said(request.config, name) for name in OPTIONS]
    if values[0]:
        yield Place(*values)
        return
    directory = tmp_path_factory.mktemp("box")
    command = [sys.executable, "-m", "local.simulators", "apple", "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout is not None
        cards = json.loads(process.stdout.readline())
        yield Place(
            cards["apple"]["url"],
            admin_url=cards["apple"]["admin_url"],
            ca_file=cards["authority"]["certificate_file"],
            certificate=str(directory / "server.pem"),
            key=str(directory / "server.key"),
        )
        process.terminate()


@pytest.fixture(scope="session")
def http(place: Place) -> Iterator[httpx2.Client]:
    trust = ssl.create_default_context(cafile=place.ca_file or None)
    with httpx2.Client(base_url=place.url, verify=trust, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def open_admin(place: Place, http: httpx2.Client) -> Iterator[Admin | None]:
    """The admin door, every request admitted; None where there is none."""
    if not place.admin_url:
        yield None
        return
    with httpx2.Client(base_url=place.admin_url, trust_env=False) as client:
        admin = Admin(client, http)
        former = admin.tell("GET", "/knobs")
        admin.turn(rate_limit=False, notification_retry_seconds=[0.01, 0.01])
        admin.first_knobs = admin.tell("GET", "/knobs")
        yield admin
        admin.turn(**former)


@pytest.fixture
def admin(open_admin: Admin | None) -> Iterator[Admin]:
    """The admin door; whatever a test turned is put back."""
    if open_admin is None:
        pytest.skip("there is no admin door")
    yield open_admin
    open_admin.turn(**open_admin.first_knobs)
    open_admin.tell("DELETE", "/faults")


@pytest.fixture
def api(place: Place, http: httpx2.Client, open_admin: Admin | None) -> Api:
    """A token: of a new library with the usual stock, or the one that was given."""
    if open_admin is not None:
        return open_admin.library()
    if not place.token:
        pytest.skip("there is neither a token nor an admin door")
    return Api(http, place.token, poll_seconds=30.0, between_seconds=APART_SECONDS)


@pytest.fixture
def subscriber(place: Place) -> Iterator[Subscriber]:
    """A place for notifications."""
    if not place.certificate:
        pytest.skip("there is no certificate for a subscriber")
    subscriber = Subscriber(Path(place.certificate), Path(place.key))
    yield subscriber
    subscriber.stop()
