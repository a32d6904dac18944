"""Entitlements as they cross HTTP, and why each stands where it stands."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from assignment.model import DeliveryState, State
from assignment.queries.entitlements import Story
from assignment.queries.pages import Row
from assignment.schemas.words import ASSET_ID, DEVICE_ID, ENTITLEMENT_ID, REQUEST_ID, TIME
from shared.events.words import AssignmentMode, InstallMode

_EXAMPLE: dict[str, Any] = {
    "id": ENTITLEMENT_ID,
    "asset_id": ASSET_ID,
    "device_id": DEVICE_ID,
    "serial_number": "C02X1234",
    "request_id": REQUEST_ID,
    "state": "waitlisted",
    "assignment_mode": "device",
    "install_mode": "automatic",
    "priority": 0,
    "expires_at": None,
    "no_wait": False,
    "library_id": None,
    "losses": 0,
    "reason": None,
    "cause": None,
    "error_number": None,
    "position": 3,
    "position_at": TIME,
    "created_at": TIME,
    "changed_at": TIME,
    "ended_at": None,
}


class EntitlementBody(BaseModel):
    """The right of one device to one asset for one life; `ended_at` says when the life ended.

    `losses` counts the lives before it whose licence was taken back, in a row; `error_number` is Apple's, where the
    cause is Apple's no; `position` is the place in the waitlist as of `position_at`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    asset_id: UUID
    device_id: UUID
    serial_number: str
    request_id: UUID
    state: State
    assignment_mode: AssignmentMode
    install_mode: InstallMode
    priority: int
    expires_at: datetime | None
    no_wait: bool
    library_id: str | None
    losses: int
    reason: str | None
    cause: str | None
    error_number: int | None
    position: int | None
    position_at: datetime | None
    created_at: datetime
    changed_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return the body of an entitlement's row."""
        return cls(**{name: row[name] for name in EntitlementBody.model_fields})


class StepBody(BaseModel):
    """One step: when, what was heard or told, the state it led to, and its cause."""

    at: datetime
    what: str
    state: State
    cause: str | None
    event_id: UUID | None


class WhyBody(BaseModel):
    """Who or what is waited for, and what happens next by itself, and when."""

    blocking: str | None
    explanation: str
    next_action: str | None
    next_at: datetime | None


class CoverBody(BaseModel):
    """An assignment that covers this life, or covered it until its revoke."""

    assignment_id: UUID
    ended_at: datetime | None


class DeliveryBody(BaseModel):
    """The entitlement on one enrollment; `asked_again_at` is when an open ask is repeated."""

    id: UUID
    enrollment_id: UUID
    state: DeliveryState
    attempt: int
    cause: str | None
    asked_again_at: datetime | None
    changed_at: datetime


class EntitlementStory(EntitlementBody):
    """One entitlement and why it stands where it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "why": {
                        "blocking": "licence",
                        "explanation": f"no licence is left; place 3 in the waitlist as of {TIME}",
                        "next_action": "ask_licence_again",
                        "next_at": "2026-11-22T18:45:00Z",
                    },
                    "steps": [
                        {
                            "at": TIME,
                            "what": "AssignmentRequested",
                            "state": "requested",
                            "cause": None,
                            "event_id": None,
                        },
                        {
                            "at": TIME,
                            "what": "LicenseWaitlisted",
                            "state": "waitlisted",
                            "cause": None,
                            "event_id": REQUEST_ID,
                        },
                    ],
                    "covers": [],
                    "deliveries": [],
                }
            ]
        }
    )

    why: WhyBody
    steps: list[StepBody]
    covers: list[CoverBody]
    deliveries: list[DeliveryBody]

    @classmethod
    def telling(cls, story: Story) -> Self:
        """Return the body of a story."""
        why = story.why
        return cls(
            **EntitlementBody.of(story.entitlement).model_dump(),
            why=WhyBody(
                blocking=why.blocking,
                explanation=why.explanation,
                next_action=why.next_action,
                next_at=why.next_at,
            ),
            steps=[StepBody.model_validate(dict(row)) for row in story.steps],
            covers=[CoverBody.model_validate(dict(row)) for row in story.covers],
            deliveries=[
                DeliveryBody.model_validate({**row, "asked_again_at": row["ask_deadline_at"]})
                for row in story.deliveries
            ],
        )
