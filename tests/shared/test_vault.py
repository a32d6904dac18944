import base64
import copy
import json
import pickle
from pathlib import Path
from typing import TypedDict
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.vault import KeysetInvalid, KeyUnknown, SealBroken, Secret, Vault

ROW = UUID("018f0000-0000-7000-8000-000000000001")
EVENT = UUID("018f0000-0000-7000-8000-000000000002")


class Place(TypedDict):
    table: str
    column: str
    row_id: UUID


class BusPlace(TypedDict):
    topic: str
    event_id: UUID
    field: str


PLACE: Place = {"table": "content_token", "column": "token", "row_id": ROW}
BUS_PLACE: BusPlace = {"topic": "licensing.invitations", "event_id": EVENT, "field": "link"}


@pytest.fixture(scope="module")
def keyset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vault") / "keyset.json"
    path.write_text(Vault.generate())
    return path


@pytest.fixture(scope="module")
def vault(keyset: Path) -> Vault:
    return Vault.load(keyset)


def rotated(keyset: Path, tmp_path: Path) -> Vault:
    path = tmp_path / "rotated.json"
    path.write_text(Vault.rotate(keyset.read_text()))
    return Vault.load(path)


@given(plaintext=st.binary(max_size=5000))
def test_what_was_sealed_opens_at_its_place(vault: Vault, plaintext: bytes) -> None:
    sealed = vault.seal(plaintext, **PLACE)
    assert vault.open(sealed, **PLACE).reveal() == plaintext
    text = vault.seal_for_bus(plaintext, **BUS_PLACE)
    opened = vault.open_from_bus(text, **BUS_PLACE)
    assert opened.reveal() == plaintext


@given(plaintext=st.binary(max_size=50), where=st.integers(min_value=0))
def test_one_changed_bit_anywhere_breaks_the_seal(vault: Vault, plaintext: bytes, where: int) -> None:
    sealed = bytearray(vault.seal(plaintext, **PLACE))
    bit = where % (len(sealed) * 8)
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((SealBroken, KeyUnknown)):
        vault.open(bytes(sealed), **PLACE)


@given(length=st.integers(min_value=0))
def test_a_cut_value_does_not_open(vault: Vault, length: int) -> None:
    sealed = vault.seal(b"a content token", **PLACE)
    with pytest.raises(SealBroken):
        vault.open(sealed[: length % len(sealed)], **PLACE)


@given(text=st.text(max_size=200))
def test_no_other_text_opens_from_the_bus(vault: Vault, text: str) -> None:
    with pytest.raises((SealBroken, KeyUnknown)):
        vault.open_from_bus(text, **BUS_PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {**PLACE, "table": "other"},
        {**PLACE, "column": "other"},
        {**PLACE, "row_id": uuid4()},
    ],
    ids=["table", "column", "row"],
)
def test_a_value_moved_to_another_place_does_not_open(vault: Vault, elsewhere: Place) -> None:
    sealed = vault.seal(b"a content token", **PLACE)
    with pytest.raises(SealBroken):
        vault.open(sealed, **elsewhere)


def test_the_parts_of_a_place_do_not_run_into_each_other(vault: Vault) -> None:
    sealed = vault.seal(b"secret", table="a", column="b|c", row_id="d")
    with pytest.raises(SealBroken):
        vault.open(sealed, table="a|b", column="c", row_id="d")


@pytest.mark.parametrize(
    "elsewhere",
    [
        {**BUS_PLACE, "topic": "invitation.devices"},
        {**BUS_PLACE, "event_id": uuid4()},
        {**BUS_PLACE, "field": "other"},
    ],
    ids=["topic", "event", "field"],
)
def test_a_bus_value_moved_to_another_field_does_not_open(vault: Vault, elsewhere: BusPlace) -> None:
    text = vault.seal_for_bus(b"https://example.org/i/1", **BUS_PLACE)
    with pytest.raises(SealBroken):
        vault.open_from_bus(text, **elsewhere)


def test_a_value_at_rest_does_not_open_from_the_bus(vault: Vault) -> None:
    text = base64.urlsafe_b64encode(vault.seal(b"x", table="t", column=str(EVENT), row_id="f")).decode()
    with pytest.raises(KeyUnknown):
        vault.open_from_bus(text, topic="t", event_id=EVENT, field="f")


def test_two_seals_of_one_value_differ(vault: Vault) -> None:
    assert vault.seal(b"same", **PLACE) != vault.seal(b"same", **PLACE)


def test_rotation_opens_old_values_and_seals_new_ones_under_the_new_key(
    vault: Vault, keyset: Path, tmp_path: Path
) -> None:
    old = vault.seal(b"a content token", **PLACE)
    newer = rotated(keyset, tmp_path)
    assert newer.open(old, **PLACE).reveal() == b"a content token"
    assert Vault.key_id_of(newer.seal(b"x", **PLACE)) != Vault.key_id_of(old)


def test_reseal_moves_a_value_to_the_primary_key_and_only_once(
    vault: Vault, keyset: Path, tmp_path: Path
) -> None:
    old = vault.seal(b"a content token", **PLACE)
    newer = rotated(keyset, tmp_path)
    resealed = newer.reseal(old, **PLACE)
    assert Vault.key_id_of(resealed) != Vault.key_id_of(old)
    assert newer.open(resealed, **PLACE) == Secret(b"a content token")
    assert newer.reseal(resealed, **PLACE) == resealed
    with pytest.raises(KeyUnknown):
        vault.open(resealed, **PLACE)


def test_reseal_refuses_a_value_of_another_place(vault: Vault, keyset: Path, tmp_path: Path) -> None:
    old = vault.seal(b"a content token", **PLACE)
    with pytest.raises(SealBroken):
        rotated(keyset, tmp_path).reseal(old, table="content_token", column="token", row_id=uuid4())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"rest": {"primary": "a", "keys": {}}, "bus": {"primary": "a", "keys": {}}}',
        '{"rest": {"primary": "a", "keys": {"a": "c2hvcnQ="}}, "bus": {}}',
        '{"rest": {"primary": "a", "keys": {"a": 7}}, "bus": {}}',
    ],
)
def test_a_bad_keyset_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keyset.json"
    path.write_text(text)
    with pytest.raises(KeysetInvalid) as caught:
        Vault.load(path)
    assert "c2hvcnQ=" not in str(caught.value)


def test_a_missing_keyset_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(KeysetInvalid, match=r"nowhere\.json"):
        Vault.load(tmp_path / "nowhere.json")


def test_a_generated_keyset_has_a_ring_for_each_purpose() -> None:
    keyset = json.loads(Vault.generate())
    assert set(keyset) == {"rest", "bus"}
    assert keyset["rest"]["keys"] != keyset["bus"]["keys"]


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(b"hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{secret:>40}", f"{[secret]}"]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == b"hunter2"


def test_a_secret_is_not_copied_into_a_pickle() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(b"hunter2"))
    with pytest.raises(TypeError):
        copy.copy(Secret(b"hunter2"))
