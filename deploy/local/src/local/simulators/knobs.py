"""Turns knobs: the settings of a simulator, with some of them said otherwise by whoever starts the box."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

Settings = TypeVar("Settings")

CHOSEN_BY_THE_BOX = frozenset(
    {
        *("port", "admin_port", "seed", "clock", "door", "topic"),
        *("certificate_file", "key_file", "client_ca_file", "trust_ca_file", "server_ca_file", "authority"),
        *("checkin_url", "connect_url", "apns", "license_check", "mailbox_admin_url", "apple_url"),
        "devices_admin_url",
    }
)
"""Settings that are no knobs: where the simulators are and whom they trust."""


def knobs_of(settings: object) -> dict[str, Any]:
    """Return the knobs of a settings dataclass, by name, as they stand."""
    names = [each.name for each in fields(settings) if each.name not in CHOSEN_BY_THE_BOX]  # type: ignore[arg-type]
    return {name: getattr(settings, name) for name in names}


def turned(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with these knobs turned. Raises `ValueError` for a knob that there is not, or not so."""
    known, types = knobs_of(settings), get_type_hints(type(settings), include_extras=True)
    values = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"there is no knob {name}; there are {', '.join(known)}")
        try:
            values[name] = TypeAdapter(types[name]).validate_python(value)
        except ValidationError as error:
            raise ValueError(f"not a value of a knob {name}: {error.errors()[0]['msg']}") from None
    return replace(settings, **values)  # type: ignore[type-var]
