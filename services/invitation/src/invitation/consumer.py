"""The table of contents of this service: event heard -> handler."""

from functools import partial

from invitation import handlers
from shared.events.assignment import UserChanged, UserDeleted
from shared.events.licensing import AppleUserAssociated, AppleUserRetired, InvitationRequested
from shared.handling import Handlers
from shared.vault import Vault


def hears(vault: Vault) -> Handlers:
    """Return what is done about each event that this service hears."""
    return {
        UserChanged: handlers.keep_people,
        UserDeleted: handlers.erase_people,
        InvitationRequested: partial(handlers.invite, vault),
        AppleUserAssociated: handlers.end_as_accepted,
        AppleUserRetired: handlers.end_as_cancelled,
    }
