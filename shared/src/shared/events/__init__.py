"""The contract of the bus: every event, its envelope and its words."""

from shared.events.envelope import Envelope
from shared.events.event import (
    MAX_TARGETS_PER_EVENT,
    Event,
    EventAboutMany,
    Heard,
    Outgoing,
    Principal,
    Target,
    Unreadable,
    split,
)

__all__ = [
    "MAX_TARGETS_PER_EVENT",
    "Envelope",
    "Event",
    "EventAboutMany",
    "Heard",
    "Outgoing",
    "Principal",
    "Target",
    "Unreadable",
    "split",
]
