"""The table of contents of this service: event heard -> handler."""

from functools import partial

from licensing import handlers
from shared.events.assignment import (
    AssignmentRequested,
    AssignmentRevoked,
    UserChanged,
    UserDeleted,
    UserInvitationRequested,
)
from shared.events.invitation import InvitationBounced, InvitationCancelled, InvitationExpired
from shared.handling import Handlers
from shared.vault import Vault


def hears(vault: Vault) -> Handlers:
    """Return what is done about each event that this service hears."""
    return {
        AssignmentRequested: handlers.reserve,
        AssignmentRevoked: handlers.release,
        UserChanged: partial(handlers.keep_people, vault),
        UserDeleted: handlers.erase_people,
        UserInvitationRequested: handlers.invite,
        InvitationExpired: handlers.end_invitations,
        InvitationBounced: handlers.end_invitations,
        InvitationCancelled: handlers.end_invitations,
    }
