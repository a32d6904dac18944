"""Users, devices, device groups and assets as they cross HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from assignment.schemas.words import (
    ASSET_ID,
    DEVICE_ID,
    GROUP_ID,
    TIME,
    USER_ID,
    Locale,
    MailAddress,
    Said,
    SerialAsSaid,
    Text,
)
from shared.events.words import AssetKind, EnrollmentKind, Platform, Refusal

MOST_MEMBERS = 100_000
"""Serial numbers in one bulk change of a group."""

_USER: dict[str, Any] = {
    "name": "Camille Martin",
    "mail_address": "camille.martin@school.example",
    "locale": "fr",
    "managed_apple_id": None,
    "enrollment_ids": [DEVICE_ID],
}


class NewUser(Said):
    """A person to be known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USER]})

    name: Text
    mail_address: MailAddress | None = None
    locale: Locale | None = None
    managed_apple_id: MailAddress | None = None
    enrollment_ids: Annotated[tuple[UUID, ...], Field(max_length=100)] = ()


class UserBody(BaseModel):
    """A person; `version` rises with every change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": USER_ID,
                    "version": 1,
                    "state": "active",
                    **_USER,
                    "created_at": TIME,
                    "changed_at": TIME,
                }
            ]
        }
    )

    id: UUID
    version: int
    state: str
    name: str
    mail_address: str | None
    locale: str | None
    managed_apple_id: str | None
    enrollment_ids: list[UUID]
    created_at: datetime
    changed_at: datetime


class DeviceBody(BaseModel):
    """A device as mdm-push told it last; `id` is the enrollment id, `generation` counts its enrollments."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": DEVICE_ID,
                    "serial_number": "C02X1234",
                    "platform": "iOS",
                    "os_version": "17.4",
                    "kind": "device",
                    "supervised": True,
                    "product_name": "iPad13,18",
                    "generation": 1,
                    "enrolled": True,
                    "changed_at": TIME,
                }
            ]
        }
    )

    id: UUID
    serial_number: str | None
    platform: Platform
    os_version: str
    kind: EnrollmentKind
    supervised: bool
    product_name: str | None
    generation: int
    enrolled: bool
    changed_at: datetime


class NewDeviceGroup(Said):
    """A device group to be made, without members."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "iPads of 3B"}]})

    name: Text


class DeviceGroupBody(BaseModel):
    """A device group."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": GROUP_ID, "name": "iPads of 3B", "member_count": 28, "created_at": TIME}]
        }
    )

    id: UUID
    name: str
    member_count: int
    created_at: datetime


class Members(Said):
    """Devices by their serial numbers: a set, so that saying it twice changes nothing more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"serial_numbers": ["C02X1234", "C02X1235"]}]})

    serial_numbers: Annotated[list[SerialAsSaid], Field(min_length=1, max_length=MOST_MEMBERS)]


class MemberBody(BaseModel):
    """A device in a group."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"device_id": DEVICE_ID, "serial_number": "C02X1234", "enrolled": True, "added_at": TIME}
            ]
        }
    )

    device_id: UUID
    serial_number: str | None
    enrolled: bool
    added_at: datetime


class RefusedMember(BaseModel):
    """A serial number that no device has, or that found the group full."""

    serial_number: str
    refusal: Refusal


class MembersChanged(BaseModel):
    """What a bulk change did; `unchanged` stood there (or not) already, refusals list the first hundred.

    `unfolding`: the members are changed, what the group was assigned follows in slices.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "added": 27,
                    "removed": 0,
                    "unchanged": 1,
                    "unfolding": False,
                    "refused": {"unknown_target": 1},
                    "refusals": [{"serial_number": "NOBODYS", "refusal": "unknown_target"}],
                }
            ]
        }
    )

    added: int = 0
    removed: int = 0
    unchanged: int
    unfolding: bool
    refused: dict[Refusal, int]
    refusals: list[RefusedMember]


class AssetBody(BaseModel):
    """An app or book; `pools` are its counts by library, as licensing told them last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": ASSET_ID,
                    "kind": "vpp_app",
                    "adam_id": "408709785",
                    "pricing_param": "STDQ",
                    "device_assignable": True,
                    "revocable": True,
                    "platforms": ["iOS", "macOS"],
                    "unlimited": False,
                    "pools": [
                        {
                            "library_id": "2049025000431439",
                            "total": 50,
                            "capacity": 50,
                            "available": 10,
                            "held": 40,
                            "foreign": 0,
                            "waiting": 0,
                            "over_allocated": 0,
                        }
                    ],
                    "changed_at": TIME,
                }
            ]
        }
    )

    id: UUID
    kind: AssetKind
    adam_id: str | None
    pricing_param: str | None
    device_assignable: bool
    revocable: bool
    platforms: list[Platform]
    unlimited: bool
    pools: list[dict[str, Any]]
    changed_at: datetime
