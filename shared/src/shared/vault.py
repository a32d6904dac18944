"""Secrets at rest and on the bus: sealed under a key of their own, and bound to the place they belong to.

Envelope encryption: every sealed value has its own data key, and the data key is wrapped by a key of the
keyset file. Both steps are AES-256-GCM and authenticate the place (table, column and row, or topic, event and
field), so a sealed value that is changed by a bit or moved to another place does not open. Rotation wraps the
data key anew and leaves the value alone.
"""

import base64
import binascii
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import ManagedDistributionError, SettingsError

_VERSION = 1
_KEY_BYTES = 32
_NONCE_BYTES = 12  # random: safe for the 2^32 values that one wrapping key may seal (NIST SP 800-38D, 8.3)
_TAG_BYTES = 16
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_RINGS = ("rest", "bus")


class KeysetInvalid(SettingsError):
    """The keyset file cannot be read; the message never repeats what stands in it."""


class SealBroken(ManagedDistributionError):
    """A sealed value was changed, cut, or moved to a place it was not sealed for."""


class KeyUnknown(ManagedDistributionError):
    """A sealed value names a key that the keyset does not hold (any more)."""


class Secret:
    """Bytes that no log line, error message or format string shows; `reveal` is the one way out."""

    __hash__ = None  # type: ignore[assignment]  # comparing is for tests; a secret is nobody's dictionary key
    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes themselves."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not travel: seal it")


@dataclass(frozen=True, slots=True)
class _Ring:
    """The wrapping keys of one purpose; new values are sealed under the primary one."""

    primary: str
    keys: Mapping[str, AESGCM]

    def key(self, key_id: str) -> AESGCM:
        try:
            return self.keys[key_id]
        except KeyError:
            raise KeyUnknown(f"the keyset holds no key {key_id!r}") from None


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What stands in a sealed value: version, key id, the wrapped data key, the sealed content."""

    key_id: str
    wrapped: bytes
    content: bytes

    def to_bytes(self) -> bytes:
        name = self.key_id.encode()
        return bytes((_VERSION, len(name))) + name + self.wrapped + self.content

    @classmethod
    def from_bytes(cls, sealed: bytes) -> Self:
        if len(sealed) < 2 or sealed[0] != _VERSION:
            raise SealBroken("not a sealed value of a version that this build knows")
        start = 2 + sealed[1]
        content = start + _WRAPPED_BYTES
        if len(sealed) < content + _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("a sealed value is cut short")
        try:
            key_id = sealed[2:start].decode()
        except UnicodeDecodeError:
            raise SealBroken("a sealed value names no key") from None
        return cls(key_id, sealed[start:content], sealed[content:])


class Vault:
    """Seals and opens with the rings of one keyset file: `rest` for the database, `bus` for records."""

    def __init__(self, rest: _Ring, bus: _Ring) -> None:
        self._rest = rest
        self._bus = bus

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the keyset file: `{"rest": {"primary": id, "keys": {id: base64 of 32 bytes}}, "bus": ...}`.

        Raises KeysetInvalid.
        """
        try:
            keyset = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeysetInvalid(f"{path} cannot be read: {type(error).__name__}") from None
        return cls(*(_ring(keyset, name) for name in _RINGS))

    @staticmethod
    def generate() -> str:
        """Return the text of a new keyset, one fresh key in each ring."""
        return Vault.rotate(json.dumps({name: {"primary": "", "keys": {}} for name in _RINGS}))

    @staticmethod
    def rotate(keyset: str) -> str:
        """Return the text of a keyset with a fresh primary key in each ring; the old keys still open."""
        rings = json.loads(keyset)
        for ring in rings.values():
            ring["primary"] = secrets.token_hex(4)
            ring["keys"][ring["primary"]] = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
        return json.dumps(rings, indent=2)

    @staticmethod
    def key_id_of(sealed: bytes) -> str:
        """Return the id of the key that a value is sealed under. Raises SealBroken."""
        return _Envelope.from_bytes(sealed).key_id

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Seal a value for one column of one row."""
        return _seal(self._rest, plaintext, _place("rest", table, column, str(row_id)))

    def open(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> Secret:
        """Open a value where it was sealed for. Raises SealBroken, KeyUnknown."""
        return _open(self._rest, sealed, _place("rest", table, column, str(row_id)))

    def reseal(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return the value under the primary key, unchanged if it is so already.

        Raises SealBroken, KeyUnknown.
        """
        return _reseal(self._rest, sealed, _place("rest", table, column, str(row_id)))

    def seal_for_bus(self, plaintext: bytes, *, topic: str, event_id: UUID, field: str) -> str:
        """Seal a value for one field of one event, as base64url text."""
        sealed = _seal(self._bus, plaintext, _place("bus", topic, str(event_id), field))
        return base64.urlsafe_b64encode(sealed).decode()

    def open_from_bus(self, text: str, *, topic: str, event_id: UUID, field: str) -> Secret:
        """Open a value from the event it was sealed for. Raises SealBroken, KeyUnknown."""
        try:
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SealBroken("not a sealed text") from None
        return _open(self._bus, sealed, _place("bus", topic, str(event_id), field))


def _ring(keyset: Any, name: str) -> _Ring:
    try:
        ring = keyset[name]
        keys = {str(key_id): AESGCM(_key_material(text)) for key_id, text in ring["keys"].items()}
        primary = str(ring["primary"])
    except (KeyError, TypeError, AttributeError, ValueError):
        raise KeysetInvalid(f"ring {name!r} needs a primary key's id and base64 keys of 32 bytes") from None
    if primary not in keys:
        raise KeysetInvalid(f"ring {name!r} lacks its primary key")
    if any(not 0 < len(key_id.encode()) < 256 for key_id in keys):
        raise KeysetInvalid(f"ring {name!r}: a key id has 1 to 255 bytes")
    return _Ring(primary, keys)


def _key_material(text: str) -> bytes:
    material = base64.b64decode(text, validate=True)
    if len(material) != _KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return material


def _place(*parts: str) -> bytes:
    """Return what both steps authenticate. JSON, so that no two places spell the same bytes."""
    return json.dumps([_VERSION, *parts]).encode()


def _seal(ring: _Ring, plaintext: bytes, place: bytes) -> bytes:
    data_key = AESGCM.generate_key(_KEY_BYTES * 8)
    wrapped = _encrypt(ring.key(ring.primary), data_key, place + ring.primary.encode())
    return _Envelope(ring.primary, wrapped, _encrypt(AESGCM(data_key), plaintext, place)).to_bytes()


def _open(ring: _Ring, sealed: bytes, place: bytes) -> Secret:
    envelope = _Envelope.from_bytes(sealed)
    return Secret(_decrypt(AESGCM(_data_key(ring, envelope, place)), envelope.content, place))


def _reseal(ring: _Ring, sealed: bytes, place: bytes) -> bytes:
    envelope = _Envelope.from_bytes(sealed)
    if envelope.key_id == ring.primary:
        return sealed
    data_key = _data_key(ring, envelope, place)
    wrapped = _encrypt(ring.key(ring.primary), data_key, place + ring.primary.encode())
    return _Envelope(ring.primary, wrapped, envelope.content).to_bytes()


def _data_key(ring: _Ring, envelope: _Envelope, place: bytes) -> bytes:
    return _decrypt(ring.key(envelope.key_id), envelope.wrapped, place + envelope.key_id.encode())


def _encrypt(key: AESGCM, plaintext: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, plaintext, place)


def _decrypt(key: AESGCM, sealed: bytes, place: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    except InvalidTag:
        raise SealBroken("a sealed value was changed, or belongs to another place") from None
