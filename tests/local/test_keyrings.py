"""The keys made at the start: what is sealed at rest is each service's own, what travels is for all."""

import stat
from pathlib import Path
from uuid import uuid4

import pytest

from local.keyrings import write_keysets
from shared.vault import KeyUnknown, SealBroken, Vault

SERVICES = ("licensing", "invitation")


@pytest.fixture
def vaults(tmp_path: Path) -> dict[str, Vault]:
    return {service: Vault.load(file) for service, file in write_keysets(tmp_path, SERVICES).items()}


def test_what_one_service_seals_for_the_bus_another_opens(vaults: dict[str, Vault]) -> None:
    event_id = uuid4()
    sealed = vaults["licensing"].seal_for_bus(b"link", topic="t", event_id=event_id, field="sealed_link")
    opened = vaults["invitation"].open_from_bus(sealed, topic="t", event_id=event_id, field="sealed_link")
    assert opened.reveal() == b"link"


def test_what_one_service_seals_at_rest_no_other_opens(vaults: dict[str, Vault]) -> None:
    sealed = vaults["licensing"].seal(b"token", table="t", column="c", row_id="1")
    with pytest.raises((KeyUnknown, SealBroken)):
        vaults["invitation"].open(sealed, table="t", column="c", row_id="1")


def test_keys_that_exist_are_kept_and_a_new_service_joins_their_ring(tmp_path: Path) -> None:
    first = {service: file.read_text() for service, file in write_keysets(tmp_path, SERVICES).items()}
    again = write_keysets(tmp_path, [*SERVICES, "mdm-push"])
    assert {service: again[service].read_text() for service in SERVICES} == first
    event_id = uuid4()
    sealed = Vault.load(again["mdm-push"]).seal_for_bus(b"x", topic="t", event_id=event_id, field="f")
    opened = Vault.load(again["licensing"]).open_from_bus(sealed, topic="t", event_id=event_id, field="f")
    assert opened.reveal() == b"x"


def test_nobody_else_on_the_machine_reads_them(tmp_path: Path) -> None:
    for file in write_keysets(tmp_path, SERVICES).values():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
