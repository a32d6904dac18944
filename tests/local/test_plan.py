"""The plan of the local system, held against what the services themselves say they read."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.keyrings import write_keysets
from local.plan import FIXED_PORTS, SERVICES, Place, Surroundings, any_ports, place
from shared.settings import ServiceSettings, load

CARDS: Mapping[str, Mapping[str, str]] = {
    "identity": {"url": "http://127.0.0.1:1", "jwks_url": "http://127.0.0.1:1/jwks"},
    "apple": {"url": "https://localhost:2"},
    "apns": {"url": "https://localhost:3"},
    "mailbox": {"url": "smtp://127.0.0.1:4"},
}
OF_ANY_PROCESS = {"PATH"}


def around(directory: Path, *, keeps_log: bool = True) -> Surroundings:
    files = {name: directory / name for name in ("authority.pem", "server.pem", "server.key")}
    for file in files.values():
        file.touch()
    return Surroundings(
        database_url="postgresql://somebody@127.0.0.1:5/something",
        bootstrap_servers="127.0.0.1:6",
        broker_keeps_log=keeps_log,
        vault_keys_file=write_keysets(directory, ["any"])["any"],
        ca_file=files["authority.pem"],
        certificate=(files["server.pem"], files["server.key"]),
        cards=CARDS,
    )


def settings_of(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"{service.replace('-', '_')}.settings")
    [found] = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ServiceSettings) and kind is not ServiceSettings
    ]
    return found


@pytest.fixture(params=SERVICES)
def planned(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, any_ports(), around(tmp_path))


def test_a_service_reads_its_whole_environment_and_lacks_nothing(
    planned: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(planned.name)
    known = {name.upper() for name in settings.model_fields}
    assert set(planned.environment) - known == OF_ANY_PROCESS
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in planned.environment.items():
        monkeypatch.setenv(name, value)
    loaded = load(settings)
    assert (loaded.http_port, loaded.metrics_port) == (planned.ports.http, planned.ports.metrics)


def test_a_place_says_where_its_doors_are(planned: Place) -> None:
    assert urlsplit(planned.url).port == planned.ports.http
    assert urlsplit(planned.ready_url).port == planned.ports.metrics


def test_only_a_broker_that_forgets_limits_the_size_of_groups(tmp_path: Path) -> None:
    forgets = place("assignment", FIXED_PORTS, around(tmp_path, keeps_log=False)).environment
    keeps = place("assignment", FIXED_PORTS, around(tmp_path)).environment
    assert (forgets["BROKER_KEEPS_LOG"], forgets["MAX_TARGETS"]) == ("false", "10000")
    assert keeps["BROKER_KEEPS_LOG"] == "true"
    assert "MAX_TARGETS" not in keeps


def test_the_system_that_keeps_running_has_the_ports_that_the_readme_names() -> None:
    assert {name: (ports.http, ports.metrics) for name, ports in FIXED_PORTS.items()} == {
        "assignment": (8001, 9001),
        "licensing": (8002, 9002),
        "invitation": (8003, 9003),
        "mdm-push": (8004, 9004),
    }


def test_a_story_takes_ports_that_differ() -> None:
    taken = [port for ports in any_ports().values() for port in (ports.http, ports.metrics)]
    assert len(set(taken)) == 2 * len(SERVICES)
