"""Every knob of the simulated App and Book service: those of its start, and those the admin door turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter

from local.simulators.admin import LONGEST_DAYS, STRICT

# Apple's published samples, documentation "Service Config".
LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "maxAssets": 25,
        "maxClientUserIds": 1000,
        "maxMdmIdLength": 100,
        "maxMdmMetadataLength": 255,
        "maxMdmNameLength": 100,
        "maxNotificationLength": 512,
        "maxRequestPerSecond": 15,
        "maxRevokeClientUserIds": 100,
        "maxRevokeSerialNumbers": 100,
        "maxSerialNumbers": 1000,
        "maxSubscriptionClientUserIds": 1000,
        "maxSubscriptions": 25,
        "maxUsers": 100,
    }
)

PositiveDays = Annotated[float, Field(gt=0, le=LONGEST_DAYS)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Turned at any time through the admin door; `POST /reset` puts back those of the start.

    Where Apple's documentation leaves a question open, a knob has both answers, the likelier one first.
    """

    __pydantic_config__ = STRICT

    # How events are worked
    event_delay_seconds: NonNegativeFloat = 0.0  # from the POST to the first task of its event
    disassociate_delay_seconds: NonNegativeFloat | None = None  # None: as the others
    task_seconds: NonNegativeFloat = 0.0  # each task of an event takes this long
    hold_events: bool = False  # no task is worked while this is on
    report_processing: bool = False  # say PROCESSING, not PENDING, once the first task is worked
    event_life_seconds: PositiveFloat | None = None  # 9708 so long after an event ended; None: never

    # What is open in Apple's documentation
    associate_again: Literal["silent", "fail"] = "silent"  # fail: 9616 for who holds one already
    disassociate_missing: Literal["silent", "fail"] = "silent"  # fail: 9619 for who holds none
    shortage: Literal["first_come", "all_or_nothing"] = "first_come"  # 9709, per asset of an event
    shortage_names: Literal["targets", "assets"] = "targets"  # what the errorInfo of 9709 names
    removals_in_delta: Literal["absent", "listed"] = "absent"  # of assignments, listed as if still held
    unknown_users: Literal["refuse", "fail"] = "refuse"  # 9609 for the whole request, or in its event
    registered_users: Literal["allow", "fail"] = "allow"  # 9609 for who has not accepted yet
    retired_books: Literal["retired", "assigned"] = "retired"  # the count that books of retired users are in
    same_account_again: Literal["flip", "delete"] = "flip"  # the retired record lives again, or is Deleted
    unlimited_available: Literal["rest", "full"] = "rest"  # 2147483647 less what is assigned, or just that
    unlimited_payload: Literal["asset", "empty"] = "asset"  # of UNLIMITED_ASSET
    invite_life_days: PositiveFloat | None = None  # None: an invitation code never expires
    expiry_told_days: PositiveDays | None = (
        None  # tokenExpirationDate so long before; Apple: 15; None: always
    )
    new_token_revokes_old: bool = False  # a download answers 9625 to the library's former tokens
    user_device_cap: PositiveInt | None = None  # devices of a user whom a license still reaches
    user_device_cap_error: int = 9622  # of who has more; what Fleet expects there, Apple documents none
    retry_after_on_429: bool = False  # a Retry-After of one second with 9646
    rate_limit_per: Literal["library", "token"] = "library"  # whose requests are counted together
    undocumented_filters: bool = False  # honor `users?managedAppleId=` and `users?includeRetired=0`

    # The wire
    rate_limit: bool = True  # answer 9646 above `maxRequestPerSecond`
    invalid_token_status: Literal[200, 401] = 401  # 9622 has been seen with both
    content_type_required: bool = False  # 9727 also for a POST that names none; Apple has let those pass
    page_size: PositiveInt = 1000
    page_seconds: NonNegativeFloat = 0.0  # each page of a list takes this long
    pages_at_once: PositiveInt = 5  # asked for with one token; 9646 for one more, Apple documents no number
    limits: Mapping[str, NonNegativeInt] = field(
        default_factory=lambda: dict(LIMITS)
    )  # published in service/config and enforced
    legacy: bool = True  # answer version 1 of the API; off: 9634 for all of it
    legacy_assets: bool = False  # answer getVPPAssetsSrv too, which micromdm's client asks before it assigns
    legacy_batch: PositiveInt = 10  # associations in one request of version 1

    # Notifications
    notification_delay_seconds: NonNegativeFloat = 0.0  # before the first attempt
    notification_disorder_seconds: NonNegativeFloat = 0.0  # each waits up to so much longer, as the dice fall
    notification_loss: Share = 0.0  # of them never sent
    notification_doubling: Share = 0.0  # of them sent once more, with the same id
    notification_retry_seconds: tuple[NonNegativeFloat, ...] = (
        60.0,
        120.0,
    )  # before the second and the third attempt
    notification_timeout_seconds: PositiveFloat = 5.0

    # What devices see
    license_lag_seconds: NonNegativeFloat = 0.0  # a device answers 9610 so long after its association
    grace_days: NonNegativeFloat = 30.0  # an app goes on working so long after its license was taken

    def turned(self, changes: Mapping[str, Any]) -> "Knobs":
        """Return the knobs with those named turned; `limits` too may be named in part. Raises `ValidationError`."""
        former = {knob.name: getattr(self, knob.name) for knob in fields(self)}
        if isinstance(changes.get("limits"), dict):
            changes = {**changes, "limits": {**self.limits, **changes["limits"]}}
        return _KNOBS.validate_python({**former, **changes})


_KNOBS = TypeAdapter(Knobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleSettings:
    """Fixed at the start. Port 0 takes a free one."""

    certificate_file: Path
    key_file: Path
    port: int = 0
    admin_port: int = 0
    trust_ca_file: Path | None = None  # CAs beside the system's, for the notification URL
    seed: int = 0  # of every id and every throw of the dice
    knobs: Knobs = field(default_factory=Knobs)
