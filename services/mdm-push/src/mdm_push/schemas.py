"""The bodies that cross HTTP. What a device confided (token, magic, keys) is in none of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mdm_push.model import CommandState, EnrollmentState, Intent, WishState
from shared.events.words import AssetKind, EnrollmentKind, NothingRemoved, Platform


class EnrollmentBody(BaseModel):
    """One channel of a device; a user channel names its device channel in `parent_id`."""

    id: UUID
    parent_id: UUID | None
    state: EnrollmentState
    kind: EnrollmentKind
    generation: int
    serial_number: str | None
    platform: Platform
    os_version: str
    supervised: bool
    product_name: str | None
    push_topic: str
    created_at: datetime
    enrolled_at: datetime | None
    unenrolled_at: datetime | None
    last_seen_at: datetime | None


class PushBody(BaseModel):
    """How the channel is woken; `problem` is APNs' last refusal as a slug, `dead` that it was final for the token."""

    last_push_at: datetime | None
    next_push_at: datetime | None
    attempts: int
    problem: str | None
    dead: bool


class DeliveryBody(BaseModel):
    """A wish of one delivery: install or remove."""

    delivery_id: UUID
    entitlement_id: UUID
    asset_id: UUID
    kind: AssetKind
    intent: Intent
    state: WishState
    cause: str | None
    error_domain: str | None
    error_code: int | None
    was: NothingRemoved | None
    tries: int
    checks: int
    app_identifier: str | None
    app_status: str | None
    asked_at: datetime
    changed_at: datetime


class WhyBody(BaseModel):
    """What blocks (null: nothing waits), and what happens next by itself, and when if that is known."""

    blocked_by: str | None
    next_action: str | None
    next_at: datetime | None


class EnrollmentStory(EnrollmentBody):
    """One channel with everything that is under way on it, newest deliveries first, a hundred at most."""

    push: PushBody
    open_commands: int
    deliveries: list[DeliveryBody]
    why: WhyBody


class CommandBody(BaseModel):
    """A command in or from a queue; its arguments are what the device was asked, nothing secret."""

    id: UUID
    enrollment_id: UUID
    delivery_id: UUID | None
    request_type: str
    state: CommandState
    created_at: datetime
    due_at: datetime
    handed_out_at: datetime | None
    hand_outs: int
    not_now_count: int
    finished_at: datetime | None
    error_domain: str | None
    error_code: int | None


class PushCertificateUpload(BaseModel):
    """A push certificate from Apple's portal with its unencrypted private key, both PEM."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "certificate_pem": "-----BEGIN CERTIFICATE-----\nMIID...\n-----END CERTIFICATE-----\n",
                    "private_key_pem": "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----\n",
                    "apple_account": "mdm@school.example",
                }
            ]
        },
    )

    certificate_pem: Annotated[str, Field(max_length=64_000)]
    private_key_pem: Annotated[str, Field(max_length=64_000, repr=False)]
    apple_account: Annotated[str, Field(max_length=320, pattern=r"^[^\x00-\x1f]+$")] | None = None
    """Who can renew it: Apple renews a topic only for the account that made it."""
    all_devices_must_reenroll: bool = False
    """Accept a certificate of another topic than the enrolled devices have."""


class PushCertificateBody(BaseModel):
    """A stored push certificate, without its key. `in_use`: the newest of its topic."""

    id: UUID
    topic: str
    not_before: datetime
    not_after: datetime
    apple_account: str | None
    stored_at: datetime
    in_use: bool
