"""The table of contents of this service: event heard -> handler."""

from functools import partial

from mdm_push.handlers.asked import installs_requested, removals_requested
from mdm_push.handlers.means import Means
from shared.events.assignment import InstallRequested, RemovalRequested
from shared.handling import Handlers


def hears(means: Means) -> Handlers:
    """Return what is done about each event that this service hears."""
    return {
        InstallRequested: partial(installs_requested, means=means),
        RemovalRequested: partial(removals_requested, means=means),
    }
