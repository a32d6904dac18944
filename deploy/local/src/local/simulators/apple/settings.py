"""Every knob of the simulated App and Book service: those of its start, and those the admin door turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

# Apple's published samples, documentation "Service Configuration".
LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "maxAssets": 25,
        "maxClientUserIds": 1000,
        "maxMdmIdLength": 100,
        "maxMdmMetadataLength": 255,
        "maxMdmNameLength": 100,
        "maxNotificationLength": 512,
        "maxRequestPerSecond": 15,
        "maxSerialNumbers": 1000,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Turned at any time through the admin door; `POST /reset` puts back those of the start."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it from the class

    event_delay_seconds: NonNegativeFloat = 0.0  # from the POST to the first task of its event
    disassociate_delay_seconds: NonNegativeFloat | None = None  # None: as the others
    task_seconds: NonNegativeFloat = 0.0  # each task of an event takes this long
    hold_events: bool = False  # no task is worked while this is on
    rate_limit: bool = True  # answer 9646 above `maxRequestPerSecond` per library
    invalid_token_status: Literal[200, 401] = 401  # 9622 has been seen with both
    notification_retry_seconds: tuple[NonNegativeFloat, ...] = (
        60.0,
        120.0,
    )  # before the second and the third attempt
    notification_timeout_seconds: PositiveFloat = 5.0
    page_size: PositiveInt = 1000
    limits: Mapping[str, NonNegativeInt] = field(
        default_factory=lambda: LIMITS
    )  # published in service/config and enforced


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleSettings:
    """Fixed at the start. Port 0 takes a free one."""

    certificate_file: Path
    key_file: Path
    port: int = 0
    admin_port: int = 0
    trust_ca_file: Path | None = None  # CAs beside the system's, for the notification URL
    seed: int = 0  # of every version, event and notification id
    knobs: Knobs = field(default_factory=Knobs)
