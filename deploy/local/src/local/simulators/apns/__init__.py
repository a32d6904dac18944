"""Apple's push service in a box: HTTP/2 over TLS, Apple's checks, a token registry, scripted answers."""

from local.simulators.apns.registry import Push
from local.simulators.apns.script import (
    Answer,
    GoAway,
    HalfOpen,
    HangUp,
    LimitStreams,
    Mischief,
    Reset,
    Rule,
    Silence,
)
from local.simulators.apns.settings import ApnsSettings, DoorKind
from local.simulators.apns.simulator import ApnsSimulator

__all__ = [
    "Answer",
    "ApnsSettings",
    "ApnsSimulator",
    "DoorKind",
    "GoAway",
    "HalfOpen",
    "HangUp",
    "LimitStreams",
    "Mischief",
    "Push",
    "Reset",
    "Rule",
    "Silence",
]
