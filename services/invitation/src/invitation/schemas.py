"""The bodies that cross HTTP. Nothing in them says who the person is but the id that assignment gave them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from invitation.model import Cause, Invitation, State, Step, StepKind
from invitation.queries import Story

_ID = "0193f0a2-6f6e-7d6c-9a39-0d4b6f2f6c01"
_USER = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c02"

EXAMPLE: dict[str, Any] = {
    "invitation_id": _ID,
    "user_id": _USER,
    "library_id": "2049025000431439",
    "state": "sending",
    "cause": None,
    "status_code": None,
    "asset_ids": ["5f1b3a3e-4a0e-5a55-9c6e-2f4f0f4f8a10"],
    "created_at": "2026-11-22T18:30:00Z",
    "changed_at": "2026-11-22T18:30:00Z",
    "sent_at": None,
}


class InvitationBody(BaseModel):
    """One person asked to join one library."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    invitation_id: UUID
    user_id: UUID
    library_id: str
    state: State
    cause: Cause | None
    status_code: int | None = Field(
        description="What the mail relay said when the letter bounced (RFC 5321)."
    )
    asset_ids: tuple[UUID, ...] = Field(
        description="The assets that waited when the invitation was asked for."
    )
    created_at: datetime
    changed_at: datetime
    sent_at: datetime | None = Field(description="When the mail relay took the letter.")

    @classmethod
    def of(cls, invitation: Invitation) -> "InvitationBody":
        """Return what callers are shown of an invitation."""
        return cls(**_shown(invitation))


class StepBody(BaseModel):
    """One thing that happened, and where the invitation stood afterwards."""

    at: datetime
    kind: StepKind
    state: State
    cause: Cause | None
    status_code: int | None

    @classmethod
    def of(cls, step: Step) -> "StepBody":
        """Return what callers are shown of a step."""
        return cls(
            at=step.at, kind=step.kind, state=step.state, cause=step.cause, status_code=step.status_code
        )


class NextAction(StrEnum):
    """What happens next by itself."""

    HEAR_OF_THE_PERSON = "hear_of_the_person"
    SEND_THE_LETTER = "send_the_letter"
    HEAR_FROM_APPLE = "hear_from_apple"


class Why(BaseModel):
    """Why the invitation is not accepted yet: what blocks it, what happens next by itself, and when."""

    blocked_by: str | None = Field(description="A slug: a cause, or the problem of the last try to send.")
    attempts: int = Field(description="How often the letter was tried in vain.")
    next_action: NextAction | None
    next_at: datetime | None = Field(description="Null where the next action waits for somebody else.")

    @classmethod
    def of(cls, story: Story) -> "Why":
        """Return why an invitation stands where it stands."""
        letter = story.letter
        match story.invitation.state:
            case State.WAITING:
                return cls(
                    blocked_by=story.invitation.cause,
                    attempts=0,
                    next_action=NextAction.HEAR_OF_THE_PERSON,
                    next_at=None,
                )
            case State.SENDING if letter is not None:
                return cls(
                    blocked_by=letter.problem,
                    attempts=letter.attempts,
                    next_action=NextAction.SEND_THE_LETTER,
                    next_at=letter.due_at,
                )
            case State.SENT:
                return cls(
                    blocked_by="not_accepted_yet",
                    attempts=0,
                    next_action=NextAction.HEAR_FROM_APPLE,
                    next_at=None,
                )
            case _:
                return cls(blocked_by=story.invitation.cause, attempts=0, next_action=None, next_at=None)


class InvitationStory(InvitationBody):
    """One invitation with its steps, and why it stands where it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **EXAMPLE,
                    "steps": [
                        {
                            "at": "2026-11-22T18:30:00Z",
                            "kind": "requested",
                            "state": "sending",
                            "cause": None,
                            "status_code": None,
                        }
                    ],
                    "why": {
                        "blocked_by": "mail_deferred_451",
                        "attempts": 1,
                        "next_action": "send_the_letter",
                        "next_at": "2026-11-22T18:31:00Z",
                    },
                }
            ]
        }
    )

    steps: list[StepBody]
    why: Why

    @classmethod
    def telling(cls, story: Story) -> "InvitationStory":
        """Return what callers are shown of a whole story."""
        steps = [StepBody.of(step) for step in story.steps]
        return cls(**_shown(story.invitation), steps=steps, why=Why.of(story))


def _shown(invitation: Invitation) -> dict[str, Any]:
    return {
        "invitation_id": invitation.id,
        "user_id": invitation.apple_user.user_id,
        "library_id": invitation.apple_user.library_id,
        "state": invitation.state,
        "cause": invitation.cause,
        "status_code": invitation.status_code,
        "asset_ids": invitation.asset_ids,
        "created_at": invitation.created_at,
        "changed_at": invitation.changed_at,
        "sent_at": invitation.sent_at,
    }
