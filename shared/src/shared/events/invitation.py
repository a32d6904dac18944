"""What invitation tells: how far each person's invitation has come."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared.events.event import Event, Slug
from shared.topics import INVITATION_DEVICES, INVITATION_EVENTS, Topic


class _AboutInvitation(Event):
    topic: ClassVar[Topic] = INVITATION_EVENTS

    invitation_id: UUID
    user_id: UUID
    library_id: str

    def key(self) -> str:
        """Return the user id."""
        return str(self.user_id)


class InvitationSent(_AboutInvitation):
    """The letter was taken by the mail relay."""

    sent_at: datetime


class InvitationBounced(_AboutInvitation):
    """The letter did not arrive; `hard` means that this address never will.

    `status_code` is the mail relay's (RFC 5321), where it was asked at all.
    """

    hard: bool
    cause: Slug | None = None
    status_code: int | None = None


class InvitationReminded(_AboutInvitation):
    """The person was reminded."""

    sent_at: datetime


class InvitationExpired(_AboutInvitation):
    """The person did not accept in time."""


class InvitationAccepted(_AboutInvitation):
    """The person's Apple user is associated."""


class InvitationCancelled(_AboutInvitation):
    """The invitation was taken back, and why."""

    cause: Slug | None = None


class DeviceInvitationRequested(Event):
    """This enrollment is to show the invitation; the link is sealed to this event."""

    topic: ClassVar[Topic] = INVITATION_DEVICES

    invitation_id: UUID
    enrollment_id: UUID
    sealed_link: str

    def key(self) -> str:
        """Return the enrollment id."""
        return str(self.enrollment_id)


EVENTS: tuple[type[Event], ...] = (
    InvitationSent,
    InvitationBounced,
    InvitationReminded,
    InvitationExpired,
    InvitationAccepted,
    InvitationCancelled,
    DeviceInvitationRequested,
)
