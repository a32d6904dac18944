"""The table of contents of this service: event heard -> handler."""

from licensing import handlers
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.handling import Handlers


def hears() -> Handlers:
    """Return what is done about each event that this service hears."""
    return {
        AssignmentRequested: handlers.reserve,
        AssignmentRevoked: handlers.release,
    }
